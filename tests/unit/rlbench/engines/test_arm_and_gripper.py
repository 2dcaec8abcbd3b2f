"""What the arm plans round, and fingers that turn back."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from pyrep_mujoco.objects.object_types import PrimitiveShape
from pyrep_mujoco.objects.shape_forms import primitive_form
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.robots.robot_model import FIRM, YIELDING
from rlbench.backend.exceptions import ConfigurationPathError
from rlbench.backend.placement_rules import RLBENCH_RULES
from rlbench.backend.waypoints import Waypoint
from rlbench.engines.mujoco import PANDA, MujocoEngine
from rlbench.environment import Environment
from rlbench.tasks import builtin_scene

SPEED = 0.04


def make_at_tip(engine, size, free):
    """Make a block whose middle is the tip."""
    T = engine.dummy(engine.robot.tip).get_matrix()
    return engine.editor.make(
        "Block", primitive_form(PrimitiveShape.CUBOID, size, free, 0.1), np.array(T)
    )


def drive(engine, gripper, amount):
    for step in range(60):
        if gripper.actuate(amount, SPEED):
            return step
        engine.step()
    raise AssertionError("the gripper never ends")


def test_fingers_that_press_open_again():
    robot = copy.copy(PANDA)
    vars(robot)["is_careful"] = True
    engine = MujocoEngine(builtin_scene("pick_and_lift"), robot)
    Arm(engine).home()
    gripper = Gripper(engine)
    gripper.reset()
    block = make_at_tip(engine, (0.02, 0.03, 0.02), free=True)
    block.set_dynamic(False)
    drive(engine, gripper, 0.0)
    assert 0.3 < gripper.get_open_amount().min() < 0.45
    for _ in range(5):  # they press on
        engine.step()
    drive(engine, gripper, 1.0)
    assert gripper.get_open_amount().min() > 0.95


def test_the_arm_avoids_what_is_solid_though_not_collidable(engine):
    arm = Arm(engine)
    arm.home()
    q = arm.get_joint_positions()
    wall = make_at_tip(engine, (0.3, 0.3, 0.1), free=False)
    wall.set_collidable(False)
    world = Arm(engine).obstacles
    world.sync()
    assert not world.is_free(q)
    assert not world.is_free(q, only_fixed=True)
    assert world.is_free(q, counts_walls=False)
    wall.set_respondable(False)
    world.sync()
    assert world.is_free(q)


DRAWN_SCENE = """
<mujoco model="drawn">
  <custom>
    <text name="flags:block" data="respondable"/>
    <text name="flags:drawn" data="collidable renderable"/>
  </custom>
  <worldbody>
    <body name="block" pos="2 2 2"><freejoint/>
      <geom type="box" size="0.1 0.1 0.1" mass="0.1"/>
      <body name="drawn">
        <geom type="box" size="0.1 0.1 0.1" mass="0" contype="0" conaffinity="0" group="1"/>
        </body></body>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize("is_careful", [True, False])
def test_a_careful_arm_avoids_what_hides_beneath_something_drawn(tmp_path, is_careful):
    path = tmp_path / "drawn.xml"
    path.write_text(DRAWN_SCENE)
    robot = copy.copy(PANDA)
    vars(robot)["is_careful"] = is_careful
    engine = MujocoEngine(path, robot)
    arm = Arm(engine)
    arm.home()
    q = arm.get_joint_positions()
    engine.shape("block").set_position(engine.dummy(robot.tip).get_position())
    world = Arm(engine).obstacles
    world.sync()
    assert world.is_free(q) == (not is_careful)
    engine.shape("drawn").set_collidable(False)
    world.sync()
    assert world.is_free(q)


def test_named_shapes_collide_whatever_their_flags(engine):
    block, other = (engine.shape(n) for n in ("pick_and_lift_target", "stack_blocks_distractor0"))
    other.set_position(block.get_position())
    for shape in (block, other):
        shape.set_collidable(False)
    assert block.check_collision(other)
    assert not block.check_collision(engine.shape("stack_blocks_distractor1"))


def test_placements_without_a_way_to_the_first_waypoint_are_refused(monkeypatch):
    env = Environment()
    env.launch()
    scene = env.get_task("reach_target").scene
    monkeypatch.setattr(type(scene.task), "rules", RLBENCH_RULES)
    plan, calls = scene.robot.arm.plan, []

    def fails_once(T_world_goal, *args, **kwargs):
        calls.append(T_world_goal)
        if len(calls) == 1:
            raise ConfigurationPathError("blocked")
        return plan(T_world_goal, *args, **kwargs)

    monkeypatch.setattr(scene.robot.arm, "plan", fails_once)
    scene.init_episode(0, np.random.SeedSequence(1))
    assert len(calls) == 2
    assert scene.placements == 2
    assert scene.refusals == ["reach_target: no way to waypoint0: blocked"]


def test_placements_without_a_line_to_a_linear_waypoint_are_refused(monkeypatch):
    env = Environment()
    env.launch()
    scene = env.get_task("pick_and_lift").scene
    monkeypatch.setattr(type(scene.task), "rules", RLBENCH_RULES)
    linear = scene.task.get_waypoints()[1].name
    monkeypatch.setattr(Waypoint, "is_linear", property(lambda self: self.name == linear))
    follow, lines = scene.robot.arm.can_follow, []

    def fails_once(poses, rng):
        lines.append(poses)
        return len(lines) > 1 and follow(poses, rng)

    monkeypatch.setattr(scene.robot.arm, "can_follow", fails_once)
    scene.init_episode(0, np.random.SeedSequence(1))
    assert all(len(poses) == 2 for poses in lines)
    assert scene.refusals.count("no line of the tip leads to waypoint1") == 1
    start, end = (waypoint.dummy.get_matrix() for waypoint in scene.task.get_waypoints()[:2])
    assert np.allclose(lines[-1], [start, end], atol=5e-3)


def slip_under_a_push(grip, newtons):
    """Hold a block, push it for 1 s, and return how far it went in the hand [m]."""
    engine = MujocoEngine(builtin_scene("pick_and_lift"))
    Arm(engine).home()
    block = make_at_tip(engine, (0.02, 0.03, 0.02), free=True)
    hand = engine.object(PANDA.hand)
    engine.welds.attach(block.body, hand.body)
    engine.welds.change_grip(grip)
    start = block.get_position(hand)
    for _ in range(20):
        engine.data.xfrc_applied[block.body, 0] = newtons
        engine.step()
    return float(np.linalg.norm(block.get_position(hand) - start))


def test_a_yielding_grip_gives_way_by_millimetres_a_firm_one_hardly():
    assert slip_under_a_push(FIRM, 10.0) < 5e-4
    assert 5e-3 < slip_under_a_push(YIELDING, 10.0) < 5e-2
    assert slip_under_a_push(YIELDING, 0.0) < 2e-3  # its own weight


def test_the_grip_yields_along_a_path_until_the_object_is_let_go():
    engine = MujocoEngine(builtin_scene("pick_and_lift"), replace(PANDA, path_grip=YIELDING))
    block, hand = engine.shape("pick_and_lift_target"), engine.object(PANDA.hand)
    arm, weld, firm = Arm(engine), engine.model.eq_solref, engine.model.eq_solref.copy()
    arm.home()
    tip = engine.dummy(PANDA.tip).get_matrix()
    engine.welds.attach(block.body, hand.body)
    arm.plan_to(arm.get_joint_positions()).step()
    path = arm.plan_along([tip, tip])
    assert np.array_equal(weld, firm)
    path.step()
    assert np.isclose(weld, YIELDING.seconds).any()
    engine.welds.detach(block.body)
    block.set_dynamic(False)
    assert np.array_equal(weld, firm)
    engine.welds.attach(block.body, hand.body)
    arm.plan_along([tip, tip]).step()
    assert not np.array_equal(weld, firm)
    engine.reset()
    assert np.array_equal(weld, firm)
