"""The archive with detections: an archive's demos and what was detected in them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pose_obj_3d.common.frame_files import moved_patterns
from pose_obj_3d.detector.types import Floats
from pose_obj_3d.formal import FormalData, Meta, write_formal

BY_TASK = (
    "task_names",
    "keypoint_names",
    "split",
    "sources",
    "mask_ids",
    "descriptions",
    "exchangeable",
)
"""Fields of `meta` with an entry for each task."""


def write_detected(
    out: Path,
    data: FormalData,
    found: Mapping[int, Sequence[Floats]],
    record: Mapping[str, Any],
    exchangeable: Mapping[int, Sequence[Sequence[str]]],
) -> None:
    """Write an archive with detections; it holds the tasks that have some.

    Args:
        out: The archive to write.
        data: The archive with the demos.
        found: Task id -> for each example (V, T, K, 7).
        record: `meta.detections`: the detector's name, folds and more.
        exchangeable: Task id -> groups of keypoints that look alike.

    Raises:
        FormalError: Detections are not as they must be, such as a claim that is not positive
            definite; nothing is written.
    """
    meta = _meta(out, data, sorted(found))
    # Said of every task: where it is not said, names tell which keypoints look alike.
    meta["exchangeable"] = {
        f"T{task}": [list(group) for group in exchangeable.get(task, ())] for task in sorted(found)
    }
    meta["detections"] = dict(record)
    tracks = {task: data.tracks[task] for task in sorted(found)}
    write_formal(out, tracks, meta, data.intrinsics, data.extrinsics, found)


def _meta(out: Path, data: FormalData, tasks: Sequence[int]) -> Meta:
    """Copy `meta` for some tasks, with patterns that hold in the new archive's folder."""
    meta: Meta = json.loads(json.dumps(data.meta))
    wanted = {f"T{task}" for task in tasks}
    for key in BY_TASK:
        if isinstance(meta.get(key), dict):
            meta[key] = {task: value for task, value in meta[key].items() if task in wanted}
    seeds = meta.get("source_seeds")
    if isinstance(seeds, dict):
        meta["source_seeds"] = {
            key: value for key, value in seeds.items() if key in wanted or not key.startswith("T")
        }
    return {**meta, **moved_patterns(data.meta, data.path, out)}
