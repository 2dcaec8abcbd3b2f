"""Actions on robots of six joints, or of three fingers that turn."""

import os
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rlbench.gym  # noqa: F401 - registers the tasks
from rlbench.action_modes.action_mode import JointPositionActionMode, MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import ERJointViaIK, JointPosition, JointVelocity
from rlbench.action_modes.gripper_action_modes import Discrete, GripperJointPosition
from rlbench.backend.exceptions import InvalidActionError, TaskEnvironmentError
from rlbench.environment import Environment

CHECKOUT = os.environ.get("RLBENCH_ROOT", "")
needs_checkout = pytest.mark.skipif(
    not CHECKOUT, reason="RLBENCH_ROOT names no checkout of RLBench"
)
TRAVEL = np.array([0.96, 1.04, 0.88])


class ThreeFingers:
    """Fingers that are where they were sent, and hold nothing."""

    def __init__(self):
        self.travel = TRAVEL.copy()

    def get_range(self):
        return TRAVEL

    def get_joint_positions(self):
        return self.travel.copy()

    get_target = get_joint_positions

    def servo_to(self, travel, velocity):
        self.travel = travel.copy()

    def set_target(self, travel):
        pass

    def get_grasped_objects(self):
        return []

    def release(self):
        pass


def test_three_fingers_that_turn_take_one_number():
    mode = GripperJointPosition()
    robot = SimpleNamespace(gripper=ThreeFingers())
    scene = SimpleNamespace(
        robot=robot, step=lambda: None, task=SimpleNamespace(get_graspable_objects=list)
    )
    mode.set_control_mode(robot)
    assert mode.action_bounds()[1] == pytest.approx([1.04])
    mode.action(scene, np.array([0.0]))
    assert robot.gripper.travel == pytest.approx(0.75 * TRAVEL)  # a Panda's go 10 of 40 mm
    for _ in range(3):
        mode.action(scene, np.array([0.5]))
    assert robot.gripper.travel == pytest.approx([0.5] * 3)
    for _ in range(4):
        mode.action(scene, np.array([1.0]))
    assert robot.gripper.travel == pytest.approx([0.96, 1.0, 0.88])


@pytest.fixture
def load(monkeypatch, tmp_path):
    environments = []

    def run(robot, mode):
        monkeypatch.setenv("RLBENCH_CACHE", str(tmp_path))
        env = Environment(mode, robot_setup=robot, tasks_from="builtin")
        environments.append(env)
        env.launch()
        return env, lambda: env.get_task("reach_target")

    yield run
    for env in environments:
        env.shutdown()


@needs_checkout
def test_an_action_has_a_number_for_each_joint(load):
    env, get_task = load("ur5", MoveArmThenGripper(JointVelocity(), Discrete()))
    with pytest.raises(TaskEnvironmentError, match="'ur5' are known once a task is loaded"):
        _ = env.action_shape
    task = get_task()
    assert env.action_shape == (7,)
    assert env.action_mode.action_bounds()[0].shape == (7,)
    _, obs = task.reset()
    after, _, _ = task.step([0, 0, 0, 0, 0, 0.5, 1])
    assert after.joint_positions[5] - obs.joint_positions[5] == pytest.approx(0.025, abs=5e-3)
    with pytest.raises(InvalidActionError, match=r"shape \(8,\), it must be \(7,\)"):
        task.step(np.zeros(8))


@needs_checkout
def test_a_joint_that_is_not_there_is_named(load):
    _, get_task = load("ur5", MoveArmThenGripper(ERJointViaIK(commanded_joints=[6]), Discrete()))
    with pytest.raises(InvalidActionError, match=r"\[6\] must be in 0 to 5"):
        get_task()
    mode = ERJointViaIK(absolute_mode=False, commanded_joints=[5])
    env, get_task = load("ur5", MoveArmThenGripper(mode, Discrete()))
    get_task()
    assert env.action_mode.action_bounds()[0].shape == (9,)


@needs_checkout
def test_three_fingers_follow_their_travel(load):
    env, get_task = load("jaco", MoveArmThenGripper(JointPosition(False), GripperJointPosition()))
    task = get_task()
    task.reset()
    assert env.action_shape == (7,)
    for _ in range(10):
        obs, _, _ = task.step([0, 0, 0, 0, 0, 0, 0.4])
    assert obs.gripper_joint_positions == pytest.approx([0.4] * 3, abs=0.02)


@needs_checkout
@pytest.mark.parametrize("robot", ["ur5", "mico"])
def test_gymnasium_takes_other_robots(monkeypatch, tmp_path, robot):
    monkeypatch.setenv("RLBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("RLBENCH_TASKS_FROM", "builtin")
    env = gymnasium.make(
        "rlbench/reach_target-state-v0", robot_setup=robot, action_mode=JointPositionActionMode()
    )
    assert env.action_space.shape == (7,)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()
