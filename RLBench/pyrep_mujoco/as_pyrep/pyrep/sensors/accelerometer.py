"""A mass on a force sensor."""

from pyrep.const import ObjectType
from pyrep.objects.force_sensor import ForceSensor
from pyrep.objects.object import Object
from pyrep.objects.shape import Shape


class Accelerometer(Object):
    """A model with a small mass `<name>_mass` on a force sensor `<name>_force_sensor`."""

    def __init__(self, name: str) -> None:
        """Find it in the scene."""
        super().__init__(name)
        self._mass_object = Shape(f"{self.get_name()}_mass")
        self._sensor = ForceSensor(f"{self.get_name()}_force_sensor")

    def _get_requested_type(self) -> ObjectType:
        return self.get_type()

    def read(self) -> list[float]:
        """Return (3,) force of the mass on its sensor over the mass [m/s^2], in the sensor's frame.

        At rest that is gravity, which points down.
        """
        mass = self._mass_object.get_mass()
        return [force / mass for force in self._sensor.read()[0]]
