"""Cameras that look at a scene without being part of its model."""

import mujoco
import numpy as np

from pyrep_mujoco.vision.cameras import CameraSpec


def free_camera(spec: CameraSpec, distance: float = 1.0) -> mujoco.MjvCamera:
    """Return MuJoCo's free camera at a place, as its viewer uses it: without roll.

    Args:
        spec: a camera that stands still in the world.
        distance: from it to the point [m] that a viewer turns it about.
    """
    T = spec.T_world_cam()
    ahead = T[:3, 2]
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.lookat[:] = T[:3, 3] + distance * ahead
    camera.distance = distance
    camera.azimuth = np.rad2deg(np.arctan2(ahead[1], ahead[0]))
    camera.elevation = np.rad2deg(np.arcsin(np.clip(ahead[2], -1.0, 1.0)))
    return camera


def aim_eyes(scene: mujoco.MjvScene, spec: CameraSpec, shape: tuple[int, int]) -> None:
    """Give the eyes of a scene that is about to be drawn the exact pose and view angle of a camera.

    Args:
        scene: changed.
        spec: a camera that stands still in the world.
        shape: height and width of the image [px].
    """
    T, (height, width) = spec.T_world_cam(), shape
    slope = np.tan(np.deg2rad(spec.fov_deg) / 2) * min(1.0, height / width)
    for eye in scene.camera:
        eye.pos[:], eye.forward[:], eye.up[:] = T[:3, 3], T[:3, 2], -T[:3, 1]
        eye.frustum_top = slope * eye.frustum_near
        eye.frustum_bottom = -eye.frustum_top
