"""PyRep's constants by its names; most are without effect here."""

from rlbench.engines.object_types import (
    ConfigurationPathAlgorithms,
    JointMode,
    JointType,
    ObjectType,
    PerspectiveMode,
    PrimitiveShape,
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
