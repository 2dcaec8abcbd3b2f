"""Read all demonstrations in a folder of RLBench's, one recording for each.

The folder is a task's (`<task>/variation0/episodes/episode0`, or `all_variations`), a variation's,
or that of the episodes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.readers.rlbench_demo import (
    MIN_FRAMES_SHARE,
    PICKLE,
    read_demo,
)
from pose_obj_3d.importing.tracks.views import Floats, Found, Wanted

LEVELS = ("episode*", "episodes/episode*", "*variation*/episodes/episode*")
MAX_EPISODES = 5000
_SAME = 1e-4  # cameras of two episodes are one if they differ by less [m, and of the focal length]


def knows(path: Path) -> bool:
    """Tell whether a folder holds episodes."""
    return path.is_dir() and next(_found(path), None) is not None


def read_episodes(path: Path, wanted: Wanted) -> Found:
    """Read a folder of episodes, in the order of variations and episodes.

    Raises:
        DataError: An episode is damaged, or its cameras are others.
    """
    folders = sorted(_found(path), key=_order)
    if len(folders) > MAX_EPISODES:
        raise DataError(
            f"{path}: {len(folders)} episodes; name folders with at most {MAX_EPISODES} of them"
        )
    parts = [read_demo(folder, wanted) for folder in folders]
    for folder, part in zip(folders[1:], parts[1:], strict=True):
        _check_same_cameras(folders[0], parts[0], folder, part)
    lengths = [len(part.views[0].points) for part in parts]
    keypoints = _common_names(parts)
    views = tuple(
        replace(
            view,
            source=path,
            keypoints=tuple(keypoints),
            points=np.concatenate(
                [_of_names(p.views[v].points[:, 0], p, keypoints) for p in parts]
            )[:, None],
        )
        for v, view in enumerate(parts[0].views)
    )
    truth = np.concatenate([_of_names(p.truth, p, keypoints) for p in parts if p.truth is not None])
    starts = tuple(np.cumsum([0, *lengths[:-1]]).tolist())
    notes = [f"{len(parts)} episodes, each a recording of its own"]
    notes += dict.fromkeys(note for part in parts for note in part.notes if "cameras" in note)
    return Found(views, parts[0].cameras, truth, tuple(notes), starts)


def _found(path: Path) -> Iterator[Path]:
    for level in LEVELS:
        yield from (inner.parent for inner in path.glob(f"{level}/{PICKLE}"))


def _order(folder: Path) -> list[tuple[str, int]]:
    """Return a key by which episode10 comes after episode2."""
    pieces = re.findall(r"(\D*)(\d*)", str(folder))
    return [(text, int(number or -1)) for text, number in pieces]


def _check_same_cameras(first: Path, one: Found, folder: Path, other: Found) -> None:
    a, b = one.cameras, other.cameras
    assert a is not None
    assert b is not None
    if a.names == b.names:
        apart = np.abs(a.extrinsics - b.extrinsics).max()
        focal = a.intrinsics[:, :1, :1]
        scaled = np.abs((a.intrinsics - b.intrinsics) / focal).max()
        if apart < _SAME and scaled < _SAME:
            return
    raise DataError(
        f"{folder}: its cameras ({', '.join(b.names)[:100]}) are not those of {first.name}"
        f" ({', '.join(a.names)[:100]}), or stand elsewhere; import these episodes by themselves"
    )


def _common_names(parts: Sequence[Found]) -> list[str]:
    """Return keypoints in the order of their first episode, of objects those seen often enough."""
    frames: dict[str, int] = {}
    for part in parts:
        for name in part.views[0].keypoints:
            frames[name] = frames.get(name, 0) + len(part.views[0].points)
    least = MIN_FRAMES_SHARE * sum(len(part.views[0].points) for part in parts)
    return [name for name, count in frames.items() if count >= least]


def _of_names(values: Floats, part: Found, keypoints: Sequence[str]) -> Floats:
    """Return values (T, K', n) of an episode for the common keypoints; NaN where it has none."""
    own = part.views[0].keypoints
    found = np.full((len(values), len(keypoints), values.shape[2]), np.nan)
    for k, name in enumerate(keypoints):
        if name in own:
            found[:, k] = values[:, own.index(name)]
    return found
