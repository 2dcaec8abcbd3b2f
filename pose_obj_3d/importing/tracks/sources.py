"""From the files and folders that a user names to the tracks of all views."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.registry import Reader, reader_of, what_is_read
from pose_obj_3d.importing.tracks.views import Found, ViewTracks, Wanted

MAX_FILES = 2000


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
    if len(cameras) > 1 or any(part.truth is not None for part in found):
        raise DataError(
            f"{', '.join(sources)[:200]}: several sources with a calibration or true positions of"
            " their own; import them one by one"
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
        raise DataError(
            f"{path}: no known file of 2D tracks, or a damaged one; what is read: {what_is_read()}"
        )
    if not name:
        return found
    if len(found.views) != 1:
        raise DataError(f"{path}: holds {len(found.views)} views; leave {name}= out")
    return replace(found, views=(replace(found.views[0], name=name),))


def _read_folder(folder: Path, wanted: Wanted) -> Found:
    """Read a folder with a file for each view."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if len(files) > MAX_FILES:
        raise DataError(
            f"{folder}: {len(files)} files; name those of the views, at most {MAX_FILES}"
        )
    known = [(path, reader) for path in files if (reader := reader_of(path)) is not None]
    if not known:
        raise DataError(f"{folder}: no file of 2D tracks in it; what is read: {what_is_read()}")
    kept, notes = _without_copies(known)
    parts = [reader.read(path, wanted) for path, reader in kept]
    views: list[ViewTracks] = [view for part in parts for view in part.views]
    return Found(tuple(views), notes=(*notes, *(note for part in parts for note in part.notes)))


def _without_copies(
    known: Sequence[tuple[Path, Reader]],
) -> tuple[list[tuple[Path, Reader]], list[str]]:
    """Leave out the second of two files of one name, such as `a.csv` beside `a.h5`."""
    first: dict[str, tuple[Path, Reader]] = {}
    copies = []
    for path, reader in known:
        if path.stem in first:
            copies.append(f"{path.name} beside {first[path.stem][0].name}")
        else:
            first[path.stem] = (path, reader)
    notes = [f"not read, the same in another format: {', '.join(copies)[:300]}"] if copies else []
    return list(first.values()), notes
