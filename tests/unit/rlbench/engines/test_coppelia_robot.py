"""How the engine drives PyRep's arm and gripper: which calls it makes, and what becomes of them."""

import numpy as np
import pytest

from pyrep_mujoco.transforms import euler_to_matrix, transform
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import (
    EndEffectorPoseViaIK,
    EndEffectorPoseViaPlanning,
    JointPosition,
    JointVelocity,
)
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.backend.exceptions import ConfigurationPathError, IKError
from rlbench.engines.protocols import Gripper, ServoArm
from rlbench.environment import Environment
from rlbench.tasks import get_task_class
from tests.contract.fake_robot import Panda
from tests.contract.fake_world import PATH

RNG = np.random.default_rng(0)
BLOCK = "pick_and_lift_target"


def calls(world, name):
    return [(args, kwargs) for called, args, kwargs in world.calls if called == name]


def above(engine, robot, height=0.05):
    T = robot.arm.get_tip().get_matrix()
    T[2, 3] -= height
    return T


# ---- arm --------------------------------------------------------------------------------


def test_planning_asks_as_rlbench_does(world, loaded):
    engine, robot = loaded
    robot.arm.plan(above(engine, robot), RNG, ignore_collisions=True)
    (_, kwargs) = calls(world, "Panda.get_path")[-1]
    assert kwargs["ignore_collisions"]
    assert (kwargs["trials"], kwargs["max_configs"], kwargs["trials_per_goal"]) == (100, 10, 10)
    assert kwargs["algorithm"].value == "RRTConnect"
    robot.arm.plan(above(engine, robot), RNG, linear_only=True)
    assert len(calls(world, "Panda.get_linear_path")) == 1


def test_what_touches_the_arm_does_not_forbid_leaving(world, loaded, monkeypatch):
    engine, robot = loaded
    block = engine.shape(BLOCK)
    block.set_position(robot.arm.get_tip().get_position() + np.array([0, 0, 0.05]))
    assert robot.arm.touched_shapes() == [BLOCK]
    seen, find = [], Panda.get_path

    def spy(*args, **kwargs):
        seen.append(block.is_collidable())
        return find(*args, **kwargs)

    monkeypatch.setattr(Panda, "get_path", spy)
    robot.arm.plan(above(engine, robot), RNG)
    assert seen == [False]
    assert block.is_collidable()
    with pytest.raises(ConfigurationPathError, match="PyRep finds no path"):
        robot.arm.plan(transform(np.array([9.0, 0, 0]), np.eye(3)), RNG)
    assert block.is_collidable()
    with pytest.raises(ConfigurationPathError, match="no straight line"):
        robot.arm.plan(transform(np.array([9.0, 0, 0]), np.eye(3)), RNG, linear_only=True)


def test_a_path_is_played_to_its_end(loaded):
    engine, robot = loaded
    goal = above(engine, robot)
    path = robot.arm.plan(goal, RNG)
    steps = 0
    while not path.step():
        engine.step()
        steps += 1
    assert steps > 1
    assert path.step()
    assert np.allclose(robot.arm.get_tip().get_matrix(), goal, atol=1e-4)
    assert robot.arm.plan(goal, RNG).step()  # there already: nothing to play


def test_reach_is_inverse_kinematics_without_collisions(world, loaded):
    engine, robot = loaded
    assert robot.arm.can_reach(above(engine, robot), RNG)
    assert not robot.arm.can_reach(transform(np.array([9.0, 0, 0]), np.eye(3)), RNG)
    (_, kwargs) = calls(world, "Panda.solve_ik_via_sampling")[0]
    assert kwargs["ignore_collisions"]


def test_a_cartesian_path_goes_to_pyreps_own_planner(world, loaded):
    engine, robot = loaded
    T = robot.arm.get_tip().get_matrix()
    node = world.add("waypoint9", PATH, None, T)
    node.path = [transform(np.array([0, 0, z]), euler_to_matrix(np.zeros(3))) for z in (0, 0.1)]
    points = engine.path_points("waypoint9")
    assert np.allclose(points[0], T)
    assert np.allclose(points[-1], T @ node.path[-1])
    assert engine.path_points("waypoint0") == engine.path_points("nothing") == []
    assert engine.dummy("waypoint9").get_extension_string() == ""
    path = robot.arm.plan_along(points)
    while not path.step():
        engine.step()
    assert len(calls(world, "Panda.get_path_from_cartesian_path")) == 1
    assert np.allclose(robot.arm.get_tip().get_matrix(), points[-1], atol=1e-4)
    node.path[-1][0, 3] = 9.0
    with pytest.raises(ConfigurationPathError, match="cannot follow the path waypoint9"):
        robot.arm.plan_along(engine.path_points("waypoint9"))


def test_plain_poses_are_followed_in_straight_lines(loaded):
    engine, robot = loaded
    start = robot.arm.get_joint_positions()
    poses = [above(engine, robot, h) for h in (0.03, 0.06)]
    path = robot.arm.plan_along(poses)
    assert np.allclose(robot.arm.get_joint_positions(), start)  # planning moves nothing
    while not path.step():
        engine.step()
    assert np.allclose(robot.arm.get_tip().get_matrix(), poses[-1], atol=1e-4)
    with pytest.raises(ConfigurationPathError, match="point 1 of the path"):
        robot.arm.plan_along([poses[0], transform(np.array([9.0, 0, 0]), np.eye(3))])


def test_forces_take_the_sign_of_the_motion_and_may_not_be_there_yet(loaded, monkeypatch):
    _, robot = loaded
    Panda().set_joint_target_velocities([1, -1, 0, 0, 0, 0, 0])
    assert robot.arm.get_joint_forces().tolist() == [1, -1, 1, 1, 1, 1, 1]

    def nothing(self):
        raise RuntimeError("No value available yet.")

    monkeypatch.setattr(Panda, "get_joint_forces", nothing)
    assert robot.arm.get_joint_forces().tolist() == [0] * 7


def test_step_by_step_commands(world, loaded):
    engine, robot = loaded
    arm = robot.arm
    start = arm.get_joint_positions()
    arm.servo_to(start + 1.0)
    engine.step()
    reach = np.minimum(arm.max_velocity * 0.05, arm.joint_limits()[1] - start)
    assert np.allclose(arm.get_joint_positions() - start, reach)
    arm.set_joint_target_velocities(np.full(7, -0.1))
    engine.step()
    assert np.allclose(arm.get_joint_positions() - start, reach - 0.005)
    arm.set_joint_torques(np.r_[1.0, -2.0, np.full(5, 1000.0)])
    (args, _) = calls(world, "RobotComponent.set_joint_forces")[-1]
    assert args[0] == [1.0, 2.0] + [87.0] * 5
    arm.hold()
    (args, _) = calls(world, "RobotComponent.set_control_loop_enabled")[-1]
    assert args == (True,)


@pytest.mark.slow
def test_inverse_kinematics_and_ways_of_the_joints(loaded):
    engine, robot = loaded
    arm = robot.arm
    start = arm.get_joint_positions()
    goal = above(engine, robot)
    q = arm.joints_for(goal)
    assert np.allclose(arm.get_joint_positions(), start)
    path = arm.plan_to(q, ignore_collisions=False)
    assert np.allclose(arm.get_joint_positions(), start)
    while not path.step():
        engine.step()
    assert np.allclose(arm.get_tip().get_matrix(), goal, atol=1e-4)
    assert arm.joints_for(goal, {0: 0.3})[0] == 0.3
    with pytest.raises(IKError, match="PyRep"):
        arm.joints_for(transform(np.array([9.0, 0, 0]), np.eye(3)))
    down = start.copy()
    down[1] = 1.7
    with pytest.raises(ConfigurationPathError, match="not free"):
        arm.plan_to(down, ignore_collisions=False)


# ---- gripper ----------------------------------------------------------------------------


def test_gripper_opens_closes_and_reads_forces_left_first(world, loaded):
    engine, robot = loaded
    gripper: Gripper = robot.gripper
    while not gripper.actuate(0.0, 0.04):
        engine.step()
    assert gripper.get_open_amount().max() < 0.03
    assert gripper.get_range() == pytest.approx(0.04)
    gripper.servo_to(np.full(2, 0.04), 0.2)
    engine.step()
    assert gripper.get_joint_positions() == pytest.approx([0.01, 0.01], abs=2e-3)
    gripper.set_target(np.full(2, 0.01))
    engine.step()
    assert gripper.get_joint_positions() == pytest.approx([0.01, 0.01], abs=2e-3)
    left = engine.object("Panda_leftfinger_respondable").get_matrix()[:3, 2]
    assert np.allclose(gripper.get_touch_sensor_forces()[:3], left)
    gripper.reset()
    assert gripper.get_open_amount().min() > 0.99


# ---- action modes ----------------------------------------------------------------------

MODES = [
    (JointVelocity(), np.full(7, 0.2)),
    (JointPosition(absolute_mode=False), np.full(7, 0.05)),
    (EndEffectorPoseViaIK(absolute_mode=False), np.r_[0, 0, -0.03, 0, 0, 0, 1]),
    (EndEffectorPoseViaPlanning(absolute_mode=False), np.r_[0, 0, -0.03, 0, 0, 0, 1]),
]


@pytest.mark.parametrize(("mode", "numbers"), MODES, ids=[type(m).__name__ for m, _ in MODES])
def test_action_modes_move_the_arm(world, mode, numbers):
    env = Environment(MoveArmThenGripper(mode, Discrete()), engine="coppeliasim")
    env.launch()
    task = env.get_task(get_task_class("reach_target"))
    _, before = task.reset()
    arm = task.scene.robot.arm
    assert isinstance(arm, ServoArm)
    after, reward, _ = task.step(np.r_[numbers, 1.0])
    moved = after.joint_positions - before.joint_positions
    assert np.abs(moved).max() > 5e-3
    if len(numbers) == 7 and numbers[-1] == 1:
        change = after.gripper_pose[:3] - before.gripper_pose[:3]
        assert np.allclose(change, numbers[:3], atol=2e-3)
    assert reward == 0.0
    env.shutdown()
