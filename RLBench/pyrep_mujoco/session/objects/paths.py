"""Cartesian paths: their control points, and poses along them."""

from collections.abc import Sequence

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.paths import fine_points, pose_at
from pyrep_mujoco.ttm.reading.model import ControlPoint, Path


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
    """Add control points at the end of a path.

    Args:
        session: the scene.
        handle: of the path.
        rows: position [m] and Euler angles [rad] in the path's frame.

    Raises:
        CallError: a row is not six numbers.
    """
    path = session.document.of_kind(handle, Path, "path")
    for row in rows:
        numbers = np.asarray(row, float)
        if numbers.shape != (6,) or not np.isfinite(numbers).all():
            raise CallError(
                f"path {path.name!r}: a control point is x, y, z and three Euler angles, found "
                f"{list(row)}"
            )
        T = tf.transform(numbers[:3], tf.euler_to_matrix(numbers[3:]))
        path.points.append(ControlPoint(T, 0.5, 0.5, 1))
