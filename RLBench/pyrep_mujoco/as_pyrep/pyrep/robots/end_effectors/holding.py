"""What grippers and suction cups hold: things that hang on them while they are held."""

from pyrep.objects.force_sensor import ForceSensor
from pyrep.objects.object import Object
from pyrep.objects.proximity_sensor import ProximitySensor


class Holding:
    """Hangs objects that a sensor detects on a point of a hand, and back where they were."""

    def __init__(self, sensor: ProximitySensor, point: ForceSensor) -> None:
        self._sensor, self._point = sensor, point
        self._held: list[Object] = []
        self._parents: list[Object | None] = []

    def grasp(self, obj: Object) -> bool:
        """Hold an object if it is detected; tell whether it is."""
        is_detected = self._sensor.is_detected(obj)
        if is_detected and obj not in self._held:
            self._parents.append(obj.get_parent())
            self._held.append(obj)
            obj.set_parent(self._point, keep_in_place=True)
        return is_detected

    def release(self) -> None:
        """Hang all that is held, and still there, where it hung before."""
        for obj, parent in zip(self._held, self._parents, strict=True):
            if obj.still_exists():
                is_there = parent is None or parent.still_exists()
                obj.set_parent(parent if is_there else None, keep_in_place=True)
        self._held, self._parents = [], []

    def objects(self) -> list[Object]:
        """Return what is held."""
        return self._held
