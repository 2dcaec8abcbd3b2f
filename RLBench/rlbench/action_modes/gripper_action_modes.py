"""Ways to command the gripper: one class each, named as in RLBench."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from rlbench.action_modes.validation import assert_action_shape, checked
from rlbench.backend.episodes.demonstration import GRIPPER_SPEED, MAX_GRIPPER_STEPS
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.const import DEMO_DT
from rlbench.engines.robots import OPEN, PANDA
from rlbench.engines.transforms import Floats

__all__ = ["Discrete", "GripperActionMode", "GripperJointPosition", "assert_action_shape"]

Bounds = tuple[Floats, Floats]
DROP_STEPS = 10
"""Steps after opening, in which objects fall."""
FINGER_SPEED = 0.2
"""Of fingers commanded by position [m/s]."""
STALLED = 5e-4
"""Fingers that close on something are this far [m] from their goal, and move less in a step."""


class GripperActionMode:
    """Base of all gripper modes.

    A mode of one's own overrides `action`, `action_shape` and `action_bounds`.
    """

    # Name of RLBench before its version 1.2, see `rlbench.action_modes`.
    OPEN_AMOUNT: ClassVar[Callable[[], "GripperActionMode"]]

    def action(self, scene: Scene, action: Floats) -> None:
        """Carry an action out; takes as many steps of 50 ms as it needs, or none.

        Raises:
            InvalidActionError: the action cannot be carried out.
        """
        raise NotImplementedError(f"{type(self).__name__} must define action")

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Write the commands of the next step."""
        raise NotImplementedError(f"{type(self).__name__} must define action_pre_step")

    def action_step(self, scene: Scene, action: Floats) -> None:
        """Advance 50 ms."""
        scene.step()

    def action_post_step(self, scene: Scene, action: Floats) -> None:
        """End what `action_pre_step` began."""

    def action_shape(self, scene: Scene | None) -> tuple[int, ...]:
        """Return (1,)."""
        return (1,)

    def action_bounds(self) -> Bounds:
        """Return the lowest and the highest action."""
        raise NotImplementedError(f"{type(self).__name__} defines no action_bounds")

    def set_control_mode(self, robot: Robot) -> None:
        """Get to know the robot; called when a task is loaded."""


class Discrete(GripperActionMode):
    """Open at 0.5 and above, close below; 1 and 0 are meant.

    A gripper that closes holds every graspable object between its fingers as if glued to the
    hand, until it opens. Closing ends when the fingers have met or are stalled.
    """

    def __init__(
        self, attach_grasped_objects: bool = True, detach_before_open: bool = True
    ) -> None:
        """Choose how things are held.

        Args:
            attach_grasped_objects: False holds by friction alone; tasks whose success needs a
                grasp are not fulfilled then.
            detach_before_open: let go before the fingers open; False: after.
        """
        self._attach = attach_grasped_objects
        self._detach_before_open = detach_before_open

    def action(self, scene: Scene, action: Floats) -> None:
        """Open or close, which takes many steps; none where the gripper is so already."""
        gripper = scene.robot.gripper
        opens = self._opens(scene, action)
        if opens == (gripper.is_open() and bool((gripper.get_open_amount() > OPEN).all())):
            return
        if opens and self._detach_before_open:
            gripper.release()
        if opens or not gripper.get_grasped_objects():
            self._actuate(scene, opens)
        if opens:
            gripper.release()
            for _ in range(DROP_STEPS):
                scene.step()
        elif self._attach:
            grasp_all(scene)

    def _actuate(self, scene: Scene, opens: bool) -> None:
        for _ in range(MAX_GRIPPER_STEPS):
            if scene.robot.gripper.actuate(float(opens), GRIPPER_SPEED):
                break
            scene.step()

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Move the fingers for one step; what they close on is held once they are stalled."""
        gripper = scene.robot.gripper
        opens = self._opens(scene, action)
        if opens:
            gripper.release()
        elif gripper.get_grasped_objects():
            return  # fingers pass through what the hand holds: they stay where they are
        done = gripper.actuate(float(opens), GRIPPER_SPEED)
        if done and not opens and self._attach:
            grasp_all(scene)

    def _opens(self, scene: Scene, action: Floats) -> bool:
        value = checked(action, self.action_shape(scene), type(self).__name__)[0]
        return bool(value >= 0.5)

    def action_bounds(self) -> Bounds:
        """Return 0 (closed) and 1 (open)."""
        return np.array([0.0]), np.array([1.0])


class GripperJointPosition(GripperActionMode):
    """Travel of all fingers [m]: 0 closed, 0.04 open (Panda); at most 0.01 m in one step.

    Fingers that turn take [rad], of another robot as far as they go, and as much of it in a step.
    """

    def __init__(
        self,
        attach_grasped_objects: bool = True,
        detach_before_open: bool = True,
        absolute_mode: bool = True,
    ) -> None:
        """Choose how travel is read and things are held.

        Args:
            attach_grasped_objects: hold what the fingers have stalled on as if glued to the hand.
            detach_before_open: accepted as in RLBench; opening always lets go first.
            absolute_mode: False adds actions to the present set points.
        """
        self._attach = attach_grasped_objects
        self._absolute_mode = absolute_mode
        self._range: Floats = np.full(2, PANDA.finger_range)
        self._scale: Floats = np.ones(2)  # of travels, to the Panda's
        self._goal: Floats = np.zeros(2)
        self._start: Floats = np.zeros(2)

    def set_control_mode(self, robot: Robot) -> None:
        """Get to know the fingers' travel."""
        self._range = robot.gripper.get_range()
        self._scale = self._range / np.asarray(PANDA.finger_range)

    def action(self, scene: Scene, action: Floats) -> None:
        """Move the fingers for 50 ms."""
        self.action_pre_step(scene, action)
        self.action_step(scene, action)
        self.action_post_step(scene, action)

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Command the travel; opening lets go of what is held."""
        gripper = scene.robot.gripper
        value = checked(action, self.action_shape(scene), type(self).__name__)
        self._start = gripper.get_joint_positions()
        reach = FINGER_SPEED * DEMO_DT * self._scale
        here = np.clip(gripper.get_target(), self._start - reach, self._start + reach)
        wanted = value if self._absolute_mode else here + value
        self._goal = here + np.clip(np.clip(wanted, 0.0, self._range) - here, -reach, reach)
        if (self._goal > self._start + STALLED * self._scale).all():
            gripper.release()
        if gripper.get_grasped_objects():
            self._goal = self._start  # fingers pass through what the hand holds
        gripper.servo_to(self._goal, FINGER_SPEED)

    def action_post_step(self, scene: Scene, action: Floats) -> None:
        """Stop the fingers; hold what they have closed on."""
        gripper = scene.robot.gripper
        gripper.set_target(self._goal)
        travel = gripper.get_joint_positions()
        stalled = STALLED * self._scale
        is_stalled = (travel - self._goal > stalled) & (np.abs(travel - self._start) < stalled)
        if self._attach and is_stalled.all():
            grasp_all(scene)

    def action_bounds(self) -> Bounds:
        """Return closed and open travel [m], or both directions of it for relative actions.

        Of fingers that differ, the one that goes farthest.
        """
        most = float(self._range.max())
        low = 0.0 if self._absolute_mode else -most
        return np.array([low]), np.array([most])


def grasp_all(scene: Scene) -> None:
    """Hold every graspable object of the task that is between the fingers."""
    for shape in scene.task.get_graspable_objects():
        scene.robot.gripper.grasp(shape)
