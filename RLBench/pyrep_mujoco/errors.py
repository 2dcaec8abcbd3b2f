"""Every error that this package raises on purpose."""


class SimulatorError(Exception):
    """Base of all errors of this package, and of the packages that build on it."""


class SceneError(SimulatorError):
    """A scene lacks something, or says something that cannot be."""


class CallError(SceneError, RuntimeError):
    """A call asks a scene for what it cannot do, or for an object that is not there."""


class ObjectAlreadyRemovedError(CallError):
    """An object is no longer in the scene."""


class RunError(SimulatorError, RuntimeError):
    """What was simulated has failed: the scene is fine, but this run of it is of no use.

    Attributes:
        cause: short machine-readable reason, counted in reports ("unstable_physics").
    """

    def __init__(self, message: str, cause: str = "unknown") -> None:
        super().__init__(message, cause)  # both in args, so that the error survives pickling
        self.cause = cause

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigurationPathError(SimulatorError):
    """No path through the arm's joint space was found."""


class IKError(SimulatorError):
    """No arm configuration reaches a pose."""


class RenderingError(SimulatorError):
    """Images were asked for and cannot be made here."""


class TtmError(SimulatorError):
    """A V-REP / CoppeliaSim file cannot be read: what was found, in which file and where."""


class CacheError(SimulatorError):
    """A converted scene cannot be kept: in which folder, and why."""
