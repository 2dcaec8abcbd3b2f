"""PyRep's interface on MuJoCo: other people's code imports it as `pyrep`."""

from pyrep.pyrep import PyRep

__all__ = ["PyRep", "__version__", "testing"]

__version__ = "4.1.0.3"
testing = False
