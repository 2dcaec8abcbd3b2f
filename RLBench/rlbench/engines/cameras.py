"""Camera conventions: calibration matrices, projection, and PyRep's form of both."""

from pyrep_mujoco.vision.cameras import (
    CameraSpec,
    extrinsics,
    intrinsics,
    project,
    project_views,
    pyrep_extrinsics,
    pyrep_intrinsics,
    unproject_depth,
)

__all__ = [
    "CameraSpec",
    "extrinsics",
    "intrinsics",
    "project",
    "project_views",
    "pyrep_extrinsics",
    "pyrep_intrinsics",
    "unproject_depth",
]
