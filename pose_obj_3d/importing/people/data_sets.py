"""Read the files that VideoPose3D prepares: `data_2d_*.npz` and `data_3d_*.npz`.

Both hold one pickled dict each, subject -> action -> arrays. They are read without Python's
unpickler. Positions in 2D are a list of views, each (T, K, 2) [px]; in 3D (T, K, 3) [m].
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.safe_reading.numpy_pickles import plain, read_objects
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.importing.people.body_parts import BODIES
from pose_obj_3d.importing.tracks.views import Floats

POSITIONS_2D, POSITIONS_3D, METADATA = "positions_2d", "positions_3d", "metadata"
H36M_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Which of Human3.6M's 32 joints move by themselves; the 17 that are used."""
H36M_17 = (
    *("hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("spine", "thorax", "nose", "head", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist"),
)
LAYOUTS = {"h36m": H36M_17, "coco": BODIES[17]}
MAX_VIEWS, MAX_KEYPOINTS = 100, 1000


@dataclass(frozen=True)
class Recording:
    """One subject's action.

    Attributes:
        subject: Such as `S9`.
        action: Such as `Walking 1`.
        views: Of each view (T, K, 2) [px], or None where the view was not recorded.
        truth: (T', K', 3) [m], or None.
    """

    subject: str
    action: str
    views: list[Floats | None]
    truth: Floats | None

    @property
    def name(self) -> str:
        """Return subject and action, `S9/Walking 1`."""
        return f"{self.subject}/{self.action}"


@dataclass(frozen=True)
class DataSet:
    """The recordings of a pair of files.

    Attributes:
        path: The file with the 2D positions.
        recordings: In the file's order.
        names_2d: K names of the 2D keypoints.
        names_3d: K' names of the 3D keypoints; empty without a file of them.
    """

    path: Path
    recordings: list[Recording]
    names_2d: tuple[str, ...]
    names_3d: tuple[str, ...]


def holds(path: Path, member: str) -> bool:
    """Tell whether a file is an npz with such a member; raises nothing."""
    try:
        if not path.is_file() or path.suffix != ".npz":
            return False
        with Archive(path) as archive:
            return member in archive.names
    except (ArchiveError, OSError):
        return False


def read_data_set(path: Path, path_3d: Path | None = None) -> DataSet:
    """Read a file of 2D positions, and the file of 3D positions that belongs to it.

    Raises:
        DataError: One is damaged, or not of this layout.
    """
    with_2d = _subjects(path, POSITIONS_2D)
    with_3d = _subjects(path_3d, POSITIONS_3D) if path_3d else {}
    recordings = [
        Recording(
            subject,
            action,
            _views(f"{path}: {subject}/{action}", value),
            _truth(path_3d, with_3d.get(subject, {}), subject, action),
        )
        for subject, actions in with_2d.items()
        for action, value in actions.items()
    ]
    count = _one_count(path, recordings)
    truths = {r.truth.shape[1] for r in recordings if r.truth is not None}
    if len(truths) > 1:
        raise DataError(f"{path_3d}: recordings have {sorted(truths)} joints; all need the same")
    names_3d = _names_3d(truths.pop()) if truths else ()
    return DataSet(path, recordings, _names_2d(path, count), names_3d)


def _subjects(path: Path, member: str) -> dict[str, dict[str, Any]]:
    """Return subject -> action -> value; all arrays together are no larger than the member."""
    try:
        with Archive(path) as archive:
            if member not in archive.names:
                raise DataError(f"{path}: has no {member}; found {', '.join(archive.names)[:200]}")
            found, size = archive.open(member, read_objects)
    except (ArchiveError, OSError) as error:
        raise DataError(f"{path}: {member} cannot be read ({error}); prepare it again") from error
    value = plain(found)
    if not isinstance(value, dict) or not value:
        raise DataError(f"{path}: {member} must be a dict of subjects; prepare it again")
    subjects: dict[str, dict[str, Any]] = {}
    for subject, of_subject in value.items():
        actions = plain(of_subject)
        if not isinstance(subject, str) or not isinstance(actions, dict):
            raise DataError(f"{path}: {member}[{str(subject)[:40]!r}] must be a dict of actions")
        subjects[subject] = {str(action): plain(x) for action, x in actions.items()}
    total = sum(array.nbytes for array in _arrays(list(subjects.values())))
    if total > size:
        raise DataError(f"{path}: {member} names the same arrays many times; it is damaged")
    return subjects


def _arrays(value: Any, depth: int = 0) -> Iterator[Floats]:
    value = plain(value)
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple | dict) and depth < 6:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _arrays(item, depth + 1)


def _views(where: str, value: Any) -> list[Floats | None]:
    if isinstance(value, np.ndarray) and value.ndim == 4:
        value = list(value)
    elif isinstance(value, np.ndarray) and value.ndim == 3:
        value = [value]
    items = [plain(item) for item in value] if isinstance(value, list | tuple) else []
    views = [None if item is None else _positions(where, item, (2, 3)) for item in items]
    if not views or len(views) > MAX_VIEWS or all(view is None for view in views):
        raise DataError(f"{where} must be a list of views, at most {MAX_VIEWS}")
    return [None if view is None else view[..., :2] for view in views]


def _positions(where: str, value: Any, widths: tuple[int, ...]) -> Floats:
    ok = (
        isinstance(value, np.ndarray)
        and value.dtype.kind in "fiu"
        and value.ndim == 3
        and value.shape[-1] in widths
        and 0 < value.shape[1] <= MAX_KEYPOINTS
    )
    if not ok:
        what = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value)
        listed = " or ".join(str(n) for n in widths)
        raise DataError(f"{where} must be numbers (frames, joints, {listed}), found {what}")
    found: Floats = value
    return found


def _truth(
    path: Path | None, actions: Mapping[str, Any], subject: str, action: str
) -> Floats | None:
    if action not in actions:
        return None
    found = _positions(f"{path}: {subject}/{action}", actions[action], (3, 4))[..., :3]
    return found[:, list(H36M_32)] if found.shape[1] == 32 else found


def _one_count(path: Path, recordings: list[Recording]) -> int:
    counts: dict[int, Recording] = {
        view.shape[1]: recording
        for recording in recordings
        for view in recording.views
        if view is not None
    }
    if len(counts) > 1:
        said = ", ".join(f"{recording.name} {count}" for count, recording in counts.items())
        raise DataError(f"{path}: numbers of joints differ: {said[:200]}; prepare it again")
    return next(iter(counts))


def _names_2d(path: Path, count: int) -> tuple[str, ...]:
    layout = ""
    with Archive(path) as archive:
        if METADATA in archive.names:
            try:
                metadata = plain(archive.open(METADATA, read_objects)[0])
            except ArchiveError as error:
                raise DataError(f"{path}: {METADATA} cannot be read ({error})") from error
            layout = str(metadata.get("layout_name", "")) if isinstance(metadata, dict) else ""
    # Files of exact positions name no layout: they have the joints of the 3D file.
    names = LAYOUTS.get(layout, H36M_17 if not layout and count == len(H36M_17) else ())
    return names if len(names) == count else tuple(f"joint{i}" for i in range(count))


def _names_3d(count: int) -> tuple[str, ...]:
    return H36M_17 if count == len(H36M_17) else tuple(f"joint{i}" for i in range(count))
