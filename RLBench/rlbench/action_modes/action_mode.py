"""How arm and gripper share an action; names as in RLBench."""

from collections.abc import Callable

import numpy as np

from rlbench.action_modes.arm_action_modes import ArmActionMode, JointPosition, JointVelocity
from rlbench.action_modes.gripper_action_modes import (
    Discrete,
    GripperActionMode,
    GripperJointPosition,
)
from rlbench.action_modes.validation import checked
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.engines.transforms import Floats


class ActionMode:
    """Arm numbers, then gripper numbers, carried out together within one step of 50 ms.

    Both modes must be modes of one step. A mode of one's own overrides `action`.

    Attributes:
        arm_action_mode: reads the first numbers.
        gripper_action_mode: reads the rest.
    """

    def __init__(
        self,
        arm_action_mode: ArmActionMode | Callable[[], ArmActionMode] = JointVelocity,
        gripper_action_mode: GripperActionMode | Callable[[], GripperActionMode] = Discrete,
    ) -> None:
        """Join two modes; classes are instantiated with their defaults."""
        self.arm_action_mode = (
            arm_action_mode if isinstance(arm_action_mode, ArmActionMode) else arm_action_mode()
        )
        self.gripper_action_mode = (
            gripper_action_mode
            if isinstance(gripper_action_mode, GripperActionMode)
            else gripper_action_mode()
        )

    def action(self, scene: Scene, action: Floats) -> None:
        """Carry an action out.

        Raises:
            InvalidActionError: wrong size, not finite, or not possible from here.
        """
        arm, gripper = self._split(scene, action)
        self.arm_action_mode.action_pre_step(scene, arm)
        self.gripper_action_mode.action_pre_step(scene, gripper)
        scene.step()
        self.arm_action_mode.action_post_step(scene, arm)
        self.gripper_action_mode.action_post_step(scene, gripper)

    def _split(self, scene: Scene, action: Floats) -> tuple[Floats, Floats]:
        values = checked(action, (self.action_shape(scene),), type(self).__name__)
        size = int(np.prod(self.arm_action_mode.action_shape(scene)))
        return values[:size], values[size:]

    def action_shape(self, scene: Scene | None) -> int:
        """Return the length of an action; before a task is loaded `scene` is None."""
        shapes = (m.action_shape(scene) for m in (self.arm_action_mode, self.gripper_action_mode))
        return sum(int(np.prod(shape)) for shape in shapes)

    def action_bounds(self) -> tuple[Floats, Floats]:
        """Return the lowest and the highest action, each of the length of an action.

        Raises:
            TaskEnvironmentError: they depend on the robot, and no task was loaded yet.
        """
        arm, gripper = (
            self.arm_action_mode.action_bounds(),
            self.gripper_action_mode.action_bounds(),
        )
        return np.concatenate([arm[0], gripper[0]]), np.concatenate([arm[1], gripper[1]])

    def set_control_mode(self, robot: Robot) -> None:
        """Get to know the robot; called when a task is loaded."""
        self.arm_action_mode.set_control_mode(robot)
        self.gripper_action_mode.set_control_mode(robot)


class MoveArmThenGripper(ActionMode):
    """The arm acts first, then the gripper; each takes as many steps as it needs."""

    def action(self, scene: Scene, action: Floats) -> None:
        """Carry an action out.

        Raises:
            InvalidActionError: wrong size, not finite, or not possible from here.
        """
        arm, gripper = self._split(scene, action)
        self.arm_action_mode.action(scene, arm)
        self.gripper_action_mode.action(scene, gripper)


class JointPositionActionMode(ActionMode):
    """Relative joint positions [rad] and the fingers' travel [m], within one step of 50 ms."""

    def __init__(self) -> None:
        """Join `JointPosition(False)` and `GripperJointPosition(True)`."""
        super().__init__(JointPosition(False), GripperJointPosition(True))
