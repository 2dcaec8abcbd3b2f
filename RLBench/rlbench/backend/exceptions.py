"""Every error that rlbench raises on purpose; upstream's names where upstream has one."""


class RLBenchError(Exception):
    """Base of all errors of this package."""


class WaypointError(RLBenchError):
    """A waypoint is missing, misnumbered or cannot be used as it is written."""


class DemoError(RLBenchError, RuntimeError):
    """A demonstration could not be made, or does not fulfil its task.

    A `RuntimeError` too, which is what upstream raises then.

    Attributes:
        cause: short machine-readable reason, counted in reports ("no_path", "not_successful").
    """

    def __init__(self, message: str, cause: str = "unknown") -> None:
        super().__init__(message, cause)  # both in args, so that the error survives pickling
        self.cause = cause

    def __str__(self) -> str:
        return str(self.args[0])


class FixedPlacementError(DemoError):
    """A task cannot start where it is, and no other try would put anything elsewhere."""


class NoWaypointsError(DemoError):
    """A scene has no waypoint0."""


class BoundaryError(RLBenchError):
    """An object could not be placed inside its boundary."""


class TaskEnvironmentError(RLBenchError, RuntimeError):
    """An environment was used in the wrong order, or asked for what there is not."""


class UnknownSettingError(TaskEnvironmentError, ValueError):
    """An argument has none of the values that it may have; upstream's `ValueError`."""


class InvalidActionError(RLBenchError):
    """An action has the wrong size or asks for something out of reach."""


class TaskNotAvailableError(RLBenchError, RuntimeError):
    """There is no task of this name."""


class RenderingError(RLBenchError):
    """Images were asked for and cannot be made here."""


class SceneError(RLBenchError):
    """A scene lacks something, or says something that cannot be."""


class WrongObjectTypeError(SceneError):
    """An object is of another kind than was asked for."""


class ObjectAlreadyRemovedError(SceneError):
    """An object is no longer in the scene."""


class TaskFileError(RLBenchError, RuntimeError):
    """A task file cannot be loaded, or what it does fails; the message has file and line."""


class ConfigurationPathError(RLBenchError):
    """No path through the arm's joint space was found."""


class IKError(RLBenchError):
    """No arm configuration reaches a pose."""


class EngineError(RLBenchError):
    """A simulator is not installed, or cannot be started here."""


class ReportError(RLBenchError):
    """A file of reports is not what the validator wrote, or was made with other settings."""
