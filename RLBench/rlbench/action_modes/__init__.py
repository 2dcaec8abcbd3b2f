"""How the numbers of an action are read: arm modes, gripper modes, and how they are joined.

The modules have RLBench's names. Names of RLBench before its version 1.2 work too:
`ActionMode(ArmActionMode.ABS_JOINT_VELOCITY, GripperActionMode.OPEN_AMOUNT)`.
"""

from functools import partial

from rlbench.action_modes.action_mode import (
    ActionMode,
    JointPositionActionMode,
    MoveArmThenGripper,
)
from rlbench.action_modes.arm_action_modes import ArmActionMode, JointPosition, JointVelocity
from rlbench.action_modes.gripper_action_modes import Discrete, GripperActionMode

ArmActionMode.ABS_JOINT_VELOCITY = JointVelocity
ArmActionMode.ABS_JOINT_POSITION = JointPosition
ArmActionMode.DELTA_JOINT_POSITION = partial(JointPosition, absolute_mode=False)
GripperActionMode.OPEN_AMOUNT = Discrete

__all__ = [
    "ActionMode",
    "ArmActionMode",
    "GripperActionMode",
    "JointPositionActionMode",
    "MoveArmThenGripper",
]
