"""Constants that scripts for PyRep use, by its names and CoppeliaSim's numbers."""

from enum import Enum


class JointType(Enum):
    """What a joint does."""

    REVOLUTE = 10
    PRISMATIC = 11
    SPHERICAL = 12


class JointMode(Enum):
    """Who moves a joint."""

    PASSIVE = 0
    IK = 2
    IK_DEPENDENT = 3
    DEPENDENT = 4
    FORCE = 5


class ConfigurationPathAlgorithms(Enum):
    """Planners by name."""

    BiTRRT = "BiTRRT"
    BITstar = "BITstar"
    BKPIECE1 = "BKPIECE1"
    CForest = "CForest"
    EST = "EST"
    FMT = "FMT"
    KPIECE1 = "KPIECE1"
    LazyPRM = "LazyPRM"
    LazyPRMstar = "LazyPRMstar"
    LazyRRT = "LazyRRT"
    LBKPIECE1 = "LBKPIECE1"
    LBTRRT = "LBTRRT"
    PDST = "PDST"
    PRM = "PRM"
    PRMstar = "PRMstar"
    pRRT = "pRRT"  # noqa: N815 - PyRep's name
    pSBL = "pSBL"  # noqa: N815 - PyRep's name
    RRT = "RRT"
    RRTConnect = "RRTConnect"
    RRTstar = "RRTstar"
    SBL = "SBL"
    SPARS = "SPARS"
    SPARStwo = "SPARStwo"
    STRIDE = "STRIDE"
    TRRT = "TRRT"


class TextureMappingMode(Enum):
    """How a texture is laid around a shape."""

    PLANE = 0
    CYLINDER = 1
    SPHERE = 2
    CUBE = 3


class PerspectiveMode(Enum):
    """How a vision sensor projects."""

    ORTHOGRAPHIC = 0
    PERSPECTIVE = 1


class RenderMode(Enum):
    """What draws a vision sensor's image; MuJoCo draws all of them alike, but colour codes."""

    OPENGL = 0
    OPENGL_AUXILIARY = 1
    OPENGL_COLOR_CODED = 2
    POV_RAY = 3
    EXTERNAL = 5
    EXTERNAL_WINDOWED = 6
    OPENGL3 = 7
    OPENGL3_WINDOWED = 8


class Verbosity(Enum):
    """How much CoppeliaSim tells; MuJoCo has nothing to tell."""

    NONE = "none"
    ERRORS = "errors"
    WARNINGS = "warnings"
    LOAD_INFOS = "loadinfos"
    SCRIPT_ERRORS = "scripterrors"
    SCRIPT_WARNINGS = "scriptwarnings"
    SCRIPT_INFOS = "scriptinfos"
    INFOS = "infos"
    DEBUG = "debug"
    TRACE = "trace"
    TRACE_LUA = "tracelua"
    TYRACE_ALL = "traceall"
