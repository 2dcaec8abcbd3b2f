"""The cameras of RLBench's scenes, and how to add one; conventions and matrices by name.

A camera of your own, before a scene is loaded:

    register_camera(CameraSpec.look_at("side", position=(0.3, 1.2, 1.4), target=(0.3, 0.0, 0.8)))
"""

from dataclasses import replace

import numpy as np

from rlbench.engines.cameras import (
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
from rlbench.engines.errors import SceneError

__all__ = [
    "CAMERAS",
    "CINEMATIC",
    "TURNING_POINT",
    "CameraSpec",
    "View",
    "camera_from_mujoco",
    "extrinsics",
    "intrinsics",
    "looking",
    "mujoco_camera",
    "project",
    "project_views",
    "pyrep_extrinsics",
    "pyrep_intrinsics",
    "register_camera",
    "turned",
    "unproject_depth",
]

_SIN5, _COS5 = 0.0871557427476582, 0.9961946980917455

CAMERAS: dict[str, CameraSpec] = {
    spec.name: spec
    for spec in (
        CameraSpec(
            "left_shoulder",
            (-0.175, 0.2, 1.98),
            (
                (0.17364818, 0.89253885, 0.4161981),
                (0.98480779, -0.15737867, -0.07338715),
                (0.0, 0.42261866, -0.9063077),
            ),
            far=3.2,
        ),
        CameraSpec(
            "right_shoulder",
            (-0.175, -0.2, 1.98),
            (
                (-0.17364836, 0.89253885, 0.4161981),
                (0.98480779, 0.15737879, 0.07338691),
                (0.0, 0.42261863, -0.9063077),
            ),
            far=3.2,
        ),
        CameraSpec(
            "overhead",
            (-0.175, 0.0, 2.43),
            ((0.0, 0.9063077, 0.42261863), (1.0, 0.0, 0.0), (0.0, 0.42261863, -0.9063077)),
            far=3.3,
        ),
        CameraSpec(
            "front",
            (1.35, 0.0, 1.58),
            ((0.0, -0.42261794, -0.90630794), (-1.0, 0.0, 0.0), (0.0, 0.90630794, -0.42261791)),
            far=4.5,
        ),
        CameraSpec(
            "wrist",
            (0.05, 0.0, 0.0),
            ((0.0, _COS5, -_SIN5), (-1.0, 0.0, 0.0), (0.0, _SIN5, _COS5)),
            fov_deg=60.0,
            parent="Panda_gripper",
        ),
    )
}
"""The cameras by name, in order of channels and files. Append only; see `register_camera`."""

CINEMATIC = CameraSpec(
    "cinematic",
    (1.675, 0.0, 2.28),
    ((0.0, -0.70710678, -0.70710678), (-1.0, 0.0, 0.0), (0.0, 0.70710678, -0.70710678)),
    fov_deg=91.5,
    far=10.0,
)
"""RLBench's `cam_cinematic_placeholder`, for pictures that people look at. The view angle is 60
degrees over the height of a 16:9 picture, which shows the whole robot and table. No scene holds
this camera, and it makes no observations."""
View = str | CameraSpec
"""What a picture is taken with: the name of a camera (see `looking`), or one of your own."""
TURNING_POINT = (0.4, 0.0, 0.752)
"""RLBench's `cam_cinematic_base` [m]: what the cinematic camera goes round."""


def looking(name: str) -> CameraSpec:
    """Return a camera that pictures can be taken with: of the table, or the cinematic one.

    Raises:
        SceneError: there is none of that name.
    """
    known = {CINEMATIC.name: CINEMATIC, **CAMERAS}
    if name not in known:
        raise SceneError(f"camera {name!r} is unknown; there are {sorted(known)}")
    return known[name]


def turned(spec: CameraSpec, angle: float) -> CameraSpec:
    """Return a camera that has gone round the vertical through `TURNING_POINT`.

    Args:
        spec: a camera that stands still in the world.
        angle: counter-clockwise from above [rad].
    """
    c, s = float(np.cos(angle)), float(np.sin(angle))
    R = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    centre = np.array(TURNING_POINT)
    x, y, z = (centre + R @ (np.array(spec.position) - centre)).tolist()
    a, b, d = ((float(i), float(j), float(k)) for i, j, k in R @ np.array(spec.rotation))
    return replace(spec, position=(x, y, z), rotation=(a, b, d))


def register_camera(spec: CameraSpec) -> None:
    """Add a camera to the table, before the scenes that show it are loaded.

    Raises:
        ValueError: another camera has this name.
    """
    if CAMERAS.get(spec.name, spec) != spec:
        raise ValueError(
            f"camera {spec.name!r} exists already; choose another name than {list(CAMERAS)}"
        )
    CAMERAS[spec.name] = spec
