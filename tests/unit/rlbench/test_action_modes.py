"""Every action mode moves the robot as commanded, or says in one line why it does not."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rlbench import Environment, ObservationConfig
from rlbench.action_modes import (
    ActionMode,
    ArmActionMode,
    GripperActionMode,
    JointPositionActionMode,
    MoveArmThenGripper,
)
from rlbench.action_modes.arm_action_modes import (
    WORKSPACE,
    EndEffectorPoseViaIK,
    EndEffectorPoseViaPlanning,
    ERJointViaIK,
    JointPosition,
    JointTorque,
    JointVelocity,
    RelativeFrame,
)
from rlbench.action_modes.gripper_action_modes import Discrete, GripperJointPosition
from rlbench.backend.exceptions import InvalidActionError, TaskEnvironmentError
from rlbench.tasks import get_task_class

BARE = {"obs_config": ObservationConfig(track_cams=(), keypoints=())}
MOVE = np.array([0.3, -0.2, 0.4, -0.4, 0.6, 0.3, -0.5])


def start(arm, gripper=Discrete, name="reach_target", join=MoveArmThenGripper):
    env = Environment(join(arm, gripper), **BARE)
    env.launch()
    task = env.get_task(get_task_class(name))
    _, obs = task.reset()
    return env, task, obs


def seconds(task):
    return task.scene.engine.data.time


def test_joint_velocity_lasts_50_ms_and_adds_up():
    env, task, obs = start(JointVelocity())
    begin = seconds(task)
    for step in range(1, 9):
        after, _, _ = task.step(np.append(MOVE, 1.0))
        assert seconds(task) == pytest.approx(begin + 0.05 * step)
        moved = after.joint_positions - obs.joint_positions
        assert np.abs(moved - MOVE * 0.05 * step).max() < 0.005
    for _ in range(4):
        still, _, _ = task.step(np.append(np.zeros(7), 1.0))
    assert np.abs(still.joint_velocities).max() < 0.05
    assert np.abs(still.joint_positions - obs.joint_positions - MOVE * 0.4).max() < 0.002
    low, high = env.action_mode.action_bounds()
    assert np.allclose(high, [2.175] * 4 + [2.61] * 3 + [1.0])
    assert np.allclose(low[:7], -high[:7])


def test_joint_velocity_keeps_speed_and_position_limits():
    _, task, obs = start(JointVelocity())
    q = obs.joint_positions
    for _ in range(60):
        obs, _, _ = task.step([100.0, 0, 0, 0, 0, 0, 0, 1.0])
        assert obs.joint_positions[0] - q[0] < 2.175 * 0.05 * 1.4
        q = obs.joint_positions
    assert q[0] == pytest.approx(2.8973, abs=0.01)


def test_absolute_joint_position_is_reached():
    env, task, obs = start(JointPosition())
    goal = obs.joint_positions + MOVE
    after, _, _ = task.step(np.append(goal, 1.0))
    assert np.abs(after.joint_positions - goal).max() < 0.003
    low, high = env.action_mode.action_bounds()
    assert ((low[:7] < goal) & (goal < high[:7])).all()


def test_relative_joint_positions_add_up():
    _, task, obs = start(JointPosition(absolute_mode=False))
    for _ in range(5):
        after, _, _ = task.step(np.append(MOVE / 5, 1.0))
    assert np.abs(after.joint_positions - obs.joint_positions - MOVE).max() < 0.004


def test_single_steps_replay_recorded_positions_at_20_hz():
    _, task, _ = start(JointPosition(single_step=True))
    demo = task.get_demos(1)[0]
    task.reset_to_demo(demo)
    errors = []
    for wanted in demo[1:]:
        obs, reward, terminate = task.step(np.append(wanted.joint_positions, 1.0))
        errors.append(np.abs(obs.joint_positions - wanted.joint_positions).max())
        if terminate:
            break
    assert max(errors) < 0.01
    assert reward == 1.0


def test_joint_torque_pushes_and_zero_torque_neither_falls_nor_pulls():
    env, task, obs = start(JointTorque())
    after, _, _ = task.step(np.append(np.zeros(7), 1.0))
    assert np.abs(after.joint_positions - obs.joint_positions).max() < 1e-3
    for joint in (0, 3):
        _, obs = task.reset()
        torque = np.zeros(8)
        torque[joint], torque[7] = 2.0, 1.0
        for _ in range(5):
            after, _, _ = task.step(torque)
        assert after.joint_positions[joint] - obs.joint_positions[joint] > 0.02
        assert after.joint_forces[joint] == pytest.approx(2.0)
        assert after.joint_velocities[joint] > 0.1
    # A reset brings the servos back.
    _, obs = task.reset()
    task.scene.step()
    assert np.abs(task.get_observation().joint_positions - obs.joint_positions).max() < 1e-3
    assert np.allclose(env.action_mode.action_bounds()[1][:7], [87] * 4 + [12] * 3)


POSES = [
    (mode, absolute, frame, checks)
    for mode in (EndEffectorPoseViaIK, EndEffectorPoseViaPlanning)
    for absolute in (True, False)
    for frame in RelativeFrame
    for checks in (False, True)
]


@pytest.mark.parametrize(("mode", "absolute", "frame", "checks"), POSES)
def test_tip_pose_is_reached(mode, absolute, frame, checks):
    env, task, obs = start(mode(absolute, frame, checks))
    tip, turn = obs.gripper_matrix, Rotation.from_euler("xyz", [0.1, -0.2, 0.15])
    move = np.array([0.03, -0.05, -0.08])
    if frame is RelativeFrame.EE:
        position, R = tip[:3, 3] + tip[:3, :3] @ move, tip[:3, :3] @ turn.as_matrix()
    else:
        position, R = tip[:3, 3] + move, turn.as_matrix() @ tip[:3, :3]
    if absolute and frame is RelativeFrame.WORLD:
        action = [*position, *Rotation.from_matrix(R).as_quat(), 1.0]
    else:
        action = [*move, *turn.as_quat(), 1.0]
    after, _, _ = task.step(action)
    assert np.linalg.norm(after.gripper_pose[:3] - position) < 0.003
    gap = Rotation.from_matrix(R).inv() * Rotation.from_matrix(after.gripper_matrix[:3, :3])
    assert gap.magnitude() < 0.006
    low, high = env.action_mode.action_bounds()
    assert low.shape == high.shape == env.action_shape == (8,)


def test_commanded_joint_goes_to_its_angle_and_the_tip_to_its_pose():
    env, task, obs = start(ERJointViaIK())
    assert env.action_shape == (9,)
    after, _, _ = task.step([*obs.gripper_pose, 0.3, 1.0])
    assert after.joint_positions[0] == pytest.approx(0.3, abs=0.002)
    assert np.abs(after.gripper_pose - obs.gripper_pose).max() < 0.003


@pytest.mark.parametrize("joint", [0, 6])
def test_delta_angle_takes_the_tip_along(joint):
    mode = ERJointViaIK(absolute_mode=False, commanded_joints=[joint], delta_angle=True)
    _, task, obs = start(mode)
    after, _, _ = task.step([0, 0, 0, 0, 0, 0, 1, 0.2, 1.0])
    moved = after.joint_positions - obs.joint_positions
    assert moved[joint] == pytest.approx(0.2, abs=0.003)
    assert np.abs(np.delete(moved, joint)).max() < 0.008
    with pytest.raises(InvalidActionError, match="delta_angle needs absolute_mode=False"):
        ERJointViaIK(delta_angle=True)


@pytest.mark.parametrize("absolute", [True, False])
def test_fingers_follow_their_travel(absolute):
    env, task, _ = start(JointVelocity(), GripperJointPosition(absolute_mode=absolute))
    action = np.append(np.zeros(7), 0.015 if absolute else -0.005)
    for _ in range(5):
        task.step(action)
    for _ in range(3):
        obs, _, _ = task.step(action if absolute else np.zeros(8))
    assert np.abs(obs.gripper_joint_positions - 0.015).max() < 0.001
    assert env.action_mode.action_bounds()[1][7] == 0.04


def test_discrete_closes_once_and_opens_again():
    _, task, _ = start(JointVelocity())
    still = np.zeros(7)
    obs, _, _ = task.step([*still, 0.4])
    assert obs.gripper_open == 0.0
    assert obs.gripper_joint_positions.max() < 0.001
    before = seconds(task)
    task.step([*still, 0.0])
    assert seconds(task) - before == pytest.approx(0.05)
    obs, _, _ = task.step([*still, 0.5])
    assert obs.gripper_open == 1.0


def test_arm_and_gripper_move_together_in_one_step():
    _, task, obs = start(JointPosition(False), GripperJointPosition, join=ActionMode)
    begin = seconds(task)
    after, _, _ = task.step([0.05, 0, 0, 0, 0, 0, 0, 0.035])
    assert seconds(task) - begin == pytest.approx(0.05)
    assert after.joint_positions[0] - obs.joint_positions[0] == pytest.approx(0.05, abs=0.01)
    assert np.abs(after.gripper_joint_positions - 0.035).max() < 0.003
    assert JointPositionActionMode().action_shape(None) == 8


def test_older_names_and_classes_make_modes():
    mode = ActionMode(ArmActionMode.DELTA_JOINT_POSITION, GripperActionMode.OPEN_AMOUNT)
    assert isinstance(mode.arm_action_mode, JointPosition)
    assert isinstance(MoveArmThenGripper(JointTorque, Discrete).arm_action_mode, JointTorque)


BAD = [
    (np.zeros(3), r"shape \(3,\), it must be \(8,\)"),
    (np.full(8, np.nan), "not finite"),
    ([0.3, 0, 1, 0, 0, 0, 0.5, 1], "length 0.5, it must have length 1"),
    ([5, 0, 1, 0, 1, 0, 0, 1], "outside of the workspace"),
    ([0.3, 0, 0.7, 0, 1, 0, 0, 1], "outside of the workspace"),
    ([0.98, 0.7, 1.7, 0, 1, 0, 0, 1], "no way to the pose.*: out of reach"),
]


@pytest.mark.parametrize(("action", "message"), BAD)
def test_bad_actions_are_refused_in_one_line(action, message):
    _, task, obs = start(EndEffectorPoseViaPlanning())
    with pytest.raises(InvalidActionError, match=message) as caught:
        task.step(action)
    assert "\n" not in str(caught.value)
    assert np.array_equal(task.get_observation().joint_positions, obs.joint_positions)


def test_ik_refuses_what_is_far_and_what_collides():
    _, task, obs = start(EndEffectorPoseViaIK(collision_checking=True))
    with pytest.raises(InvalidActionError, match="found no solution; smaller steps may help"):
        task.step([1.5, 0, 1, 0, 1, 0, 0, 1])
    in_table = [*obs.gripper_pose[:2], 0.74, *obs.gripper_pose[3:], 1.0]
    with pytest.raises(InvalidActionError, match="not free of collisions"):
        task.step(in_table)


def test_planning_tells_reach_from_collisions():
    _, task, _ = start(EndEffectorPoseViaPlanning(collision_checking=True))
    lying = [0.4, 0.0, 0.76, 0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5), 1.0]  # half in the table
    with pytest.raises(InvalidActionError, match="no arm pose there is free of collisions"):
        task.step(lying)


def test_modes_used_the_wrong_way_are_refused():
    _, task, obs = start(EndEffectorPoseViaIK(), join=ActionMode)
    with pytest.raises(TaskEnvironmentError, match="use it in MoveArmThenGripper"):
        task.step([*obs.gripper_pose, 1.0])
    with pytest.raises(TaskEnvironmentError, match="get_task first"):
        JointVelocity().action_bounds()


def test_bounds_of_positions_are_the_workspace():
    _, task, _ = start(EndEffectorPoseViaPlanning())
    assert np.allclose(WORKSPACE, task.scene.workspace_bounds(), atol=1e-3)


def test_own_modes_override_action():
    class Skips(JointVelocity):
        def action(self, scene, action):
            if action[0] > 0:
                super().action(scene, action)

    _, task, obs = start(Skips())
    after, _, _ = task.step([-1, 0, 0, 0, 0, 0, 0, 1])
    assert np.array_equal(after.joint_positions, obs.joint_positions)
    after, _, _ = task.step([1, 0, 0, 0, 0, 0, 0, 1])
    assert after.joint_positions[0] > obs.joint_positions[0]
