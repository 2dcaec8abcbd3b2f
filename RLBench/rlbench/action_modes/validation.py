"""What every action must fulfil."""

import numpy as np
import numpy.typing as npt

from rlbench.backend.exceptions import InvalidActionError
from rlbench.backend.robot import Robot
from rlbench.engines import transforms as tf
from rlbench.engines.transforms import Floats

UNIT_TOLERANCE = 1e-4
"""How far the length of a quaternion may be from 1; 32 bit floats are within 1e-7."""


def checked(action: npt.ArrayLike, shape: tuple[int, ...], what: str) -> Floats:
    """Return an action as 64 bit floats.

    Args:
        action: what the caller gave.
        shape: what it must have.
        what: names the action mode in the message.

    Raises:
        InvalidActionError: wrong shape, or not finite.
    """
    values = np.asarray(action, np.float64)
    if values.shape != shape:
        raise InvalidActionError(f"{what}: the action has shape {values.shape}, it must be {shape}")
    if not np.isfinite(values).all():
        raise InvalidActionError(f"{what}: the action {values.tolist()} has numbers not finite")
    return values


def assert_action_shape(action: npt.ArrayLike, expected_shape: tuple[int, ...]) -> None:
    """Refuse an action of another shape; for modes of one's own.

    Raises:
        InvalidActionError: it has another shape, or is not finite.
    """
    checked(action, tuple(expected_shape), "action")


def assert_unit_quaternion(quat: npt.ArrayLike) -> None:
    """Refuse a quaternion whose length is not 1; for modes of one's own.

    Raises:
        InvalidActionError: its length is not 1.
    """
    unit_quaternion(np.asarray(quat, np.float64), "action")


def calculate_delta_pose(robot: Robot, action: npt.ArrayLike) -> list[float]:
    """Return the tip's pose, position [m] and quaternion xyzw, after a relative (7,) action.

    The position is added and the rotation comes after the tip's own, both along the world's axes.
    """
    delta, pose = np.asarray(action, np.float64), robot.arm.get_tip().get_pose()
    turn, now = (tf.quat_wxyz_to_matrix(tf.xyzw_to_wxyz(p[3:])) for p in (delta, pose))
    quat = tf.wxyz_to_xyzw(tf.matrix_to_quat_wxyz(turn @ now))
    return [*(pose[:3] + delta[:3]).tolist(), *quat.tolist()]


def unit_quaternion(quaternion: Floats, what: str) -> Floats:
    """Return a (4,) quaternion xyzw at exactly unit length.

    Raises:
        InvalidActionError: its length is not 1.
    """
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise InvalidActionError(
            f"{what}: the quaternion {quaternion.tolist()} (xyzw) has length {length:.6g}, "
            "it must have length 1; divide it by its norm"
        )
    return quaternion / length
