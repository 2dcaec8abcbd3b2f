"""Force sensors."""

import numpy as np

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import sensing
from pyrep_mujoco.ttm.reading.model import ForceSensor as ForceSensorObject


class ForceSensor(Object):
    """A rigid bond that measures what it carries."""

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.FORCE_SENSOR

    @classmethod
    def create(cls, sensor_size: float = 0.01) -> "ForceSensor":
        """Add a force sensor at the origin; its size would only be drawn."""
        new = ForceSensorObject(name="Force_sensor", handle=0, parent=None, pose=np.eye(4))
        return cls(current().add(new))

    def read(self) -> tuple[list[float], list[float]]:
        """Return (3,) force [N] and (3,) torque [N m] of what it carries on it, its axes."""
        return sensing.read_force(current(), self._handle)


object_type_to_class[ObjectType.FORCE_SENSOR] = ForceSensor
