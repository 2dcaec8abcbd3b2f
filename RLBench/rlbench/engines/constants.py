"""Facts of the simulators, under the names that `rlbench` knows them by."""

from pyrep_mujoco.constants import STEP, UNSTABLE

__all__ = ["STEP", "UNSTABLE"]
