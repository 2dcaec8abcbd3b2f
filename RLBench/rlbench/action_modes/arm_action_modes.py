"""Ways to command the arm: one class each, named as in RLBench.

An arm mode used by `MoveArmThenGripper` acts through `action`. Modes that take one step of 50 ms
also have `action_pre_step` and `action_post_step`, so that arm and gripper can move together.
"""

from collections.abc import Sequence
from enum import Enum

import numpy as np

from rlbench.action_modes.arm_base import ArmActionMode, Bounds, follow, servo_arm
from rlbench.action_modes.validation import (
    assert_action_shape,
    assert_unit_quaternion,
    calculate_delta_pose,
    checked,
    unit_quaternion,
)
from rlbench.backend.exceptions import ConfigurationPathError, IKError, InvalidActionError
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.engines import transforms as tf
from rlbench.engines.robots import PANDA
from rlbench.engines.transforms import Floats

__all__ = [
    "ArmActionMode",
    "ERJointViaIK",
    "EndEffectorPoseViaIK",
    "EndEffectorPoseViaPlanning",
    "JointPosition",
    "JointTorque",
    "JointVelocity",
    "RelativeFrame",
    "assert_action_shape",
    "assert_unit_quaternion",
    "calculate_delta_pose",
]

DELTA_LIMIT = 0.1
"""Bound of relative joint actions [rad]; 2 rad/s, what the arm can do in one step."""
STEP_LIMIT = 0.1
"""Bound of relative tip positions [m]."""
WORKSPACE = ((-0.2, -0.8, 0.752), (1.0, 0.8, 1.752))
"""Lowest and highest tip position [m], world; `Scene.workspace_bounds` of the base scene."""


class RelativeFrame(Enum):
    """The frame that an action's pose is given in."""

    WORLD = 0
    EE = 1


class _JointMode(ArmActionMode):
    """One number for each joint, one step."""

    def action(self, scene: Scene, action: Floats) -> None:
        """Command the joints for 50 ms."""
        self.action_pre_step(scene, action)
        self.action_step(scene, action)
        self.action_post_step(scene, action)

    def action_shape(self, scene: Scene | None) -> tuple[int]:
        """Return (number of joints,); those of the Panda before a robot is known."""
        robot = self._robot if scene is None else scene.robot
        if robot is None:
            return (len(PANDA.joints),)
        return (len(robot.arm.get_joint_positions()),)


class JointVelocity(_JointMode):
    """Joint velocities [rad/s] for 50 ms; then the arm stands still until the next action.

    Velocities above the joints' limits are lowered to them, and joints stop at their ends.
    """

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Command the velocities."""
        arm = servo_arm(scene.robot, self._name)
        arm.set_joint_target_velocities(checked(action, self.action_shape(scene), self._name))

    def action_bounds(self) -> Bounds:
        """Return the joints' velocity limits [rad/s]."""
        limit = self._arm().max_velocity
        return -limit, limit.copy()


class JointPosition(_JointMode):
    """Joint positions [rad], absolute or added to the present set points.

    All joints turn together, within their limits of speed and acceleration, until they are
    within 2 mrad of the goal, or 0.2 s after they should have been (something is in the way).
    Goals beyond the joints' ends are lowered to them. `ActionMode` and `single_step` end an action
    after 50 ms wherever the arm is by then.
    """

    def __init__(self, absolute_mode: bool = True, single_step: bool = False) -> None:
        """Choose how positions are read.

        Args:
            absolute_mode: False adds actions to the present set points.
            single_step: an action is one step of 50 ms, in which the set points move at most at
                the joints' limits of speed; for recorded positions played at 20 Hz.
        """
        self._absolute_mode = absolute_mode
        self._single_step = single_step

    def action(self, scene: Scene, action: Floats) -> None:
        """Move the joints."""
        if self._single_step:
            super().action(scene, action)
            return
        arm = servo_arm(scene.robot, self._name)
        follow(scene, arm.plan_to(self._goal(scene, action)), arm)

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Command the positions for one step."""
        servo_arm(scene.robot, self._name).servo_to(self._goal(scene, action))

    def _goal(self, scene: Scene, action: Floats) -> Floats:
        arm = servo_arm(scene.robot, self._name)
        goal = checked(action, self.action_shape(scene), self._name)
        if not self._absolute_mode:
            goal = arm.get_joint_targets() + goal
        return np.clip(goal, *arm.joint_limits())

    def action_bounds(self) -> Bounds:
        """Return the joints' ends [rad], or +-0.1 rad for relative actions."""
        if self._absolute_mode:
            return self._arm().joint_limits()
        limit = np.full(self.action_shape(None), DELTA_LIMIT)
        return -limit, limit


class JointTorque(_JointMode):
    """Joint torques [N m] for 50 ms, on top of the compensation of gravity.

    Torques above the motors' limits are lowered to them. Between actions no time passes, so the
    arm keeps its speed; while a gripper mode takes steps of its own, the servos hold the arm.
    """

    def action_pre_step(self, scene: Scene, action: Floats) -> None:
        """Command the torques."""
        arm = servo_arm(scene.robot, self._name)
        arm.set_joint_torques(checked(action, self.action_shape(scene), self._name))

    def action_bounds(self) -> Bounds:
        """Return the motors' limits [N m]."""
        limit = self._arm().torque_limits()
        return -limit, limit.copy()


class _PoseMode(ArmActionMode):
    """A pose of the tip: position [m] and quaternion xyzw, in the world or the tip's frame."""

    def __init__(
        self,
        absolute_mode: bool = True,
        frame: RelativeFrame = RelativeFrame.WORLD,
        collision_checking: bool = False,
    ) -> None:
        """Choose how poses are read.

        Args:
            absolute_mode: False adds the position to the tip's, and turns the tip by the
                quaternion about the world's axes. Poses in the frame EE are always relative.
            frame: WORLD, or EE for the tip's own frame at the start of the action.
            collision_checking: refuse ways on which the arm or what it holds touches something.
                Shapes that the arm touches already do not count. Without it the arm pushes
                through what it meets, as a task may need.
        """
        self._absolute_mode = absolute_mode
        self._frame = frame
        self._collision_checking = collision_checking

    def action_shape(self, scene: Scene | None) -> tuple[int, ...]:
        """Return (7,)."""
        return (7,)

    def action_bounds(self) -> Bounds:
        """Return bounds of position [m] and quaternion; not all within has unit length."""
        is_place = self._absolute_mode and self._frame is RelativeFrame.WORLD
        low, high = WORKSPACE if is_place else ((-STEP_LIMIT,) * 3, (STEP_LIMIT,) * 3)
        return np.array([*low, *(-1.0,) * 4]), np.array([*high, *(1.0,) * 4])

    def _goal(self, scene: Scene, action: Floats) -> Floats:
        """Return the (4, 4) pose, tip to world, that (7,) numbers ask for."""
        quaternion = unit_quaternion(action[3:], self._name)
        T = tf.pose_to_transform(np.concatenate([action[:3], quaternion]))
        T_tip = scene.robot.arm.get_tip().get_matrix()
        if self._frame is RelativeFrame.EE:
            return T_tip @ T
        if not self._absolute_mode:
            T[:3, 3] += T_tip[:3, 3]
            T[:3, :3] = T[:3, :3] @ T_tip[:3, :3]
        return T


class EndEffectorPoseViaPlanning(_PoseMode):
    """A tip pose, reached on a straight line where there is one, else on a planned way.

    An action lasts until the way ends, or the task is fulfilled.
    """

    def action(self, scene: Scene, action: Floats) -> None:
        """Plan a way of the tip to the pose and follow it.

        Raises:
            InvalidActionError: the pose is outside of the workspace, or there is no way to it.
        """
        goal = self._goal(scene, checked(action, (7,), self._name))
        if not scene.check_target_in_workspace(goal[:3, 3]):
            low, high = (bound.round(3).tolist() for bound in scene.workspace_bounds())
            raise InvalidActionError(
                f"{self._name}: the position {goal[:3, 3].round(4).tolist()} is outside of the "
                f"workspace, {low} to {high} m"
            )
        try:
            path = scene.robot.arm.plan(
                goal, scene.plan_rng, ignore_collisions=not self._collision_checking
            )
        except ConfigurationPathError as error:
            raise InvalidActionError(
                f"{self._name}: no way to the pose {_text(goal)}: {error}"
            ) from error
        follow(scene, path, servo_arm(scene.robot, self._name))


class EndEffectorPoseViaIK(_PoseMode):
    """A tip pose near the present one, reached by inverse kinematics from where the arm is.

    All joints turn together to the solution, within their limits of speed and acceleration; the
    tip follows a straight line only nearly. An action lasts until they have arrived, or the task
    is fulfilled.
    """

    def action(self, scene: Scene, action: Floats) -> None:
        """Move the joints to where the tip has the pose.

        Raises:
            InvalidActionError: no solution was found from here, or the way is not free.
        """
        self._move(scene, self._goal(scene, checked(action, (7,), self._name)), {})

    def _move(self, scene: Scene, goal: Floats, locked: dict[int, float]) -> None:
        arm = servo_arm(scene.robot, self._name)
        try:
            q = arm.joints_for(goal, locked)
            path = arm.plan_to(q, ignore_collisions=not self._collision_checking)
        except (IKError, ConfigurationPathError) as error:
            raise InvalidActionError(
                f"{self._name}: cannot reach the pose {_text(goal)}: {error}; smaller steps may"
                " help"
            ) from error
        follow(scene, path, arm)


class ERJointViaIK(EndEffectorPoseViaIK):
    """A tip pose and the angles of some joints, which inverse kinematics then leaves alone."""

    def __init__(
        self,
        absolute_mode: bool = True,
        frame: RelativeFrame = RelativeFrame.WORLD,
        collision_checking: bool = False,
        commanded_joints: Sequence[int] = (0,),
        eps: float = 1e-3,
        delta_angle: bool = False,
    ) -> None:
        """Choose how actions are read.

        Args:
            absolute_mode: False makes pose and angles relative to the present ones.
            frame: WORLD or EE, of the pose.
            collision_checking: refuse ways on which the arm touches something.
            commanded_joints: indices of the joints whose angles [rad] end the action.
            eps: accepted as in RLBench; the joints go to their angles exactly.
            delta_angle: the angle of one commanded joint, 0 or 6, also moves the pose along: as
                the base turns the tip about the vertical, or as the flange turns it about its
                z axis.

        Raises:
            InvalidActionError: `delta_angle` with absolute poses, or with other joints.
        """
        super().__init__(absolute_mode, frame, collision_checking)
        self._joints = tuple(commanded_joints)
        self._delta_angle = delta_angle
        if delta_angle and (absolute_mode or self._joints not in ((0,), (6,))):
            raise InvalidActionError(
                "ERJointViaIK: delta_angle needs absolute_mode=False and commanded_joints [0] or "
                f"[6], not absolute_mode={absolute_mode} and {list(self._joints)}"
            )

    def set_control_mode(self, robot: Robot) -> None:
        """Get to know the robot.

        Raises:
            InvalidActionError: it lacks a commanded joint.
        """
        super().set_control_mode(robot)
        there = len(robot.arm.get_joint_positions())
        if any(not 0 <= joint < there for joint in self._joints):
            raise InvalidActionError(
                f"ERJointViaIK: commanded_joints {list(self._joints)} must be in 0 to {there - 1}, "
                "the joints of this robot"
            )

    def action(self, scene: Scene, action: Floats) -> None:
        """Move to the pose with the commanded joints at their angles.

        Raises:
            InvalidActionError: no solution was found from here, or the way is not free.
        """
        values = checked(action, self.action_shape(scene), self._name)
        goal, angles = self._goal(scene, values[:7]), values[7:]
        arm = servo_arm(scene.robot, self._name)
        if self._delta_angle:
            goal = self._turned(scene, goal, float(angles[0]))
        low, high = arm.joint_limits()
        q = arm.get_joint_positions()
        locked = {}
        for joint, angle in zip(self._joints, angles, strict=True):
            wanted = angle if self._absolute_mode else q[joint] + angle
            locked[joint] = float(np.clip(wanted, low[joint], high[joint]))
        self._move(scene, goal, locked)

    def _turned(self, scene: Scene, goal: Floats, angle: float) -> Floats:
        """Return the (4, 4) goal, moved along with the one commanded joint."""
        turn = tf.transform(np.zeros(3), tf.euler_to_matrix(np.array([0.0, 0.0, angle])))
        if self._joints == (6,):
            return goal @ turn
        base = scene.engine.object(scene.engine.robot.root).get_position()
        to_base = tf.transform(-base, np.eye(3))
        return tf.invert(to_base) @ turn @ to_base @ goal

    def action_shape(self, scene: Scene | None) -> tuple[int, ...]:
        """Return (7 + number of commanded joints,)."""
        return (7 + len(self._joints),)

    def action_bounds(self) -> Bounds:
        """Return bounds of position [m], quaternion and angles [rad]."""
        low, high = super().action_bounds()
        ends = self._arm().joint_limits()
        if not self._absolute_mode:
            ends = (np.full_like(ends[0], -DELTA_LIMIT), np.full_like(ends[1], DELTA_LIMIT))
        joints = list(self._joints)
        return np.append(low, ends[0][joints]), np.append(high, ends[1][joints])


def _text(T: Floats) -> str:
    return str(tf.transform_to_pose(T).round(4).tolist())
