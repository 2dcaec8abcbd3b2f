"""How the numbers of an action are read; upstream's names."""

from dataclasses import dataclass
from enum import Enum


class ArmActionMode(Enum):
    """What the first seven numbers of an action mean."""

    ABS_JOINT_VELOCITY = "abs_joint_velocity"
    DELTA_JOINT_POSITION = "delta_joint_position"
    ABS_JOINT_POSITION = "abs_joint_position"


class GripperActionMode(Enum):
    """What the last number of an action means."""

    OPEN_AMOUNT = "open_amount"


@dataclass(frozen=True)
class ActionMode:
    """Arm mode (7 numbers) and gripper mode (1 number, >= 0.5 opens)."""

    arm: ArmActionMode = ArmActionMode.ABS_JOINT_VELOCITY
    gripper: GripperActionMode = GripperActionMode.OPEN_AMOUNT

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return 8
