"""Cameras: views of CoppeliaSim's editor."""

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class


class Camera(Object):
    """A view of the editor, which only has a pose here."""

    @staticmethod
    def create() -> "Camera":
        """Refuse, as PyRep does."""
        raise NotImplementedError("API does not provide simCreateCamera.")

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.CAMERA


object_type_to_class[ObjectType.CAMERA] = Camera
