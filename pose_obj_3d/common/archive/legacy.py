"""The older layout of `sim_all_formal.npz`: one pickled dict, read without Python's unpickler.

`pose["T<task>"]["exemple_<n>"] = [view0, view1, ...]`, each float (frames, keypoints, 8), without
calibration. `python -m pose_obj_3d.formal_legacy` converts a file.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.archive.arrays import NUM_CHANNELS, Array
from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.safe_reading.numpy_pickles import plain, read_objects
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.common.whole_files import writing


def read_legacy(path: Path) -> dict[int, list[Array]]:
    """Read an older archive.

    Returns:
        Task id -> examples in number order, each float32 (V, T, K, 8).

    Raises:
        FormalError: it is no such archive, or its pickle holds more than data.
    """
    try:
        with Archive(path) as archive:
            pose, size = archive.open("pose", read_objects)
    except (OSError, ArchiveError) as error:
        raise FormalError(
            f"{path}: not an older archive with a pickled member pose: {error}"
        ) from error
    pose = plain(pose)
    if not isinstance(pose, dict) or not pose:
        raise FormalError(f"{path}: pose must be a dict of tasks, found {type(pose).__name__}")
    tasks = {_number(path, "T", key): value for key, value in pose.items()}
    pose.clear()
    return {task: _examples(path, f"T{task}", tasks.pop(task), size) for task in list(tasks)}


def _number(path: Path, prefix: str, key: Any) -> int:
    match = re.fullmatch(rf"{prefix}(0|[1-9][0-9]{{0,8}})", str(key)[:40])
    if match is None:
        raise FormalError(f"{path}: key {str(key)[:40]!r} must be {prefix}<number>")
    return int(match.group(1))


def _examples(path: Path, task: str, examples: Any, size: int) -> list[Array]:
    """Return the examples of a task.

    A pickle can name one array many times, so `size` limits the bytes of all examples together.
    """
    examples = plain(examples)
    if not isinstance(examples, dict) or not examples:
        raise FormalError(f"{path}: {task} must be a dict of examples")
    found = {_number(path, "exemple_", key): views for key, views in examples.items()}
    if sorted(found) != list(range(len(found))):
        raise FormalError(f"{path}: {task} must hold exemple_0 .. exemple_{len(found) - 1}")
    numbered = {n: _views(path, f"{task}/exemple_{n}", views) for n, views in found.items()}
    if sum(view.nbytes for views in numbered.values() for view in views) > size:
        raise FormalError(f"{path}: {task} names the same arrays many times; the file is damaged")
    found.clear()
    examples.clear()
    # Taken out one by one: the numbers are in memory once, not twice.
    return [
        np.stack([view.astype(np.float32) for view in numbered.pop(n)]) for n in sorted(numbered)
    ]


def _views(path: Path, where: str, views: Any) -> list[Array]:
    views = plain(views)
    if isinstance(views, np.ndarray) and views.ndim == 4:
        views = list(views)
    arrays = [plain(view) for view in views] if isinstance(views, list | tuple) else []
    ok = bool(arrays) and all(
        isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.ndim == 3 for a in arrays
    )
    if not ok or len({a.shape for a in arrays}) != 1 or arrays[0].shape[-1] != NUM_CHANNELS:
        raise FormalError(f"{path}: {where}: views must all be numbers (frames, keypoints, 8)")
    return arrays


def write_legacy(path: Path, tracks: Mapping[int, Sequence[Array]]) -> None:
    """Write the older layout; calibration and names are lost.

    Args:
        path: where; replaced in one step.
        tracks: task id -> examples, each (V, T, K, 8).
    """
    pose = {
        f"T{task}": {f"exemple_{n}": list(track) for n, track in enumerate(examples)}
        for task, examples in tracks.items()
    }
    holder = np.empty((), object)
    holder[()] = pose
    with writing(path) as stream:
        np.savez_compressed(stream, pose=holder)
