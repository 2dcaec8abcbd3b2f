"""Demonstrations end at rest, and every waypoint is reached at rest."""

from dataclasses import replace

import numpy as np
import pytest

from pyrep_mujoco.objects.object_types import PrimitiveShape
from pyrep_mujoco.objects.shape_forms import primitive_form
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.arm_motion import TimedPath
from pyrep_mujoco.robots.gripper import Gripper
from rlbench.backend.episodes import demonstration
from rlbench.backend.episodes.last_way import REST_STEPS, end_where_fulfilled
from rlbench.backend.exceptions import DemoError
from rlbench.backend.placement_rules import OUR_RULES, RLBENCH_RULES
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tasks import AVAILABLE
from tests.unit.rlbench.checkout.checkout_files import write_checkout

NEAR = 5e-4
"""[m] from the end of the way."""
SLOW = 0.02
"""[rad/s] of any joint."""


@pytest.fixture
def load():
    made = []

    def start(name, **options):
        config = ObservationConfig(track_cams=(), keypoints=("waypoints",))
        env = Environment(obs_config=config, **options)
        env.launch()
        made.append(env)
        return env.get_task(name)

    yield start
    for env in made:
        env.shutdown()


@pytest.fixture
def ways(monkeypatch):
    """Collect the (3,) tip positions that the ways of a demonstration lead to."""
    ends, plain = [], demonstration.come_to_rest

    def come_to_rest(path, step):
        ends.append(path.tip_at_end())
        plain(path, step)

    monkeypatch.setattr(demonstration, "come_to_rest", come_to_rest)
    return ends


def check_rest(demo, ends):
    """Check the frames of waypoints, and the last one, against (3,) `ends` of the ways."""
    for frame, end in zip([*demo.waypoint_frames, -1], ends, strict=True):
        assert np.linalg.norm(demo[frame].gripper_pose[:3] - end) < NEAR, frame
        assert np.abs(demo[frame].joint_velocities).max() < SLOW, frame


@pytest.mark.slow
@pytest.mark.parametrize("name", AVAILABLE)
def test_every_waypoint_and_the_end_are_reached_at_rest(load, ways, name):
    task = load(name)
    task.set_variation(task.variation_count() - 1)
    demo = task.get_demo(5, 0)
    assert len(demo.waypoint_frames) == len(task.waypoint_names)
    check_rest(demo, ways)
    # What no hand carries is where the waypoints are drawn.
    last = demo[-1].obj_annotations["waypoints"][task.waypoint_names[-1]]["pos"]
    assert np.linalg.norm(demo[-1].gripper_pose[:3] - last) < NEAR


@pytest.mark.parametrize("name", ["reach_target", "pick_and_lift"])
def test_task_files_of_rlbench_end_at_rest_too(load, ways, tmp_path, name):
    root = write_checkout(tmp_path / "checkout")
    demo = load(name, rlbench_root=root, tasks_from="rlbench").get_demo(0, 0)
    check_rest(demo, ways)


@pytest.mark.parametrize("rules", [OUR_RULES, RLBENCH_RULES], ids=["ours", "rlbench"])
def test_early_success_does_not_end_a_demonstration(load, ways, monkeypatch, rules):
    task = load("reach_target")
    monkeypatch.setattr(type(task.scene.task), "rules", rules)
    monkeypatch.setattr(type(task.scene.task), "success", lambda _: (True, True))
    check_rest(task.get_demo(0, 0), ways)


def test_success_that_passes_is_a_failed_attempt(load, monkeypatch):
    task = load("reach_target")
    arm = task.scene.robot.arm

    def is_moving(_):
        return (bool(np.abs(arm.get_joint_velocities()).max() > 0.1),) * 2

    monkeypatch.setattr(type(task.scene.task), "success", is_moving)
    with pytest.raises(DemoError) as caught:
        task.get_demo(0, 0)
    assert caught.value.cause == "not_successful"


def test_a_task_whose_waypoints_are_all_left_out_still_ends(load, monkeypatch):
    task = load("reach_target")
    kind = type(task.scene.task)
    every = kind.get_waypoints

    def left_out(self):
        return [replace(waypoint, skip=True) for waypoint in every(self)]

    monkeypatch.setattr(kind, "success", lambda _: (True, True))
    monkeypatch.setattr(kind, "get_waypoints", left_out)
    demo = task.get_demo(0, 0)
    assert len(demo) == 1
    assert demo.waypoint_frames == []


# ---- the arm ------------------------------------------------------------------------------


@pytest.fixture
def arm(engine):
    arm = Arm(engine)
    arm.home()
    return arm


def play(engine, path):
    """Play a way, come to rest, and return how many steps resting took."""
    while not path.step():
        engine.step()
    for step in range(REST_STEPS):
        if path.settle():
            return step
        engine.step()
    return REST_STEPS


def missing(arm, path):
    return np.abs(arm.get_joint_positions() - path.q[-1]).max()


def hold_a_weight(engine, mass):
    T = engine.dummy(engine.robot.tip).get_matrix()
    form = primitive_form(PrimitiveShape.CUBOID, (0.02, 0.03, 0.02), True, mass)
    block = engine.editor.make("Block", form, np.array(T))
    engine.welds.attach(block.body, engine.object(engine.robot.hand).body)
    return block


def test_servos_do_not_lag_behind_a_way(engine, arm):
    path = arm.plan_to(arm.get_joint_positions() + 0.3)
    rows = 0
    while not path.step():
        engine.step()
        rows += engine.controls.substeps
        q = path.q[min(rows, len(path.q) - 1)]
        assert np.abs(arm.get_joint_positions() - q).max() < 1.5e-3
    assert missing(arm, path) < TimedPath.ARRIVED


@pytest.mark.parametrize("mass", [0.0, 0.5, 1.5])
def test_a_weight_in_the_hand_does_not_bend_the_arm(engine, arm, mass):
    if mass:
        hold_a_weight(engine, mass)
    path = arm.plan_to(arm.get_joint_positions() + 0.2)
    assert play(engine, path) <= 3
    assert missing(arm, path) < TimedPath.ARRIVED


def test_letting_go_does_not_make_the_arm_spring(engine, arm):
    block = hold_a_weight(engine, 1.0)
    path = arm.plan_to(arm.get_joint_positions() + 0.2)
    play(engine, path)
    engine.welds.detach(block.body)
    path.stay()
    for _ in range(8):  # what falls out of the hand knocks against it
        engine.step()
    assert missing(arm, path) < TimedPath.ARRIVED  # 1.4 mrad where servos go on bearing it


def test_an_arm_that_is_stopped_rests_where_it_is_and_does_not_push_ever_harder(engine, arm):
    goal = arm.get_joint_positions()
    goal[[1, 3]] += [1.0, -0.6]  # down through the table
    path = arm.plan_to(goal)
    assert play(engine, path) <= REST_STEPS
    assert missing(arm, path) > 0.05
    commanded = engine.data.ctrl[arm.actuators]
    assert np.abs(commanded - goal).max() <= TimedPath.MAX_LIFT + 1e-9


def test_fingers_keep_their_target_in_a_step_that_is_written(engine, arm):
    gripper = Gripper(engine)
    gripper.reset()
    arm.plan_to(arm.get_joint_positions()).stay()
    gripper.set_target(np.full(2, 0.01))
    for _ in range(10):
        engine.step()
    assert np.allclose(gripper.get_joint_positions(), 0.01, atol=1e-3)


# ---- the last way of RLBench's tasks ----------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "near", "far", "rests"),
    [
        (RLBENCH_RULES, 0.0, 0.02, (0.0, NEAR)),
        (RLBENCH_RULES, 0.004, 0.03, (0.004, 0.006)),
        (RLBENCH_RULES, 0.018, 0.03, None),
        (OUR_RULES, 0.004, 0.03, None),
    ],
)
def test_the_arm_rests_before_an_end_that_undoes_what_was_achieved(
    load, monkeypatch, rules, near, far, rests
):
    task = load("reach_target")
    kind, tip = type(task.scene.task), task.scene.robot.arm.get_tip()

    def is_between(self):
        left = np.linalg.norm(tip.get_position() - self.dummy("waypoint0").get_position())
        return bool(near <= left <= far), False

    monkeypatch.setattr(kind, "rules", rules)
    monkeypatch.setattr(kind, "success", is_between)
    if rests is None:
        with pytest.raises(DemoError) as caught:
            task.get_demo(0, 0)
        assert caught.value.cause == "not_successful"
        return
    demo = task.get_demo(0, 0)
    goal = demo[-1].obj_annotations["waypoints"]["waypoint0"]["pos"]
    assert rests[0] <= np.linalg.norm(demo[-1].gripper_pose[:3] - goal) <= rests[1]
    assert np.abs(demo[-1].joint_velocities).max() < SLOW
    again = task.get_demo(0, 0)
    assert np.array_equal(again[-1].joint_positions, demo[-1].joint_positions)


def test_looking_ahead_leaves_the_simulation_as_it_was(engine, arm):
    path = arm.plan_to(arm.get_joint_positions() + 0.2)
    before = engine.get_state().physics
    assert end_where_fulfilled(engine, path, lambda: False) is path
    assert np.array_equal(engine.get_state().physics, before)
    shorter = path.shortened(0.01)
    play(engine, path)
    end = arm.get_tip().get_position()
    left = np.linalg.norm(end - arm.kinematics.fk(shorter.q[-1])[0])
    assert 0.0095 < left < 0.0125
