"""What all arm modes have in common."""

from collections.abc import Callable
from typing import ClassVar

from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.engines.protocols import ArmPath, ServoArm
from rlbench.engines.transforms import Floats

Bounds = tuple[Floats, Floats]


class ArmActionMode:
    """Base of all arm modes.

    A mode of one's own overrides `action` and `action_shape`.
    """

    # Names of RLBench before its version 1.2, see `rlbench.action_modes`.
    ABS_JOINT_VELOCITY: ClassVar[Callable[[], "ArmActionMode"]]
    ABS_JOINT_POSITION: ClassVar[Callable[[], "ArmActionMode"]]
    DELTA_JOINT_POSITION: ClassVar[Callable[[], "ArmActionMode"]]

    _robot: Robot | None = None

    def action(self, scene: Scene, action: Floats) -> None:
        """Carry an action out; takes one or more steps of 50 ms.

        Raises:
            InvalidActionError: the action cannot be carried out; nothing has moved.
        """
        raise NotImplementedError(f"{type(self).__name__} must define action")

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Write the commands of the next step; for modes of one step."""
        raise TaskEnvironmentError(
            f"{self._name} takes more than one step: use it in MoveArmThenGripper"
        )

    def action_step(self, scene: Scene, action: Floats) -> None:
        """Advance 50 ms."""
        scene.step()

    def action_post_step(self, scene: Scene, action: Floats) -> None:
        """End what `action_pre_step` began."""
        servo_arm(scene.robot, self._name).hold()

    def action_shape(self, scene: Scene | None) -> tuple[int, ...]:
        """Return the shape of an action; before a task is loaded `scene` is None."""
        raise NotImplementedError(f"{self._name} must define action_shape")

    def action_bounds(self) -> Bounds:
        """Return the lowest and the highest action.

        Raises:
            TaskEnvironmentError: they depend on the robot, and no task was loaded yet.
        """
        raise NotImplementedError(f"{self._name} defines no action_bounds")

    def set_control_mode(self, robot: Robot) -> None:
        """Get to know the robot; called when a task is loaded."""
        self._robot = robot

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _arm(self) -> ServoArm:
        if self._robot is None:
            raise TaskEnvironmentError(
                f"{self._name}: its bounds depend on the robot; call Environment.get_task first"
            )
        return servo_arm(self._robot, self._name)


def servo_arm(robot: Robot, what: str) -> ServoArm:
    """Return the robot's arm.

    Raises:
        TaskEnvironmentError: it has no servos that an action mode could command.
    """
    if not isinstance(robot.arm, ServoArm):
        raise TaskEnvironmentError(
            f"{what}: {type(robot.arm).__name__} of this engine cannot be commanded step by step; "
            "the MuJoCo engine's arm can"
        )
    return robot.arm


def follow(scene: Scene, path: ArmPath, arm: ServoArm) -> None:
    """Follow a way to its end, or to the task's success."""
    while not path.step():
        scene.step()
        if scene.task.success()[0]:
            break
    arm.hold()
