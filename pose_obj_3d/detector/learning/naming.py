"""Which of two keypoints that look alike is which, decided in all views of a demo together.

In each view the two are followed through time, but where they were hidden, or crossed, their names
may have changed, in one view and not in another. The rays of all views meet only if the names
agree, and a thing does not jump to the place of its twin. A path through the names of all views is
searched for that bends the rays least and jumps least.
"""

import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import linear

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
MOST_VIEWS = 6  # of which the names are decided together: 2^6 = 64 possibilities
FLOOR_PX = 1.0  # is added to what is claimed
LASTING = 2.0  # errors last: so many frames count as one
MOST_OFF = 4.0  # what a ray that misses costs at most
FLIP_COST = 4.0  # of names that change in one view
FIRST_COST = 0.5  # of a view whose names are exchanged in the first frame
JUMP_SHARE, MOST_JUMP = 0.2, 20.0  # a step of this share of the pair's distance costs 1; at most
HUBER, ROUNDS = 1.5, 3  # of a point from several rays


def find_exchanges(uv: Floats, sd: Floats, cameras: Floats) -> Flags:
    """Find in which frames and views the names of two keypoints must be exchanged.

    Args:
        uv: (V, T, 2, 2) of both keypoints [px].
        sd: (V, T, 2) claimed standard deviations [px].
        cameras: (V, 3, 4) projections, world [m] to image [px].

    Returns:
        (V, T). All False for a single view, and for more than `MOST_VIEWS`.
    """
    V, T = uv.shape[:2]
    if not 2 <= V <= MOST_VIEWS or T == 0:
        return np.zeros((V, T), bool)
    states = np.array(list(itertools.product((False, True), repeat=V)))  # (S, V)
    turned = states[:, :, None, None]
    points, misses = [], []
    for own, other in ((0, 1), (1, 0)):
        place = np.where(turned, uv[None, :, :, other], uv[None, :, :, own])  # (S, V, T, 2)
        size = np.where(turned[..., 0], sd[None, :, :, other], sd[None, :, :, own])
        x, off = _meet(place.swapaxes(1, 2), size.swapaxes(1, 2), cameras)
        points.append(x)
        misses.append(np.minimum(off**2 / 2, MOST_OFF).sum(-1))
    cost = (misses[0] + misses[1]) / LASTING  # (S, T)
    distance = np.median(np.linalg.norm(points[0][0] - points[1][0], axis=-1))
    unit = max(JUMP_SHARE * float(distance), 1e-6)
    flips = FLIP_COST * (states[:, None] != states[None]).sum(-1)
    best = cost[:, 0] + FIRST_COST * states.sum(-1)
    came_from = np.zeros((T, len(states)), np.int64)
    for t in range(1, T):
        step = sum(np.linalg.norm(x[None, :, t] - x[:, None, t - 1], axis=-1) for x in points)
        total = best[:, None] + flips + np.minimum(step / unit, MOST_JUMP)
        came_from[t] = total.argmin(0)
        best = cost[:, t] + total.min(0)
    path = np.zeros(T, np.int64)
    path[-1] = best.argmin()
    for t in range(T - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return np.ascontiguousarray(states[path].T)


def _meet(uv: Floats, sd: Floats, cameras: Floats) -> tuple[Floats, Floats]:
    """Return the points (..., 3) [m] nearest to rays, and how far rays miss them, in deviations.

    The Huber loss of `geometry` turns linear at one length in px for all; here it does so at a
    number of claimed deviations, so the weights are those of each detection.

    Args:
        uv: (..., V, 2) [px].
        sd: (..., V) [px].
        cameras: (V, 3, 4).
    """
    seen, deviation = (
        torch.from_numpy(np.ascontiguousarray(x)) for x in (uv, np.hypot(sd, FLOOR_PX))
    )
    P = torch.from_numpy(np.ascontiguousarray(cameras)).to(seen)
    rig = torch.eye(3).to(P).expand(len(P), 3, 3), P

    def misses(x: Tensor) -> Tensor:
        off = seen - geometry.project(x, *rig)[0]
        ratio: Tensor = off.norm(dim=-1) / deviation
        return ratio

    weights = deviation.pow(-2)
    point = linear(seen, weights, *rig)
    for _ in range(ROUNDS):
        robust = weights / (misses(point) / HUBER).clamp_min(1)
        point = geometry.refine_ml(point, seen, robust, *rig, iterations=1)
    # Rays that do not meet anywhere miss each other as far as can be.
    off = misses(point).nan_to_num(torch.inf, torch.inf)
    return point.nan_to_num(0.0, 0.0, 0.0).numpy(), off.numpy()
