"""Errors that simulators raise, under the names that `rlbench` knows them by."""

from pyrep_mujoco.errors import (
    ConfigurationPathError,
    IKError,
    ObjectAlreadyRemovedError,
    RenderingError,
    RunError,
    SceneError,
    SimulatorError,
)

__all__ = [
    "ConfigurationPathError",
    "EngineError",
    "IKError",
    "ObjectAlreadyRemovedError",
    "RenderingError",
    "RunError",
    "SceneError",
    "SimulatorError",
]


class EngineError(SimulatorError):
    """A simulator is not installed, or cannot be started here."""
