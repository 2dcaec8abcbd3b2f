"""Camera conventions: calibration matrices, projection, and PyRep's form of both."""

from pyrep_mujoco.vision.cameras import (
    CameraSpec,
    camera_from_mujoco,
    extrinsics,
    intrinsics,
    mujoco_camera,
    project,
    project_views,
    pyrep_extrinsics,
    pyrep_intrinsics,
    unproject_depth,
)

__all__ = [
    "CameraSpec",
    "camera_from_mujoco",
    "extrinsics",
    "intrinsics",
    "mujoco_camera",
    "project",
    "project_views",
    "pyrep_extrinsics",
    "pyrep_intrinsics",
    "unproject_depth",
]
