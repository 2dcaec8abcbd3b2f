"""One path through the candidates of all frames: what a single frame leaves open, others decide.

A look-alike that is far away, or a gross error of a few frames, costs two jumps; a path along the
keypoint's own candidates costs none. Keypoints that look alike are linked together, since where one
is the other is not. Where a thing rests, the place where it was found with certainty before or
after is a candidate too, for frames in which it is hidden.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Choice = npt.NDArray[np.int64]
STEP_PX = 3.0  # of 256: a step of this length costs 1
LARGEST_STEP = 5.0  # costs no more than this, however long
CERTAIN_COST = 0.3  # of a frame whose best candidate is sure
SAME_PLACE_PX = 2.0  # two that look alike are hardly nearer than this
SAME_PLACE_COST = 1.0


def carried(cost: Floats) -> Choice:
    """Find for each frame the nearest ones, before and after, where a keypoint is certain.

    Args:
        cost: (T, K) of the best candidate of each frame.

    Returns:
        (T, K, 2) numbers of frames; -1 where there is none.
    """
    frames = np.broadcast_to(np.arange(len(cost))[:, None], cost.shape)
    is_certain = cost < CERTAIN_COST
    before = np.maximum.accumulate(np.where(is_certain, frames, -1), axis=0)
    late = np.where(is_certain, frames, len(cost))
    after = np.minimum.accumulate(late[::-1], axis=0)[::-1]
    return np.stack([before, np.where(after < len(cost), after, -1)], -1)


def link(uv: Floats, cost: Floats, pairs: Sequence[tuple[int, int]], width: int) -> Choice:
    """Choose one candidate of each frame and keypoint.

    Args:
        uv: (T, K, M, 2) candidates [px].
        cost: (T, K, M) what each costs: less is better, in units of a log probability.
        pairs: Keypoints that look alike; no keypoint is in two pairs.
        width: Of the pictures [px].

    Returns:
        (T, K) numbers of candidates.
    """
    T, K, M = cost.shape
    chosen = np.zeros((T, K), np.int64)
    step = STEP_PX * width / 256
    paired = set(itertools.chain.from_iterable(pairs))
    single = [k for k in range(K) if k not in paired]
    if single:
        chosen[:, single] = cheapest_paths(uv[:, single, :, None], cost[:, single], step)
    for a, b in pairs:
        both = np.stack(
            [
                np.repeat(uv[:, a], M, axis=1),  # (T, M * M, 2)
                np.tile(uv[:, b], (1, M, 1)),
            ],
            axis=2,
        )[:, None]  # (T, 1, M * M, 2, 2)
        total = (cost[:, a, :, None] + cost[:, b, None, :]).reshape(T, 1, M * M)
        gap = np.linalg.norm(both[..., 0, :] - both[..., 1, :], axis=-1)
        total = total + SAME_PLACE_COST * (gap < SAME_PLACE_PX * width / 256)
        path = cheapest_paths(both, total, step)[:, 0]
        chosen[:, a], chosen[:, b] = path // M, path % M
    return chosen


def cheapest_paths(points: Floats, cost: Floats, step: float) -> Choice:
    """Find the cheapest path of each row of candidates, by dynamic programming.

    Args:
        points: (T, K, M, P, 2) the points of a candidate [px]; the steps of its P points add up.
        cost: (T, K, M) what each candidate costs.
        step: Length of a step that costs 1 [px].

    Returns:
        (T, K) numbers of candidates.
    """
    T = len(cost)
    came_from = np.zeros(cost.shape, np.int64)
    best = cost[0]
    for t in range(1, T):
        move = points[t, :, None] - points[t - 1, :, :, None]  # (K, before, now, P, 2)
        length = np.minimum(np.linalg.norm(move, axis=-1) / step, LARGEST_STEP).sum(-1)
        total = best[:, :, None] + length
        came_from[t] = total.argmin(1)
        best = cost[t] + total.min(1)
    path = np.zeros(cost.shape[:2], np.int64)
    path[-1] = best.argmin(-1)
    for t in range(T - 1, 0, -1):
        path[t - 1] = np.take_along_axis(came_from[t], path[t][:, None], -1)[:, 0]
    return path
