"""Poses out of quaternions."""

import numpy as np

from pyrep_mujoco.transforms import Floats, invert, quat_wxyz_to_matrix, transform

__all__ = ["apply", "invert", "pose_from_quaternion"]


def pose_from_quaternion(position: Floats, quat_wxyz: Floats) -> Floats:
    """Return the (4, 4) pose of a (3,) position [m] and a (4,) quaternion of any length but 0."""
    return transform(position, quat_wxyz_to_matrix(quat_wxyz))


def apply(pose: Floats, points: Floats) -> Floats:
    """Return (..., 3) points moved by a (4, 4) pose."""
    out: Floats = np.asarray(points) @ pose[:3, :3].T + pose[:3, 3]
    return out
