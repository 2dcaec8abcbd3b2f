"""Frames of things that look the same after a turn."""

import numpy as np
import pytest

from rlbench.acting import Actor
from rlbench.acting import deviation as plain_deviation
from rlbench.backend.turns_alike import TurnsAlike
from rlbench.engines.transforms import euler_to_matrix, transform
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig

AXIS = np.array([0.0, 0.0, 1.0])


def turned(angle, tilt=0.0, at=(0.0, 0.0, 0.0)):
    return transform(np.array(at), euler_to_matrix(np.array([tilt, 0.0, angle])))


@pytest.fixture(scope="module")
def task():
    config = ObservationConfig(cameras={}, track_cams=(), keypoints=("waypoints", "frames"))
    env = Environment(obs_config=config)
    env.launch()
    yield env.get_task("pick_and_lift")
    env.shutdown()


def points(task, observation, waypoint):
    names = task.keypoint_names
    return np.array(
        [observation.keypoints[names.index(f"frames/{waypoint}/{p}")] for p in ("origin", "x", "y")]
    )


@pytest.mark.parametrize(("turns", "left"), [(None, 0.0), (4, 0.1), (2, 0.1 - np.pi / 2), (1, 1.0)])
def test_the_nearest_pose_is_turned_the_least(turns, left):
    start = 1.0 if turns == 1 else 0.1 + 3 * np.pi / 2
    alike = TurnsAlike("cube", np.zeros(3), AXIS, turns)
    found = alike.nearest(turned(start), turned(0.0))
    assert np.allclose(found, turned(left))


def test_the_axis_may_pass_beside_the_frame():
    alike = TurnsAlike("cube", np.array([0.1, 0.0, 0.0]), AXIS, 4)
    found = alike.nearest(turned(np.pi), turned(0.0))
    assert np.allclose(found, turned(0.0, at=(-0.2, 0.0, 0.0)))


def test_a_tilted_frame_turns_about_its_own_axis():
    alike = TurnsAlike("ball", np.zeros(3), AXIS, None)
    found = alike.nearest(turned(2.0, tilt=0.3), turned(0.0))
    assert np.allclose(found[:3, 2], turned(2.0, tilt=0.3)[:3, 2])
    assert plain_deviation(found, turned(0.0))[1] == pytest.approx(np.degrees(0.3))


def test_recorded_frames_are_turned_the_least_from_the_hand(task):
    hand = task.scene.robot.arm.get_tip()
    others = {"waypoint0": np.array([1, 2, 3]) * np.pi / 2, "waypoint3": np.array([-0.05, 0.05])}
    for example in range(6):
        task.begin(0, example, 0)
        observation = task.get_observation()
        R = {}
        for waypoint in task.recorder.waypoints:
            origin, x, y = points(task, observation, waypoint)
            true = task.scene.engine.dummy(waypoint).get_matrix()
            assert np.allclose(origin, true[:3, 3], atol=1e-4)  # the axis passes through it
            x, y = (x - origin) / 0.08, (y - origin) / 0.08
            R[waypoint] = transform(origin, np.column_stack([x, y, np.cross(x, y)]))
            assert np.allclose(R[waypoint][:3, 2], true[:3, 2], atol=1e-3)
        assert np.allclose(R["waypoint0"][:3, 0], R["waypoint2"][:3, 0], atol=1e-5)
        for name, angles in others.items():
            angle = plain_deviation(R[name], hand.get_matrix())[1]
            for turn in angles:
                further = R[name] @ turned(turn)
                assert plain_deviation(further, hand.get_matrix())[1] >= angle


def test_the_choice_holds_for_the_whole_demonstration(task):
    demo = task.get_demo(0, 1)
    place = demo.keypoint_names.index("frames/waypoint1/x")
    corner = demo.keypoint_names.index("frames/waypoint1/y")
    steps = np.diff([o.keypoints[[place, corner]] for o in demo], axis=0)
    assert np.abs(steps).max() < 0.05  # [m] in 50 ms: no point changes its place
    assert max(np.ptp([o.keypoints[place] for o in demo], axis=0)) > 0.1  # the block was lifted


def test_an_episode_without_such_things_has_its_own_frames(task, monkeypatch):
    task.begin(0, 1, 0)
    monkeypatch.setattr(task.recorder, "turns_alike", dict)
    task.begin(0, 1, 0)
    x = points(task, task.get_observation(), "waypoint3")[1]
    true = task.scene.engine.dummy("waypoint3").get_matrix()
    assert np.allclose(x, true[:3, 3] + 0.08 * true[:3, 0], atol=1e-6)


def test_an_error_is_that_to_the_nearest_pose_alike(task):
    actor = Actor(task)
    actor.place(0, 2)
    true = actor.true_poses()
    quarter = turned(np.pi / 2)
    for name in ("waypoint1", "waypoint3"):
        used = true[name].copy()
        used[:3, :3] = quarter[:3, :3] @ used[:3, :3]
        assert plain_deviation(used, true[name])[1] == pytest.approx(90)
        assert actor.deviation(name, used, true[name]) == pytest.approx((0, 0), abs=1e-2)
    eighth = true["waypoint1"] @ turned(np.pi / 4)
    assert actor.deviation("waypoint1", eighth, true["waypoint1"])[1] == pytest.approx(45)
