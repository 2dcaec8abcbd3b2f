"""All kinds of objects."""

from pyrep.objects.camera import Camera
from pyrep.objects.cartesian_path import CartesianPath
from pyrep.objects.dummy import Dummy
from pyrep.objects.force_sensor import ForceSensor
from pyrep.objects.joint import Joint
from pyrep.objects.light import Light
from pyrep.objects.object import Object
from pyrep.objects.octree import Octree
from pyrep.objects.proximity_sensor import ProximitySensor
from pyrep.objects.shape import Shape
from pyrep.objects.vision_sensor import VisionSensor

__all__ = [
    "Camera",
    "CartesianPath",
    "Dummy",
    "ForceSensor",
    "Joint",
    "Light",
    "Object",
    "Octree",
    "ProximitySensor",
    "Shape",
    "VisionSensor",
]
