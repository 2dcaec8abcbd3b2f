"""Rotations and rigid transforms, as the engines compute them."""

from pyrep_mujoco.transforms import (
    Floats,
    box_corners,
    euler_to_matrix,
    invert,
    matrix_to_euler,
    matrix_to_quat_wxyz,
    pose_to_transform,
    quat_wxyz_to_matrix,
    transform,
    transform_to_pose,
    wxyz_to_xyzw,
    xyzw_to_wxyz,
)

__all__ = [
    "Floats",
    "box_corners",
    "euler_to_matrix",
    "invert",
    "matrix_to_euler",
    "matrix_to_quat_wxyz",
    "pose_to_transform",
    "quat_wxyz_to_matrix",
    "transform",
    "transform_to_pose",
    "wxyz_to_xyzw",
    "xyzw_to_wxyz",
]
