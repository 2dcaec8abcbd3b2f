"""Keypoints that look alike: which of them a detector's points are, decided by the truth.

A detector cannot know which of two like things is called first, a finger or a block, so its names
may be exchanged in a whole example. An example's points are compared with the truth under the
order of names that suits its detections best, the same for all frames, views and methods. The
truth decides this, so only what is compared with the truth may use it.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive.detections import DETECTED
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, VISIBILITY, Array, FormalData

CAP = 0.08  # distance [image widths] beyond which a detection is as wrong as can be


def names_order(data: FormalData, task: int, example: int) -> npt.NDArray[np.int64]:
    """Return for each of an example's keypoints (K,) the number of the true one that it is.

    Only detections by a detector have an order of their own.
    """
    names = data.keypoint_names(task)
    if data.witness.detections != DETECTED or not data.exchangeable(task):
        return np.arange(len(names))
    groups = [[names.index(name) for name in group] for group in data.exchangeable(task)]
    return best_order(data.tracks[task][example], groups, CAP * data.image_size[0])


def best_order(x: Array, groups: Sequence[Sequence[int]], cap_px: float) -> npt.NDArray[np.int64]:
    """Find the order of names that suits an example's detections best.

    Args:
        x: The track (V, T, K, 8).
        groups: Numbers of keypoints that look alike.
        cap_px: Distances count up to this [px].

    Returns:
        (K,): detections k are those of the true keypoint order[k]. Unchanged without a reason.
    """
    order = np.arange(x.shape[2])
    for group in groups:
        part = x[:, :, list(group)]
        usable = (part[..., VISIBILITY] > 0) & np.isfinite(part[..., UV_DETECTED]).all(axis=-1)
        # (V, T, k detected, k true)
        off = part[..., :, None, UV_DETECTED] - part[..., None, :, UV_EXACT]
        distance = np.minimum(np.linalg.norm(off.astype(np.float64), axis=-1), cap_px)
        cost = np.where(usable[..., None], distance, 0.0).sum(axis=(0, 1))
        rows = np.arange(len(group))
        # The first of the permutations is the order as it is; min keeps the first of equals.
        best = min(permutations(rows), key=lambda columns: cost[rows, list(columns)].sum())
        order[list(group)] = np.array(group)[list(best)]
    return order


def count_exchanged(data: FormalData, tasks: Sequence[int], split: str) -> tuple[int, int]:
    """Return how many examples of a part of the split have exchanged names, and of how many."""
    numbers = [(task, n) for task in tasks for n in data.split(task)[split]]
    orders = [names_order(data, task, n) for task, n in numbers]
    return sum(bool((order != np.arange(len(order))).any()) for order in orders), len(orders)
