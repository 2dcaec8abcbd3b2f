"""The errors of data generation: one base, one line each."""

import difflib
from collections.abc import Iterable

MAX_COMPARED = 60  # characters of a name that may be any file's
MAX_LISTED = 240  # characters of all that is allowed


class DataGenerationError(Exception):
    """A fault the user can mend; its text is one line that says how."""


class ConfigError(DataGenerationError):
    """A dataset config or a flag that cannot be used."""


class StoreError(DataGenerationError):
    """A data set folder that cannot be used."""


class StoreLostError(StoreError):
    """A data set folder that is no longer the one that a run began to fill."""


class DamagedEpisodeError(StoreError):
    """An episode whose files are not the ones that were written.

    Args:
        message: One line that says where, what, and how to mend it.
        fault: What is wrong alone.
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


def near_match(name: str, allowed: Iterable[str]) -> str:
    """Say which allowed name was probably meant, or list them all."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name[:MAX_COMPARED], names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    listed = ", ".join(names)
    return (
        "allowed:"
        f" {listed if len(listed) <= MAX_LISTED else listed[:MAX_LISTED].rpartition(',')[0] + ', ...'}"
    )
