"""One path through the candidates of all frames: what a single frame leaves open, others decide.

A look-alike that is far away, or a gross error of a few frames, costs two jumps; a path along the
keypoint's own candidates costs none. Where a thing rests, the place where it was found with
certainty before or after is a candidate too, for frames in which it is hidden. `pairs` follows two
keypoints that look alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.floating]
Choice = npt.NDArray[np.int64]
STEP_PX = 3.0  # of 256: a step of this length costs 1
NEVER = 1000.0  # cost of what is not possible
LARGEST_STEP = 5.0  # costs no more than this, however long
CERTAIN_COST = 0.3  # of a frame whose best candidate is sure


@dataclass(frozen=True)
class Links:
    """How a detector's keypoints move, and lie to each other.

    Attributes:
        rest_cost: (K,) what it costs to rest where a keypoint was certain in another frame;
            `NEVER` for keypoints that do not rest, and for those that look alike.
        middles: For each pair of keypoints that look alike the number of the keypoint in the
            middle between them; None where there is none.
    """

    rest_cost: Tensor
    middles: tuple[int | None, ...]

    def state(self) -> dict[str, object]:
        """Return it as tensors."""
        middles = [-1 if middle is None else middle for middle in self.middles]
        return {"rest_cost": self.rest_cost, "middles": torch.tensor(middles, dtype=torch.int64)}

    @staticmethod
    def from_state(state: dict[str, object], num_keypoints: int, num_pairs: int) -> "Links":
        """Read what `state` returned.

        Raises:
            ValueError: It is something else.
        """
        rest, middles = state.get("rest_cost"), state.get("middles")
        if not isinstance(rest, Tensor) or not isinstance(middles, Tensor):
            raise ValueError("calibration must say which keypoints rest and lie in the middle")
        if rest.shape != (num_keypoints,) or not bool(rest.isfinite().all()):
            raise ValueError("calibration must say of each keypoint whether it rests")
        numbers = middles.tolist()
        if middles.shape != (num_pairs,) or not all(n in range(-1, num_keypoints) for n in numbers):
            raise ValueError("calibration must name the middle of each pair, or -1")
        return Links(rest, tuple(None if n < 0 else int(n) for n in numbers))


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


def link(uv: Floats, cost: Floats, width: int) -> Choice:
    """Choose one candidate of each frame and keypoint.

    Args:
        uv: (T, K, M, 2) candidates [px].
        cost: (T, K, M) what each costs: less is better, in units of a log probability.
        width: Of the pictures [px].

    Returns:
        (T, K) numbers of candidates.
    """
    return cheapest_paths(uv[:, :, :, None], cost, STEP_PX * width / 256, LARGEST_STEP)


def cheapest_paths(points: Floats, cost: Floats, step: float, largest: float) -> Choice:
    """Find the cheapest path of each row of candidates, by dynamic programming.

    Args:
        points: (T, K, M, P, 2) the points of a candidate [px]; the steps of its P points add up.
        cost: (T, K, M) what each candidate costs.
        step: Length of a step that costs 1 [px].
        largest: A step costs no more than this.

    Returns:
        (T, K) numbers of candidates.
    """
    T = len(cost)
    came_from = np.zeros(cost.shape, np.int64)
    best = cost[0]
    for t in range(1, T):
        move = points[t, :, None] - points[t - 1, :, :, None]  # (K, before, now, P, 2)
        length = np.minimum(np.linalg.norm(move, axis=-1) / step, largest).sum(-1)
        total = best[:, :, None] + length
        came_from[t] = total.argmin(1)
        best = cost[t] + total.min(1)
    path = np.zeros(cost.shape[:2], np.int64)
    path[-1] = best.argmin(-1)
    for t in range(T - 1, 0, -1):
        path[t - 1] = np.take_along_axis(came_from[t], path[t][:, None], -1)[:, 0]
    return path
