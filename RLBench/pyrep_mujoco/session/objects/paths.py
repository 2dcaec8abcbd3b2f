"""Cartesian paths: their control points, and poses along them."""

from collections.abc import Sequence

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.paths import FLAT, fine_points, pose_at
from pyrep_mujoco.ttm.reading.model import ControlPoint, Path

_ROUNDING, _CURVE_POINTS = (0.99, 0.99), 20
"""How PyRep's control points round the path: nearly half-way to their neighbours, in 20 points."""


def poses(session: Session, handle: int) -> list[Floats]:
    """Return the (4, 4) poses that a path goes through, world.

    Raises:
        CallError: it has no control points.
    """
    path = _filled(session, handle)
    T = session.document.world(handle)
    return [T @ tf.pose_to_transform(row) for row in fine_points(path)]


def _filled(session: Session, handle: int) -> Path:
    path = session.document.of_kind(handle, Path, "path")
    if not path.points:
        raise CallError(f"{session.document.label}: path {path.name!r} has no control points")
    return path


def pose_on_path(session: Session, handle: int, share: float) -> Floats:
    """Return the (4, 4) pose at a share, 0 to 1, of the length of a path, world."""
    path = _filled(session, handle)
    return session.document.world(handle) @ pose_at(path, float(np.clip(share, 0.0, 1.0)))


def insert_points(session: Session, handle: int, rows: Sequence[Sequence[float]]) -> None:
    """Put control points before those that a path has, as PyRep does.

    Args:
        session: the scene.
        handle: of the path.
        rows: position [m] and Euler angles [rad] in the path's frame.

    Raises:
        CallError: a row is not six numbers.
    """
    path = session.document.of_kind(handle, Path, "path")
    new = []
    for row in rows:
        numbers = np.asarray(row, float)
        if numbers.shape != (6,) or not np.isfinite(numbers).all():
            raise CallError(
                f"path {path.name!r}: a control point is x, y, z and three Euler angles, found "
                f"{list(row)}"
            )
        if path.attributes & FLAT:
            numbers = numbers * [1, 1, 0, 1, 1, 1]
        T = tf.transform(numbers[:3], tf.euler_to_matrix(numbers[3:]))
        new.append(ControlPoint(T, *_ROUNDING, _CURVE_POINTS))
    path.points[:0] = new
