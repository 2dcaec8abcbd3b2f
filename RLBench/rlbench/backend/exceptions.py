"""Every error that rlbench raises on purpose; upstream's names where upstream has one."""

from rlbench.engines.errors import (
    ConfigurationPathError,
    EngineError,
    IKError,
    ObjectAlreadyRemovedError,
    RenderingError,
    RunError,
    SceneError,
    SimulatorError,
)

__all__ = [
    "BoundaryError",
    "ConfigurationPathError",
    "DemoError",
    "EngineError",
    "FixedPlacementError",
    "IKError",
    "InvalidActionError",
    "NoWaypointsError",
    "ObjectAlreadyRemovedError",
    "RLBenchError",
    "RenderingError",
    "ReportError",
    "SceneError",
    "TaskEnvironmentError",
    "TaskFileError",
    "TaskNotAvailableError",
    "UnknownSettingError",
    "WaypointError",
    "WrongObjectTypeError",
]

# Aliases, not subclasses: what the simulator raises is caught under these names too.
RLBenchError = SimulatorError
"""Base of all errors of this package."""
DemoError = RunError
"""A demonstration could not be made, or does not fulfil its task; `cause` says why in one word.

A `RuntimeError` too, which is what upstream raises then.
"""


class WaypointError(RLBenchError):
    """A waypoint is missing, misnumbered or cannot be used as it is written."""


class FixedPlacementError(DemoError):
    """A task cannot start where it is, and no other try would put anything elsewhere."""


class NoWaypointsError(DemoError):
    """A scene has no waypoint0."""


class BoundaryError(RLBenchError):
    """An object could not be placed inside its boundary."""


class TaskEnvironmentError(RLBenchError, RuntimeError):
    """An environment was used in the wrong order, or asked for something that is not there."""


class UnknownSettingError(TaskEnvironmentError, ValueError):
    """An argument has none of the values that it may have; upstream's `ValueError`."""


class InvalidActionError(RLBenchError):
    """An action has the wrong size or asks for something out of reach."""


class TaskNotAvailableError(RLBenchError, RuntimeError):
    """There is no task of this name."""


class WrongObjectTypeError(SceneError):
    """An object is of another kind than was asked for."""


class TaskFileError(RLBenchError, RuntimeError):
    """A task file cannot be loaded, or what it does fails; the message has file and line."""


class ReportError(RLBenchError):
    """A file of reports is not what the validator wrote, or was made with other settings."""
