"""A model that tells how it turns."""

import numpy as np

from pyrep.const import ObjectType
from pyrep.objects.object import Object
from pyrep_mujoco import transforms as tf
from pyrep_mujoco.session.current import current


class Gyroscope(Object):
    """Tells by how much it has turned since it was read last."""

    def __init__(self, name: str) -> None:
        """Find it in the scene, and remember how it is turned."""
        super().__init__(name)
        self._last_time = current().physics.time
        self._last_rotation = self.get_matrix()[:3, :3]

    def _get_requested_type(self) -> ObjectType:
        return self.get_type()

    def read(self) -> list[float]:
        """Return (3,) angles turned about its axes, over the time since the last reading [rad/s].

        Zeros where no time has passed.
        """
        time, R = current().physics.time, self.get_matrix()[:3, :3]
        seconds, before = time - self._last_time, self._last_rotation
        self._last_time, self._last_rotation = time, R
        if seconds == 0:
            return [0.0, 0.0, 0.0]
        return [float(angle) for angle in tf.matrix_to_euler(np.asarray(before.T @ R)) / seconds]
