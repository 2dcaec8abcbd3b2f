"""From the files and folders that a user names to the tracks of all views."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.reading import find_calibration, read_calibration
from pose_obj_3d.importing.tracks.readers.hdf5 import is_hdf5, opened
from pose_obj_3d.importing.tracks.readers.videos import with_video
from pose_obj_3d.importing.tracks.registry import Reader, reader_of, what_is_read
from pose_obj_3d.importing.tracks.views import Found, ViewTracks, Wanted

MAX_FILES = 2000
KINDS = (".analysis", ".predictions", "_el", "_bx", "_sk")  # parts of the names of SLEAP, DLC


def named_path(text: str) -> tuple[str, Path]:
    """Split `NAME=PATH`; the name is empty where there is none."""
    name, is_there, path = text.partition("=")
    if is_there and name and "/" not in name and not Path(text).exists():
        return name, Path(path).expanduser()
    return "", Path(text).expanduser()


def read_sources(sources: Sequence[str], wanted: Wanted) -> Found:
    """Read files and folders, each by the reader that knows it.

    Args:
        sources: Paths, or `NAME=PATH` where NAME is the view.
        wanted: What readers need.

    Raises:
        DataError: A source is not there, is not known, or is damaged; or two hold what only one
            may hold.
    """
    found = [_read(*named_path(source), wanted) for source in sources]
    if len(found) == 1:
        return found[0]
    cameras = [part.cameras for part in found if part.cameras is not None]
    if (
        len(cameras) > 1
        or any(part.truth is not None for part in found)
        or any(len(part.sequence_starts) > 1 for part in found)
    ):
        raise DataError(
            f"{', '.join(sources)[:200]}: several sources, of which one holds true positions,"
            " several recordings or another calibration; import them one by one"
        )
    return Found(
        views=tuple(view for part in found for view in part.views),
        cameras=cameras[0] if cameras else None,
        notes=tuple(note for part in found for note in part.notes),
    )


def _read(name: str, path: Path, wanted: Wanted) -> Found:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; what is read: {what_is_read()}")
    reader = reader_of(path)
    if reader is not None:
        found = reader.read(path, wanted)
    elif path.is_dir():
        found = _read_folder(path, wanted)
    else:
        if is_hdf5(path):
            with opened(path):  # says what is damaged
                pass
        raise DataError(
            f"{path}: no known file of 2D tracks, or a damaged one; what is read: {what_is_read()}"
        )
    found = replace(found, views=tuple(_with_own_video(view) for view in found.views))
    if not name:
        return found
    if len(found.views) != 1:
        raise DataError(f"{path}: holds {len(found.views)} views; leave {name}= out")
    return replace(found, views=(replace(found.views[0], name=name),))


def _with_own_video(view: ViewTracks) -> ViewTracks:
    """Take frame rate and image size from a video that lies beside a view's file."""
    if None not in (view.fps, view.image_size) or not view.source.is_file():
        return view
    return with_video(view, [view.name, view.source.stem], [view.source.parent])


def _read_folder(folder: Path, wanted: Wanted) -> Found:
    """Read a folder with a file for each view, or with a folder for each view's file.

    Where no calibration was given, the folder's own counts.
    """
    known = _known_files(_files(folder))
    if not known:
        inner = [child for child in sorted(folder.iterdir()) if child.is_dir()][:MAX_FILES]
        known = _known_files([path for child in inner for path in _files(child)])
    if not known:
        raise DataError(f"{folder}: no file of 2D tracks in it; what is read: {what_is_read()}")
    kept, notes = _without_copies(known)
    parts = [reader.read(path, wanted) for path, reader in kept]
    views = tuple(view for part in parts for view in part.views)
    notes += [note for part in parts for note in part.notes]
    cameras = None
    if wanted.cameras is None:
        path = find_calibration(folder)
        if path is None:
            cameras = next((part.cameras for part in parts if part.cameras is not None), None)
        else:
            cameras = read_calibration(path, wanted.units)
            notes.append(f"calibration: {path}")
    return Found(views, cameras, notes=tuple(notes))


def _files(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if len(files) > MAX_FILES:
        raise DataError(
            f"{folder}: {len(files)} files; name those of the views, at most {MAX_FILES}"
        )
    return files


def _known_files(files: Sequence[Path]) -> list[tuple[Path, Reader]]:
    return [(path, reader) for path in files if (reader := reader_of(path)) is not None]


def _without_copies(
    known: Sequence[tuple[Path, Reader]],
) -> tuple[list[tuple[Path, Reader]], list[str]]:
    """Leave out the second of two files of one video, such as `a.h5` or `a_filtered.csv`.

    Of filtered tracks and those as detected the latter are read: the lifting smooths by itself,
    and a filter's errors last longer than the detector's.
    """
    first: dict[tuple[Path, str], tuple[Path, Reader]] = {}
    copies = []
    for path, reader in sorted(known, key=lambda own: (_is_filtered(own[0]), own[0])):
        key = (path.parent, _plain_stem(path))
        if key in first:
            copies.append(f"{path.name} beside {first[key][0].name}")
        else:
            first[key] = (path, reader)
    notes = [f"not read, of the same video: {', '.join(copies)[:380]}"] if copies else []
    return sorted(first.values(), key=lambda own: own[0]), notes


def _is_filtered(path: Path) -> bool:
    return "_filtered" in path.stem


def _plain_stem(path: Path) -> str:
    """Return a file's name without what tells its kind: `a.analysis.h5` and `a.slp` are of `a`."""
    stem = path.stem.replace("_filtered", "")
    for kind in KINDS:
        stem = stem.removesuffix(kind)
    return stem
