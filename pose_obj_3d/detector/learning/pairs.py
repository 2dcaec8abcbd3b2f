"""Two keypoints that look alike, through the frames of one view.

A heatmap of such a keypoint often has a peak on both of them, and which one is higher may change
with the light or the turn of the hand. So what the two maps say of *places* is put together, and
their path through time is found by how far the two would have to jump: things move little between
frames. What the maps say of *names* counts little in each frame, and all frames count together.

Where the middle between the two is another keypoint (the tip of a gripper is in the middle between
its fingers), it tells both where one is hidden: the other side of the middle is a place, too.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pose_obj_3d.detector.learning.linking import cheapest_paths

Floats = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.int64]
SAME_PLACE_PX = 3.0  # of 256: nearer candidates are the same place
TWICE_COST = 2.0  # of both at the same place
MISSING_COST = 4.0  # above its best candidate: of a place where a keypoint has none
NAME_SHARE, NAME_MOST = 0.1, 1.0  # of the costs in which the names differ; at most
MIRROR_COST = 5.0  # at most, of a place on the other side of the middle
MIDDLE_PX, MIDDLE_MOST = 2.0, 5.0  # of 256: off the middle by this costs 1; at most
LARGEST_STEP = 20.0  # costs no more than this, however long


class PairPath(NamedTuple):
    """Where the two are; the last axis of two is that of the keypoints.

    Attributes:
        uv: (T, 2, 2) [px].
        whose: (T, 2) 0 or 1: of which keypoint the candidate is.
        which: (T, 2) its number.
        is_mirrored: (T, 2) whether it lies on the other side of the middle from that candidate.
        off_middle: (T,) how far their middle is from where it should be [px]; 0 without a middle.
    """

    uv: Floats
    whose: Numbers
    which: Numbers
    is_mirrored: npt.NDArray[np.bool_]
    off_middle: Floats


class Middle(NamedTuple):
    """Where the middle between the two should be.

    Attributes:
        uv: (T, 2) [px].
        cost: (T,) what it costs there: the surer, the more it counts.
    """

    uv: Floats
    cost: Floats


def link_pair(uv: Floats, cost: Floats, middle: Middle | None, width: int, step: float) -> PairPath:
    """Choose the places of both in each frame.

    Args:
        uv: (T, 2, M, 2) candidates of both keypoints [px].
        cost: (T, 2, M) what each costs: less is better, in units of a log probability.
        middle: Where their middle should be; None where that is not known.
        width: Of the pictures [px].
        step: Length of a step that costs 1 [px].
    """
    T, _, M = cost.shape
    scale, N = width / 256, 2 * M
    places, same = uv.reshape(T, N, 2), _surest(uv, cost, SAME_PLACE_PX * scale)
    places = np.take_along_axis(places, same[..., None], 1)
    if middle is not None:
        places = np.concatenate([places, 2 * middle.uv[:, None] - places], 1)
    named = _costs_at(places, uv, cost, SAME_PLACE_PX * scale)  # (T, 2, P)
    free = named.min(1)
    if middle is not None:
        free[:, N:] = np.minimum(free[:, N:], MIRROR_COST + middle.cost[:, None])
    i, j = _combinations(N, middle is not None)
    first, second = places[:, i], places[:, j]
    straight, crossed = named[:, 0, i] + named[:, 1, j], named[:, 0, j] + named[:, 1, i]
    total = free[:, i] + free[:, j]
    total += NAME_SHARE * np.clip((straight - crossed) / 2, -NAME_MOST, NAME_MOST)
    gap = np.linalg.norm(first - second, axis=-1)
    total += TWICE_COST * (gap < SAME_PLACE_PX * scale)
    off = np.zeros_like(gap)
    if middle is not None:
        off = np.linalg.norm((first + second) / 2 - middle.uv[:, None], axis=-1)
        sure = np.exp(-middle.cost)[:, None]
        total += sure * np.minimum(off / (MIDDLE_PX * scale), MIDDLE_MOST)
    both = np.stack([first, second], 2)  # (T, S, 2, 2)
    path = cheapest_paths(both[:, None], total[:, None], step, LARGEST_STEP)[:, 0]
    chosen = np.stack([i[path], j[path]], -1)  # (T, 2)
    frames = np.arange(T)
    source = np.take_along_axis(same, chosen % N, 1)
    return PairPath(
        both[frames, path], source // M, source % M, chosen >= N, np.asarray(off[frames, path])
    )


def _surest(uv: Floats, cost: Floats, near: float) -> Numbers:
    """Return for each candidate of both (T, 2 M) the number of the surest one at its place."""
    places, costs = uv.reshape(len(uv), -1, 2), cost.reshape(len(cost), -1)
    gap = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    return np.asarray(np.where(gap < near, costs[:, None], np.inf).argmin(-1))


def _costs_at(places: Floats, uv: Floats, cost: Floats, near: float) -> Floats:
    """Return what each of the two keypoints costs at each place (T, 2, P)."""
    gap = np.linalg.norm(places[:, None, :, None] - uv[:, :, None], axis=-1)  # (T, 2, P, M)
    there = np.where(gap < near, cost[:, :, None], np.inf).min(-1)
    return np.asarray(np.minimum(there, MISSING_COST + cost.min(-1)[..., None]))


def _combinations(count: int, has_middle: bool) -> tuple[Numbers, Numbers]:
    """Return the numbers of the places of both: any two candidates, or one and its mirror."""
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    if has_middle:
        pairs += [(i, count + i) for i in range(count)] + [(count + i, i) for i in range(count)]
    i, j = np.array(pairs, np.int64).T
    return i, j
