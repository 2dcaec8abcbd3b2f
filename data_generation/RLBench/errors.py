"""The errors of data generation: one base, one line each."""


class DataGenerationError(Exception):
    """A fault that the user can correct; its text is one line that says how."""


class ConfigError(DataGenerationError):
    """A dataset config or a flag that cannot be used."""


class StoreError(DataGenerationError):
    """A data set folder that cannot be used."""


class StoreLostError(StoreError):
    """The data set folder was replaced or deleted while a run wrote into it."""


class DamagedEpisodeError(StoreError):
    """An episode whose files are not the ones that were written.

    Args:
        message: One line that says where the damage is, what it is, and how to correct it.
        fault: Only what the damage is.
    """

    def __init__(self, message: str, fault: str = "") -> None:
        super().__init__(message)
        self.fault = fault


class TaskBrokenError(DataGenerationError):
    """A task that cannot run at all; the others can."""


class DemoFailedError(Exception):
    """One attempt at a demo did not succeed.

    Args:
        cause: Short text, the same for the same kind of failure.
        fault: Where the task's own code raised an error: which and where, in one line.
    """

    def __init__(self, cause: str, fault: str = "") -> None:
        super().__init__(cause, fault)
        self.cause, self.fault = cause, fault
