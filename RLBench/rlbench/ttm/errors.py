"""What is wrong with a scene file."""

from rlbench.backend.exceptions import RLBenchError


class TtmError(RLBenchError):
    """A V-REP / CoppeliaSim file cannot be read: what was found, in which file and where."""
