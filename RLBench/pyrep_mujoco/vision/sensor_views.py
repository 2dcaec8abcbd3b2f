"""What a vision sensor sees: a view with planes and projection of its own, from anywhere.

The model has no such camera; the eyes of the scene that is about to be drawn are put in its place.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from pyrep_mujoco.transforms import Floats


@dataclass(frozen=True)
class Planes:
    """Between what distances a picture shows things, and how depth is kept in its buffer.

    Attributes:
        near: [m].
        far: [m].
        is_parallel: depth is kept evenly, as in parallel projections.
    """

    near: float
    far: float
    is_parallel: bool = False


@dataclass(frozen=True)
class SensorView:
    """A sensor at a moment; it looks along its z, y up and x to the left of the image.

    Attributes:
        key: of the sensor; its pictures of what stands still are kept under it.
        pose: (4, 4) sensor to world, row by row.
        planes: between which things are seen.
        size: over the longer side of the image: the full view angle [rad], or of a parallel
            projection its extent [m].
    """

    key: int
    pose: tuple[float, ...]
    planes: Planes
    size: float

    @classmethod
    def at(cls, key: int, T_world_sensor: Floats, planes: Planes, size: float) -> "SensorView":
        """Make a view from a (4, 4) pose."""
        return cls(key, tuple(np.asarray(T_world_sensor, float).ravel()), planes, size)

    def place(self) -> tuple[object, ...]:
        """Return what two views share that show the same."""
        return self.pose, self.planes, self.size

    def matrix(self) -> Floats:
        """Return (4, 4) sensor to world."""
        return np.array(self.pose).reshape(4, 4)

    def camera(self) -> mujoco.MjvCamera:
        """Return MuJoCo's free camera at the same place, from which its head light shines."""
        T = self.matrix()
        ahead = T[:3, 2]
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        camera.lookat[:] = T[:3, 3] + ahead
        camera.distance = 1.0
        camera.azimuth = np.rad2deg(np.arctan2(ahead[1], ahead[0]))
        camera.elevation = np.rad2deg(np.arcsin(np.clip(ahead[2], -1.0, 1.0)))
        return camera

    def aim(self, scene: mujoco.MjvScene, shape: tuple[int, int]) -> None:
        """Give the eyes of a scene this pose and projection.

        Args:
            scene: changed.
            shape: height and width of the image [px].
        """
        T, (height, width) = self.matrix(), shape
        near = self.planes.near
        half = 0.5 * self.size if self.planes.is_parallel else near * np.tan(0.5 * self.size)
        half *= min(1.0, height / width)
        for eye in scene.camera:
            eye.pos[:], eye.forward[:], eye.up[:] = T[:3, 3], T[:3, 2], T[:3, 1]
            eye.orthographic = int(self.planes.is_parallel)
            eye.frustum_near, eye.frustum_far, eye.frustum_center = near, self.planes.far, 0.0
            eye.frustum_top, eye.frustum_bottom = half, -half
            eye.frustum_width = half * width / height
