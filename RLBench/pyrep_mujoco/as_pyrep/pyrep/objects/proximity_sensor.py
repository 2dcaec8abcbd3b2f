"""Proximity sensors."""

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import sensing


class ProximitySensor(Object):
    """Detects objects within a volume."""

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.PROXIMITY_SENSOR

    def read(self) -> float:
        """Return the distance of the nearest detectable object [m], -1 where there is none."""
        return sensing.read_proximity(current(), self._handle)

    def is_detected(self, obj: Object) -> bool:
        """Tell whether an object is in the volume, detectable or not."""
        return sensing.is_detected(current(), self._handle, obj.get_handle())


object_type_to_class[ObjectType.PROXIMITY_SENSOR] = ProximitySensor
