"""PyRep's constants by its names, with CoppeliaSim's values where scripts may print them."""

from enum import Enum

from rlbench.engines.object_types import ObjectType, PrimitiveShape

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


class JointType(Enum):
    """How a joint moves."""

    REVOLUTE = 10
    PRISMATIC = 11
    SPHERICAL = 12


class JointMode(Enum):
    """What moves a joint."""

    PASSIVE = 0
    IK = 2
    IK_DEPENDENT = 3
    DEPENDENT = 4
    FORCE = 5


class TextureMappingMode(Enum):
    """How a texture is wrapped."""

    PLANE = 0
    CYLINDER = 1
    SPHERE = 2
    CUBE = 3


class PerspectiveMode(Enum):
    """How a camera projects."""

    ORTHOGRAPHIC = 0
    PERSPECTIVE = 1


class RenderMode(Enum):
    """How CoppeliaSim draws; without effect here."""

    OPENGL = 0
    OPENGL_AUXILIARY = 1
    OPENGL_COLOR_CODED = 2
    POV_RAY = 3
    EXTERNAL = 5
    EXTERNAL_WINDOWED = 6
    OPENGL3 = 7
    OPENGL3_WINDOWED = 8


class Verbosity(Enum):
    """How much CoppeliaSim tells; without effect here."""

    NONE = "none"
    ERRORS = "errors"
    WARNINGS = "warnings"
    INFOS = "infos"
    DEBUG = "debug"
    TRACE = "trace"


_PLANNERS = (
    "BiTRRT BITstar BKPIECE1 CForest EST FMT KPIECE1 LazyPRM LazyPRMstar LazyRRT LBKPIECE1 LBTRRT "
    "PDST PRM PRMstar pRRT pSBL RRT RRTConnect RRTstar SBL SPARS SPARStwo STRIDE TRRT"
)
ConfigurationPathAlgorithms = Enum(  # type: ignore[misc]
    "ConfigurationPathAlgorithms", {name: name for name in _PLANNERS.split()}
)
"""Planners of CoppeliaSim; this package plans with RRT-Connect whatever is asked for."""
