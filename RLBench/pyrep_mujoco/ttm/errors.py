"""What is wrong with a scene file, or with where its conversion is kept."""

from rlbench.backend.exceptions import RLBenchError


class TtmError(RLBenchError):
    """A V-REP / CoppeliaSim file cannot be read: what was found, in which file and where."""


class CacheError(RLBenchError):
    """A converted scene cannot be kept: in which folder, and why."""
