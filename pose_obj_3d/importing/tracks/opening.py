"""Open what `import_tracks` and `lift --points2d` name: other tools' files, or a `tracks.npz`."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.importing.calibrations.reading import read_calibration
from pose_obj_3d.importing.tracks.joining import Joined, join
from pose_obj_3d.importing.tracks.options import ImportOptions, parse_offsets
from pose_obj_3d.importing.tracks.registry import reader_of
from pose_obj_3d.importing.tracks.sources import named_path, read_sources
from pose_obj_3d.importing.tracks.views import Wanted
from pose_obj_3d.lifting.track_files.track_file import TrackFile, read_tracks, tracks_of


def import_tracks(sources: Sequence[str], options: ImportOptions) -> Joined:
    """Read other tools' files, and join their views.

    Args:
        sources: Files and folders, or `NAME=PATH`.
        options: What the user chose.

    Raises:
        DataError: Something is not there, damaged, or does not fit.
        ConfigError: An option contradicts the files.
    """
    file, unit = options.calibration, options.units
    given = None if file is None else read_calibration(file, unit)
    found = read_sources(sources, Wanted(options.individuals, given, unit))
    cameras = given or found.cameras
    if cameras is None:
        raise DataError(
            f"{sources[0]}: nothing says where the cameras are; add --calibration FILE"
            " (docs/own_videos.md)"
        )
    return join(found, cameras, options)


def is_foreign(paths: Sequence[str]) -> bool:
    """Tell whether a path names another tool's file or folder, and not a `tracks.npz`.

    What is not there counts as a `tracks.npz`: its reader says so.
    """
    if len(paths) != 1:
        return True
    name, path = named_path(paths[0])
    return bool(name) or path.is_dir() or (path.is_file() and reader_of(path) is not None)


def open_tracks(
    paths: Sequence[str], options: ImportOptions, units: str | None, views: Sequence[str]
) -> TrackFile:
    """Read and check a `tracks.npz`, or other tools' files.

    Args:
        paths: One npz; or files and folders of other tools, or `NAME=PATH`.
        options: What the user chose for other tools' files.
        units: As in `read_tracks`.
        views: As in `read_tracks`.

    Raises:
        PoseObj3DError: Something is not there, damaged, or does not fit.
    """
    if not is_foreign(paths):
        if options != ImportOptions():
            raise ConfigError(
                f"{paths[0]} is a tracks.npz: it holds its calibration, confidences and names;"
                " --calibration, --individual, --fps, --offset and --min_confidence are for"
                " other tools' files"
            )
        return read_tracks(paths[0], units, views)
    joined = import_tracks(paths, replace(options, units=units))
    file = tracks_of(joined.members, source_name(paths), None, views)
    return replace(file, notes=[*joined.notes, *file.notes])


def source_name(paths: Sequence[str]) -> str:
    """Return what messages call the sources."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `ImportOptions` but `--units` to a command."""
    add = parser.add_argument_group("tracks in other tools' files").add_argument
    add("--calibration", type=Path, help="file of the cameras, if the tracks' folder has none")
    add(
        "--individual",
        nargs="+",
        default=[],
        help="which animal or person, where the files have several; several names take several",
    )
    add("--fps", type=float, help="frames a second, if the files do not say it or are wrong")
    add(
        "--offset",
        nargs="+",
        default=[],
        metavar="VIEW=FRAMES",
        help="views that began late: left=12 means that frame 0 of left is frame 12 of the others",
    )
    add(
        "--min_confidence",
        type=float,
        default=0.0,
        help="points with less confidence are missing (default 0: confidence only weighs them)",
    )


def options_of(args: argparse.Namespace, units: str | None = None) -> ImportOptions:
    """Return the options that the flags of `add_flags` name."""
    return ImportOptions(
        calibration=None if args.calibration is None else args.calibration.expanduser(),
        individuals=tuple(args.individual),
        fps=args.fps,
        offsets=parse_offsets(args.offset),
        min_confidence=args.min_confidence,
        units=units,
    )
