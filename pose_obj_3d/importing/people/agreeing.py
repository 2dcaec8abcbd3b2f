"""Of several people in each view, find the one whom the views agree on, steadily in time.

In each frame, each person of each view proposes partners in the other views: those whose keypoints
lie nearest to the epipolar lines. A proposal is the better the more views it has and the better
they agree. The sequence of proposals with the best sum is taken; a change of person costs.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pose_obj_3d.geometry.lenses import inverted
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.tracks.views import Floats

AGREE = 0.02
"""Mean distance from epipolar lines at which views no longer agree, as a share of focal length."""
CHANGE_COST = 2.0  # a person who jumps by his own size in all views
_FEW_KEYPOINTS = 3  # fewer common ones tell nothing
_FRAMES_AT_ONCE = 2000
Numbers = npt.NDArray[np.int64]


def choose_person(
    points: Sequence[Floats], confidence: Sequence[Floats], cameras: Calibration
) -> tuple[Numbers, Floats]:
    """Choose in each frame and view.

    Args:
        points: Of each of the V cameras (T, P, K, 2) [px], as recorded; P may differ.
        confidence: Likewise (T, P, K); 0 = missing.
        cameras: V cameras.

    Returns:
        Person (V, T), -1 where nobody fits; and how many views agree (T,).
    """
    T = len(points[0])
    rays = [_rays(points[v], cameras, v) for v in range(len(points))]
    slots = [(v, p) for v in range(len(points)) for p in range(points[v].shape[1])]
    partners = np.full((T, len(slots), len(points)), -1)
    gain = np.zeros((T, len(slots)))
    for start in range(0, T, _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        partners[part], gain[part] = _proposals(
            [r[part] for r in rays], [c[part] for c in confidence], cameras, slots
        )
    path = _best_path(partners, gain, points)
    chosen = np.take_along_axis(partners, path[:, None, None], 1)[:, 0].T
    return chosen, (chosen >= 0).sum(0)


def _rays(points: Floats, cameras: Calibration, v: int) -> Floats:
    """Return points without distortion at depth 1, (T, P, K, 2)."""
    K, flat = cameras.intrinsics[v], points.reshape(-1, 2).astype(np.float64)
    seen = np.isfinite(flat).all(-1)
    ideal = np.full_like(flat, np.nan)
    ideal[seen] = inverted(flat[seen], K, cameras.distortion[v], cameras.lenses[v])
    rays: Floats = ((ideal - K[:2, 2]) / K[[0, 1], [0, 1]]).reshape(points.shape)
    return rays


def _proposals(
    rays: list[Floats], confidence: list[Floats], cameras: Calibration, slots: list[tuple[int, int]]
) -> tuple[Numbers, Floats]:
    """Return each proposal's people (T, S, V) and its worth (T, S)."""
    T, V = len(rays[0]), len(rays)
    partners = np.full((T, len(slots), V), -1)
    gain = np.zeros((T, len(slots)))
    certain = [c.mean(-1) for c in confidence]
    for s, (v, p) in enumerate(slots):
        is_there = confidence[v][:, p].max(-1) > 0
        partners[is_there, s, v] = p
        gain[:, s] = 0.1 * certain[v][:, p]
        for w in range(V):
            if w == v:
                continue
            distance = _epipolar(rays[v][:, p, None], rays[w], _essential(cameras, v, w))
            best = distance.argmin(-1)
            nearest = np.take_along_axis(distance, best[:, None], 1)[:, 0]
            agrees = is_there & (nearest < AGREE)
            partners[agrees, s, w] = best[agrees]
            worth = (1 - nearest / AGREE) * (0.5 + 0.5 * certain[w][np.arange(T), best])
            gain[:, s] += np.where(agrees, worth, 0.0)
    return partners, gain


def _essential(cameras: Calibration, v: int, w: int) -> Floats:
    """Return the matrix whose product with a ray of view v is its epipolar line in view w."""
    Rv, tv = cameras.extrinsics[v, :, :3], cameras.extrinsics[v, :, 3]
    Rw, tw = cameras.extrinsics[w, :, :3], cameras.extrinsics[w, :, 3]
    R = Rw @ Rv.T
    x, y, z = tw - R @ tv
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    found: Floats = cross @ R
    return found


def _epipolar(one: Floats, other: Floats, essential: Floats) -> Floats:
    """Return the mean distance between rays and epipolar lines (T, P), at depth 1; inf = unknown.

    Args:
        one: (T, 1, K, 2).
        other: (T, P, K, 2).
        essential: (3, 3).
    """
    a = np.concatenate([one, np.ones((*one.shape[:-1], 1))], -1)
    b = np.concatenate([other, np.ones((*other.shape[:-1], 1))], -1)
    in_other, in_one = a @ essential.T, b @ essential
    residual = np.abs((in_other * b).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = residual / np.sqrt(
            (in_other[..., :2] ** 2).sum(-1) / 2 + (in_one[..., :2] ** 2).sum(-1) / 2
        )
    count = np.isfinite(distance).sum(-1)
    capped = np.minimum(np.nan_to_num(distance, nan=0.0), 4 * AGREE)
    return np.where(count >= _FEW_KEYPOINTS, capped.sum(-1) / np.maximum(count, 1), np.inf)


def _best_path(partners: Numbers, gain: Floats, points: Sequence[Floats]) -> Numbers:
    """Return the proposal of each frame (T,) whose sum of worth less changes is the largest."""
    T, S, V = partners.shape
    jumps = [_jumps(view) for view in points]
    total, came_from = gain[0].copy(), np.zeros((T, S), np.int64)
    for t in range(1, T):
        cost, known = np.zeros((S, S)), np.zeros((S, S))
        for v in range(V):
            before, now = partners[t - 1, :, v], partners[t, :, v]
            both = (before >= 0)[:, None] & (now >= 0)
            jump = jumps[v][t - 1][before[:, None], now]
            cost += np.where(both, jump, 0.0)
            known += both
        mean = np.where(known > 0, cost / np.maximum(known, 1), 0.5)
        sums = total[:, None] - CHANGE_COST * mean
        came_from[t] = sums.argmax(0)
        total = sums.max(0) + gain[t]
    path = np.empty(T, np.int64)
    path[-1] = total.argmax()
    for t in range(T - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def _jumps(points: Floats) -> Floats:
    """Return how far people are from those one frame before (T - 1, P, P), in their size; <= 1."""
    size = _extent(points)
    distance = np.linalg.norm(points[:-1, :, None] - points[1:, None], axis=-1)
    count = np.isfinite(distance).sum(-1)
    mean = np.nan_to_num(distance).sum(-1) / np.maximum(count, 1)
    scale = np.maximum(np.maximum(size[:-1, :, None], size[1:, None]), 1.0)
    return np.where(count > 0, np.minimum(mean / scale, 1.0), 0.5)


def _extent(points: Floats) -> Floats:
    """Return the larger side of the box around a person (T, P) [px]; 0 where nobody is."""
    low = np.where(np.isfinite(points), points, np.inf).min(2)
    high = np.where(np.isfinite(points), points, -np.inf).max(2)
    size: Floats = (high - low).max(-1)
    return np.where(np.isfinite(size), size, 0.0)
