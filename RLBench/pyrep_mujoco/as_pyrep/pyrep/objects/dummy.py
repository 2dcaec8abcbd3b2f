"""Dummies: points with an orientation."""

import numpy as np

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.ttm.reading.model import Dummy as DummyObject


class Dummy(Object):
    """A point with an orientation."""

    @staticmethod
    def create(size: float = 0.01) -> "Dummy":
        """Add a dummy at the origin."""
        new = DummyObject(name="Dummy", handle=0, parent=None, pose=np.eye(4), size=float(size))
        return Dummy(current().add(new))

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.DUMMY


object_type_to_class[ObjectType.DUMMY] = Dummy
