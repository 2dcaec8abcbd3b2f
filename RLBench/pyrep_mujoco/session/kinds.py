"""Kinds of objects, by CoppeliaSim's numbers."""

from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.ttm.reading.model import (
    Camera,
    Dummy,
    ForceSensor,
    Joint,
    Light,
    OtherObject,
    Path,
    ProximitySensor,
    SceneObject,
    Shape,
    VisionSensor,
)

_KINDS: dict[type[SceneObject], ObjectType] = {
    Shape: ObjectType.SHAPE,
    Joint: ObjectType.JOINT,
    Camera: ObjectType.CAMERA,
    Dummy: ObjectType.DUMMY,
    ProximitySensor: ObjectType.PROXIMITY_SENSOR,
    Path: ObjectType.PATH,
    VisionSensor: ObjectType.VISION_SENSOR,
    ForceSensor: ObjectType.FORCE_SENSOR,
    Light: ObjectType.LIGHT,
}
_OTHERS = {
    "GRH": ObjectType.GRAPH,
    "MIL": ObjectType.MILl,
    "MIR": ObjectType.MIRROR,
    "OCT": ObjectType.OCTREE,
    "VOL": ObjectType.VOLUME,
}


def type_number(obj: SceneObject) -> int:
    """Return CoppeliaSim's number of the kind of an object."""
    if isinstance(obj, OtherObject):
        return _OTHERS.get(obj.tag, ObjectType.GRAPH).value
    return _KINDS[type(obj)].value
