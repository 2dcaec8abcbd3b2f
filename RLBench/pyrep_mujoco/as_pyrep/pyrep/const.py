"""Constants, by PyRep's names and CoppeliaSim's numbers."""

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
    "PYREP_SCRIPT_TYPE",
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

PYREP_SCRIPT_TYPE = 2
