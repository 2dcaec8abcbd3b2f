"""Cartesian paths: from control points to the poses along them.

A curve through an inner control point M between A and B is a quadratic one from S, between the
middle of A M and M, to E, between M and the middle of M B.
"""

import numpy as np

from pyrep_mujoco.transforms import (
    Floats,
    matrix_to_quat_wxyz,
    pose_to_transform,
    quick_quat_wxyz,
    wxyz_to_xyzw,
)
from pyrep_mujoco.ttm.reading.model import ControlPoint, Path

AUTOMATIC, FLAT, X_UP = 8, 64, 2048
"""Bits of a path's attributes: its points turn by themselves, lie at its z = 0, keep x up."""
_BENT = 1e-6
"""Sine of the angle between two steps above which the path bends."""
_SAME_PLACE = 5e-5
"""Steps shorter than this [m] count by their angle."""
_IN_LINE = 1e-4
"""Angle [rad] below which directions count as one."""


def fine_points(path: Path) -> Floats:
    """Return the points of a path, through which it runs in straight lines.

    Returns:
        (N, 7) position [m] and quaternion xyzw in the path's frame. A closed path ends where it
        starts.
    """
    rows = _curve(path)
    if len(rows) and path.attributes & AUTOMATIC:
        x_up = bool(path.attributes & X_UP)
        turned = directions(rows[:, :3], is_closed=path.is_closed, x_up=x_up)
        rows[:, 3:] = [wxyz_to_xyzw(quick_quat_wxyz(R)) for R in turned]
    return rows


def _curve(path: Path) -> Floats:
    """Return (N, 7) points of a path, turned as its control points are."""
    points = [_Pose.of(point.pose) for point in path.points]
    count = len(points)
    if count < 3:
        out = points + points[:1] * (path.is_closed and count == 2)
        return np.array([pose.row() for pose in out]).reshape(-1, 7)
    fine: list[Floats] = [] if path.is_closed else [points[0].row()[None]]
    for i in range(count) if path.is_closed else range(1, count - 1):
        around = points[i - 1], points[i], points[(i + 1) % count]
        fine.append(_rounded(*around, path.points[i]))
    fine.append(fine[0][:1] if path.is_closed else points[-1].row()[None])
    return np.concatenate(fine)


def pose_at(path: Path, fraction: float) -> Floats:
    """Return the (4, 4) pose at a fraction, 0 to 1, of a path's length, in the path's frame.

    Raises:
        ValueError: the path has no points.
    """
    rows = fine_points(path)
    if len(rows) == 0:
        raise ValueError(f"the path {path.name!r} has no points")
    along = lengths(rows, path.angle_factor, path.length_method)
    target = float(np.clip(fraction, 0.0, 1.0)) * along[-1]
    i = int(np.clip(np.searchsorted(along, target, side="right") - 1, 0, max(len(rows) - 2, 0)))
    if len(rows) == 1 or along[i + 1] == along[i]:
        return pose_to_transform(rows[i])
    first, second = (_Pose.of(pose_to_transform(row)) for row in rows[i : i + 2])
    t = (target - along[i]) / (along[i + 1] - along[i])
    return pose_to_transform(first.towards(second, t).row())


def lengths(rows: Floats, angle_factor: float = 1.0, method: int = 5) -> Floats:
    """Return (N,) how far each of (N, 7) points lies along the path.

    Args:
        rows: position [m] and quaternion xyzw.
        angle_factor: what an angle [rad] counts.
        method: how a step counts, with d its distance and a its angle times the factor: 0 d, 1 a,
            2 the larger, 3 d + a, 4 the root of d^2 + a^2, 5 d, or a where there is no distance,
            6 a, or d where there is no angle.

    Raises:
        ValueError: the method is none of these.
    """
    d = np.linalg.norm(np.diff(rows[:, :3], axis=0), axis=1)
    cosine = np.abs(np.sum(rows[1:, 3:] * rows[:-1, 3:], axis=1))
    angle = 2.0 * np.arccos(np.clip(cosine, 0.0, 1.0))
    a = angle * angle_factor
    steps = (
        d,
        a,
        np.maximum(d, a),
        d + a,
        np.hypot(d, a),
        np.where(d < _SAME_PLACE, a, d),
        np.where(angle < _IN_LINE, d, a),
    )
    if not 0 <= method < len(steps):
        raise ValueError(f"length method {method} is unknown; 0 to {len(steps) - 1} are")
    return np.concatenate([[0.0], np.cumsum(steps[method])])


class _Pose:
    """A position (..., 3) and a unit quaternion wxyz (..., 4): one pose, or many."""

    def __init__(self, position: Floats, quat: Floats) -> None:
        self.position = position
        self.quat = quat

    @classmethod
    def of(cls, T: Floats) -> "_Pose":
        return cls(T[:3, 3], matrix_to_quat_wxyz(T[:3, :3]))

    def row(self) -> Floats:
        return np.concatenate([self.position, wxyz_to_xyzw(self.quat)], axis=-1)

    def towards(self, other: "_Pose", t: float | Floats) -> "_Pose":
        """Return the pose a fraction (...) of the way to another, along the shorter turn."""
        t = np.asarray(t)[..., None]
        cosine = np.sum(self.quat * other.quat, axis=-1, keepdims=True)
        end = np.where(cosine < 0, -other.quat, other.quat)
        angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
        is_straight = angle < 1e-7
        first = np.where(is_straight, 1 - t, np.sin((1 - t) * angle))
        second = np.where(is_straight, t, np.sin(t * angle))
        quat = first * self.quat + second * end
        position = (1 - t) * self.position + t * other.position
        return _Pose(position, quat / np.linalg.norm(quat, axis=-1, keepdims=True))


def _rounded(before: _Pose, middle: _Pose, after: _Pose, point: ControlPoint) -> Floats:
    """Return the (N, 7) fine points that stand for an inner control point."""
    if point.count <= 1 or _is_straight(before, middle, after):
        return middle.row()[None]
    start = before.towards(middle, 0.5).towards(middle, 1.0 - point.before)
    end = after.towards(middle, 0.5).towards(middle, 1.0 - point.after)
    t = np.linspace(0.0, 1.0, point.count)
    return start.towards(middle, t).towards(middle.towards(end, t), t).row()


def _is_straight(before: _Pose, middle: _Pose, after: _Pose) -> bool:
    """Tell whether three poses lie in line and turn about one axis."""
    arriving, leaving = middle.position - before.position, after.position - middle.position
    if not _parallel(arriving, leaving, _SAME_PLACE):
        return False
    return _parallel(_turn(before, middle), _turn(middle, after), _IN_LINE)


def _turn(first: _Pose, second: _Pose) -> Floats:
    """Return (3,) axis times angle [rad] of the turn from one pose to another."""
    R = pose_to_transform(second.row())[:3, :3] @ pose_to_transform(first.row())[:3, :3].T
    quat = matrix_to_quat_wxyz(R)
    size = np.linalg.norm(quat[1:])
    if size < 1e-12:
        return np.zeros(3)
    out: Floats = quat[1:] / size * 2.0 * np.arctan2(size, quat[0])
    return out


def _parallel(a: Floats, b: Floats, nothing: float) -> bool:
    """Tell whether two vectors point the same way, or one is shorter than `nothing`."""
    sizes = np.linalg.norm(a), np.linalg.norm(b)
    if min(sizes) < nothing:
        return True
    return bool(a @ b > 0 and np.linalg.norm(np.cross(a, b)) < _IN_LINE * sizes[0] * sizes[1])


# ---- orientations that a path gives its own points ----------------------------------------------


def directions(points: Floats, *, is_closed: bool, x_up: bool) -> Floats:
    """Return how the points of a path are turned.

    In a bend y points out of the curve; between bends it turns evenly from one to the next.

    Args:
        points: (N, 3) in the path's frame [m]; those of a closed path end where they start.
        is_closed: the path goes on from its end to its start.
        x_up: x is as near to the path's z as can be.

    Returns:
        (N, 3, 3) rotations in the path's frame.
    """
    is_new = np.r_[True, np.linalg.norm(np.diff(points, axis=0), axis=1) > 0]
    places = points[is_new]
    number = np.cumsum(is_new) - 1
    if is_closed and len(places) > 1 and not (places[0] - places[-1]).any():
        places = places[:-1]
        number %= len(places)
    if len(places) == 1:
        return np.repeat(np.eye(3)[None], len(points), axis=0)
    out: Floats = _turned(places, is_closed, x_up)[number]
    return out


def _turned(places: Floats, is_closed: bool, x_up: bool) -> Floats:
    """Return (N, 3, 3) rotations of at least two places, no two neighbours at one place."""
    gaps = np.roll(places, -1, axis=0) - places
    sizes = np.linalg.norm(gaps, axis=1)
    ahead = gaps / np.maximum(sizes, 1e-300)[:, None]
    if not is_closed:
        ahead[-1] = ahead[-2]
    behind = np.roll(ahead, 1, axis=0)
    if not is_closed:
        behind[0] = ahead[0]
    is_bent = np.linalg.norm(np.cross(behind, ahead), axis=1) > _BENT
    z = np.where(is_bent[:, None], _unit(behind + ahead), behind)
    if x_up:
        return _upright(z)
    if not is_bent.any():
        steep = abs(z[0, 2]) if z[0, 2] > 0 else 0.0
        up = np.array([1.0, 0.0, 0.0] if steep >= 0.9 else [0.0, 0.0, 1.0])
        return _frames(np.repeat(up[None], len(z), axis=0), np.repeat(z[:1], len(z), axis=0))
    along = np.concatenate([[0.0], np.cumsum(sizes)])
    bends = np.flatnonzero(is_bent)
    out = _unit(behind[bends] - ahead[bends])
    knots, values = _knots(along[bends], out, z[bends], along[-1] if is_closed else None)
    period = float(along[-1]) if is_closed else None
    y = np.stack([np.interp(along[:-1], knots, values[:, i], period=period) for i in range(3)], 1)
    return _frames(y, z)


def _knots(where: Floats, y: Floats, z: Floats, length: float | None) -> tuple[Floats, Floats]:
    """Return where y is known, and (K, 3) y; where it turns over, it goes by the side, -x."""
    places, values = list(where), list(y)
    following = len(where) if length is not None else len(where) - 1
    for i in range(following):
        j = (i + 1) % len(where)
        if y[i] @ y[j] < -0.999:
            end = where[j] if j > i else where[j] + (length or 0.0)
            places.append(0.5 * (where[i] + end))
            values.append(-np.cross(y[i], z[i]))
    order = np.argsort(places)
    return np.array(places)[order], np.array(values)[order]


def _frames(y: Floats, z: Floats) -> Floats:
    """Return (N, 3, 3) rotations of given z, and of y as near as can be."""
    x = _unit(np.cross(y, z))
    return np.stack([x, np.cross(z, x), z], axis=2)


def _upright(z: Floats) -> Floats:
    """Return (N, 3, 3) rotations of given z, x as near to the path's z as can be."""
    y = np.cross(z, [0.0, 0.0, 1.0])
    is_up = np.linalg.norm(y, axis=1) < _BENT
    y = _unit(y)
    out = np.stack([np.cross(y, z), y, z], axis=2)
    out[is_up] = np.eye(3)
    return out


def _unit(vectors: Floats) -> Floats:
    sizes = np.linalg.norm(vectors, axis=-1, keepdims=True)
    out: Floats = vectors / np.maximum(sizes, 1e-300)
    return out
