"""Which of two keypoints that look alike is which, decided in all views of a demo together.

In each view the two are followed through time, but where they were hidden, or crossed, their names
may have changed, in one view and not in another. The rays of all views meet only if the names
agree, and a thing does not jump to the place of its twin. A path through the names of all views is
searched for that bends the rays least and jumps least.
"""

import itertools

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
MOST_VIEWS = 6  # of which the names are decided together: 2^6 = 64 possibilities
FLOOR_PX = 1.0  # is added to what is claimed
LASTING = 2.0  # errors last: so many frames count as one
MOST_OFF = 4.0  # what a ray that misses costs at most
FLIP_COST = 4.0  # of names that change in one view
FIRST_COST = 0.5  # of a view whose names are exchanged in the first frame
JUMP_SHARE, MOST_JUMP = 0.2, 20.0  # a step of this share of the pair's distance costs 1; at most
HUBER = 1.5
ROUNDS = 3


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

    Args:
        uv: (..., V, 2) [px].
        sd: (..., V) [px].
        cameras: (V, 3, 4).
    """
    deviation = np.hypot(sd, FLOOR_PX)
    weight = 1 / deviation**2
    rows = uv[..., None] * cameras[:, None, 2] - cameras[:, :2]  # (..., V, 2, 4)
    rows = rows / np.linalg.norm(rows[..., :3], axis=-1, keepdims=True)
    point = np.zeros((*uv.shape[:-2], 3))
    off = np.zeros_like(sd)
    for _ in range(ROUNDS + 1):
        weighted = rows * (weight / np.maximum(1, off / HUBER))[..., None, None]
        normal = np.einsum("...vci,...vcj->...ij", weighted[..., :3], rows[..., :3])
        side = -np.einsum("...vci,...vc->...i", weighted[..., :3], rows[..., 3])
        point = np.linalg.solve(normal + 1e-9 * np.eye(3), side[..., None])[..., 0]
        there = np.einsum("vci,...i->...vc", cameras[..., :3], point) + cameras[..., 3]
        depth = np.where(np.abs(there[..., 2:]) < 1e-9, 1e-9, there[..., 2:])
        off = np.linalg.norm(there[..., :2] / depth - uv, axis=-1) / deviation
    return point, off
