"""Kinds of scene objects, forms of shapes that tasks make, and PyRep's other constants."""

from pyrep_mujoco.objects.object_types import ObjectType, PrimitiveShape
from pyrep_mujoco.pyrep_constants import (
    ConfigurationPathAlgorithms,
    JointMode,
    JointType,
    PerspectiveMode,
    RenderMode,
    TextureMappingMode,
    Verbosity,
)

__all__ = [
    "ConfigurationPathAlgorithms",
    "JointMode",
    "JointType",
    "ObjectType",
    "PerspectiveMode",
    "PrimitiveShape",
    "RenderMode",
    "TextureMappingMode",
    "Verbosity",
]
