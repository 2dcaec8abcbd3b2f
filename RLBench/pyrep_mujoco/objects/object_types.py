"""Kinds of objects and forms of made shapes, with PyRep's names and CoppeliaSim's numbers."""

from enum import Enum


class ObjectType(Enum):
    """What an object of a scene is."""

    ALL = -2
    SHAPE = 0
    JOINT = 1
    GRAPH = 2
    CAMERA = 3
    DUMMY = 4
    PROXIMITY_SENSOR = 5
    PATH = 8
    VISION_SENSOR = 9
    VOLUME = 10
    MILl = 11
    FORCE_SENSOR = 12
    LIGHT = 13
    MIRROR = 14
    OCTREE = 15


class PrimitiveShape(Enum):
    """Forms of shapes that tasks make."""

    CUBOID = 0
    SPHERE = 1
    CYLINDER = 2
    CONE = 3


KINDS = {
    "force_sensor": ObjectType.FORCE_SENSOR,
    "vision_sensor": ObjectType.VISION_SENSOR,
    "camera": ObjectType.CAMERA,
    "light": ObjectType.LIGHT,
    "path": ObjectType.PATH,
    "joint": ObjectType.JOINT,
}
"""By the word of a scene's `kind:` annotation."""
