"""The robot as tasks and scenes see it."""

from dataclasses import dataclass

from rlbench.engines.protocols import Arm, Gripper


@dataclass(frozen=True)
class Robot:
    """An arm with a gripper."""

    arm: Arm
    gripper: Gripper
