"""Suction cups: ends that hold what they are close to."""

from pyrep.objects.force_sensor import ForceSensor
from pyrep.objects.object import Object
from pyrep.objects.proximity_sensor import ProximitySensor
from pyrep.objects.shape import Shape
from pyrep.robots.end_effectors.holding import Holding


class SuctionCup(Shape):
    """A suction cup; what it detects can hang on it."""

    def __init__(self, count: int, name: str, base_name: str | None = None) -> None:
        """Find a suction cup in the scene.

        Args:
            count: which of several copies, 0 for the first.
            name: its sensor is `<name>_sensor`, what it holds hangs on `<name>_connection`.
            base_name: of its model, where that is not `name`.
        """
        suffix = "" if count == 0 else f"#{count - 1}"
        super().__init__((name if base_name is None else base_name) + suffix)
        self._proximity_sensor = ProximitySensor(f"{name}_sensor{suffix}")
        self._attach_point = ForceSensor(f"{name}_connection{suffix}")
        self._holding = Holding(self._proximity_sensor, self._attach_point)

    def grasp(self, obj: Object) -> bool:
        """Hold an object if it is detected, where it is; tell whether it is."""
        return self._holding.grasp(obj)

    def release(self) -> None:
        """Let all that is held go."""
        self._holding.release()

    def get_grasped_objects(self) -> list[Object]:
        """Return what is held."""
        return self._holding.objects()
