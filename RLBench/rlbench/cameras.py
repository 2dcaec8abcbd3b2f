"""The cameras of RLBench's scenes, and how to add one; conventions and matrices by name.

A camera of your own, before a scene is loaded:

    register_camera(CameraSpec.look_at("side", position=(0.3, 1.2, 1.4), target=(0.3, 0.0, 0.8)))
"""

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

__all__ = [
    "CAMERAS",
    "CameraSpec",
    "camera_from_mujoco",
    "extrinsics",
    "intrinsics",
    "mujoco_camera",
    "project",
    "project_views",
    "pyrep_extrinsics",
    "pyrep_intrinsics",
    "register_camera",
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
