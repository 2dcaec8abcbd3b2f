"""Make a `tracks.npz` of the 2D tracks that other tools write: `--help` lists the flags.

`python -m pose_obj_3d.import_tracks SOURCE... --out tracks.npz`. What a file is, its content tells.
See docs/own_videos.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.import_tracks", 600)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.importing.people import videopose3d
from pose_obj_3d.importing.people.archive import FPS, TASKS, TEST_SUBJECTS, ArchiveOptions
from pose_obj_3d.importing.tracks import opening
from pose_obj_3d.importing.tracks.registry import READERS
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import tracks_of


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.import_tracks",
        description="Make a tracks.npz of other tools' 2D tracks.",
        epilog="Files of: " + "; ".join(f"{r.tool} ({r.files})" for r in READERS) + ".",
    )
    add = parser.add_argument
    add(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="a file for each view, or a folder; VIEW=FILE says which view a file is of",
    )
    add("--out", type=Path, default=Path("tracks.npz"), help="file to write (tracks.npz)")
    add(
        "--units",
        choices=sorted(METRES),
        help="unit of the calibration, if it does not say it (default m)",
    )
    opening.add_flags(parser)
    add_data_set_flags(parser)
    add("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def add_data_set_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for `data_2d_*.npz` with `data_3d_*.npz`: all recordings become an archive."""
    add = parser.add_argument_group(
        "archives of data sets in VideoPose3D's form (docs/from_videopose3d.md)"
    ).add_argument
    add("--tasks", choices=TASKS, default=TASKS[0], help="what becomes a task (default action)")
    add("--subjects", nargs="+", default=[], help="subjects to keep (default all)")
    add(
        "--test_subjects",
        nargs="+",
        default=list(TEST_SUBJECTS),
        help="subjects whose recordings test (default S9 S11)",
    )
    add("--every", type=int, default=1, help="keep one of so many frames (default 1)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), args.debug)


def run(args: argparse.Namespace) -> None:
    """Read, check, write, and print a summary."""
    pair = videopose3d.pair_of(args.source)
    if pair is not None:
        write_data_set(args, pair)
        return
    joined = opening.import_tracks(args.source, opening.options_of(args, args.units))
    tracks_of(joined.members, opening.source_name(args.source))
    out = args.out.expanduser()
    with writing(out) as file:
        np.savez_compressed(file, allow_pickle=False, **joined.members)
    for note in joined.notes:
        print(note)  # noqa: T201
    points = joined.members["points"]
    V, T, K, _ = points.shape
    seen = 100 * float(np.isfinite(points).all(-1).mean())
    cameras = ", ".join(joined.members["camera_names"].tolist())
    print(f"{out}: {V} views ({cameras[:200]}), {T} frames, {K} keypoints, {seen:.1f} % seen")  # noqa: T201


def write_data_set(args: argparse.Namespace, pair: tuple[Path, Path]) -> None:
    """Write the archive of a data set, and print a summary."""
    options = ArchiveOptions(
        tasks=args.tasks,
        every=args.every,
        subjects=tuple(args.subjects),
        test_subjects=tuple(args.test_subjects),
        fps=FPS if args.fps is None else args.fps,
    )
    cameras = None if args.calibration is None else args.calibration.expanduser()
    out = args.out.expanduser()
    written = videopose3d.make_archive(pair, cameras, out, options)
    for note in written.notes:
        print(note)  # noqa: T201
    tasks = ", ".join(f"T{t} {name} ({n})" for t, (name, n) in enumerate(written.tasks.items()))
    print(f"{out}: {len(written.views)} views, tasks (examples): {tasks[:600]}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
