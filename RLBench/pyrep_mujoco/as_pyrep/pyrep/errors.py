"""PyRep's errors. Every error that this package raises on purpose is a `PyRepError`."""

from pyrep_mujoco.errors import (
    ConfigurationPathError,
    IKError,
    ObjectAlreadyRemovedError,
)
from pyrep_mujoco.errors import SimulatorError as PyRepError

__all__ = [
    "ConfigurationError",
    "ConfigurationPathError",
    "GripperError",
    "IKError",
    "ObjectAlreadyRemovedError",
    "ObjectIsNotModelError",
    "PyRepError",
    "WrongObjectTypeError",
]


class WrongObjectTypeError(PyRepError):
    """An object is of another kind than the class that was asked for."""


class ObjectIsNotModelError(PyRepError):
    """An object is no model, and what was asked for is of models only."""


class ConfigurationError(PyRepError):
    """No configuration of an arm was found."""


class GripperError(PyRepError):
    """A gripper cannot do what was asked for."""
