"""Proximity sensors of a MuJoCo scene, by PyRep's names."""

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.objects.detection import parse_volume, surface_in_volume
from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.objects.scene_object import Frame, MujocoObject, SceneParts
from pyrep_mujoco.objects.shape import MujocoShape, shapes_beside_robot
from pyrep_mujoco.transforms import Floats

NEAREST = 5e-4
"""Precision of a proximity sensor's distance [m]."""


class MujocoProximitySensor(MujocoObject):
    """A sensing volume fixed to a body.

    Attributes:
        volume: function of (N, 3) points in the sensor's frame [m]; <= 0 exactly inside.
    """

    def __init__(self, parts: SceneParts, name: str, body: int) -> None:
        super().__init__(parts, name, body)
        self.volume = parse_volume(name, parts.world.notes.sensors[name])

    def get_type(self) -> ObjectType:
        """Return `ObjectType.PROXIMITY_SENSOR`."""
        return ObjectType.PROXIMITY_SENSOR

    def is_detected(self, obj: Frame) -> bool:
        """Tell whether a surface point of a shape, or a dummy's origin, is in the volume."""
        T = tf.invert(self.transform()) @ obj.get_matrix()
        if isinstance(obj, MujocoShape):
            return surface_in_volume(obj.triangles @ T[:3, :3].T + T[:3, 3], self.volume)
        return bool(self.volume(T[None, :3, 3])[0] <= 0)

    def read(self) -> float:
        """Return the distance of the nearest detectable surface in the volume [m], else -1."""
        shapes = shapes_beside_robot(self._world, self._table)
        found = [shape for shape in shapes if shape.is_detectable()]
        nearest = min((self._distance(shape) for shape in found), default=np.inf)
        return -1.0 if np.isinf(nearest) else float(nearest)

    def _distance(self, shape: MujocoShape) -> float:
        T = shape.get_matrix(self)
        triangles = shape.triangles @ T[:3, :3].T + T[:3, 3]
        if not surface_in_volume(triangles, self.volume):
            return float("inf")
        near, far = 0.0, float(np.linalg.norm(triangles, axis=2).max())
        while far - near > NEAREST:
            middle = (near + far) / 2

            def within(p: Floats, limit: float = middle) -> Floats:
                nearer: Floats = np.maximum(self.volume(p), np.linalg.norm(p, axis=1) - limit)
                return nearer

            near, far = (near, middle) if surface_in_volume(triangles, within) else (middle, far)
        return far
