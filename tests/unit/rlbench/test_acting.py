"""A robot acts by poses that somebody gives: its rules, and the causes of its failures."""

import numpy as np
import pytest

from rlbench.acting import Actor, deviation
from rlbench.backend.episodes.waypoint_poses import GivenPoses
from rlbench.backend.exceptions import ConfigurationPathError, DemoError
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig


@pytest.fixture(scope="module")
def env():
    made = Environment(obs_config=ObservationConfig(keypoints=("frames",), track_cams=()))
    made.launch()
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def lift(env):
    """The actor of pick_and_lift; each test places it anew."""
    return Actor(env.get_task("pick_and_lift"))


def moved(T, shift):
    out = T.copy()
    out[:3, 3] += shift
    return out


def test_the_true_poses_fulfil_the_task(lift):
    lift.place(0, 1)
    seen = lift.watch(3)
    acted = lift.follow(lift.true_poses())
    assert len(seen) == 3
    assert acted.is_success, acted.detail
    assert [v.name for v in acted.visits] == [f"waypoint{i}" for i in range(4)]
    assert acted.steps > 20


def test_the_same_numbers_give_the_same_movements(lift):
    runs = []
    for _ in range(2):
        lift.place(3, 2)
        runs.append(lift.follow(lift.true_poses()))
    for a, b in zip(runs[0].visits, runs[1].visits, strict=True):
        np.testing.assert_array_equal(a.true, b.true)
    assert runs[0].steps == runs[1].steps


def test_a_pose_on_a_held_thing_moves_with_the_hand(lift):
    """Once the block is lifted, a second round would use poses that have moved with it."""
    lift.place(0, 1)
    start = lift.true_poses()
    acted = lift.follow(start)
    last = acted.visits[-1]
    assert last.name == "waypoint3"  # hangs on the target volume, which stands still
    np.testing.assert_allclose(last.used, start["waypoint3"])
    third = acted.visits[2]  # hangs on the block, which is held by then
    assert deviation(third.used, third.true)[0] < 1.0


@pytest.mark.parametrize(
    ("shift", "cause"), [((0.0, 0.0, 0.06), "missed_grasp"), ((5.0, 0.0, 0.0), "no_path")]
)
def test_a_wrong_pose_fails_with_its_cause(lift, shift, cause):
    lift.place(0, 1)
    poses = lift.true_poses()
    poses["waypoint1"] = moved(poses["waypoint1"], shift)
    acted = lift.follow(poses)
    assert acted.cause == cause
    assert not acted.is_success


def refuse_without_a_way(waypoint):
    try:
        raise ConfigurationPathError("no straight line of the tip")
    except ConfigurationPathError as error:
        raise DemoError("the lid cannot be pulled straight", cause="no_straight_pull") from error


def refuse(waypoint):
    raise DemoError("the lid is broken", cause="lid")


@pytest.mark.parametrize(
    ("ability", "cause"), [(refuse_without_a_way, "no_path"), (refuse, "broken")]
)
def test_a_task_that_refuses_by_itself_fails_with_its_cause(lift, monkeypatch, ability, cause):
    """What its own code finds no way for counts as a missing way, anything else as broken."""
    lift.place(0, 1)
    waypoint = lift.task.scene.task.get_waypoints()[2]
    monkeypatch.setattr(type(waypoint), "start_of_path", ability)
    acted = lift.follow(lift.true_poses())
    assert acted.cause == cause
    assert acted.detail.startswith("the lid")


def test_where_no_way_leads_to_a_pose_another_one_is_tried(lift):
    lift.place(0, 1)
    true = lift.true_poses()
    poses = {**true, "waypoint1": moved(true["waypoint1"], (5.0, 0.0, 0.0))}
    back = moved(np.eye(4), (-5.0, 0.0, 0.0))
    acted = lift.follow(poses, doubts=lambda name: [moved(np.eye(4), (1.0, 0.0, 0.0)), back])
    assert acted.is_success, acted.detail
    assert [v.name for v in acted.visits if v.is_other] == ["waypoint1"]
    np.testing.assert_allclose(acted.visits[1].used, true["waypoint1"], atol=1e-9)


def test_a_waypoint_that_nobody_has_seen_is_a_cause(lift):
    lift.place(0, 1)
    poses = lift.true_poses()
    del poses["waypoint2"]
    acted = lift.follow(poses)
    assert acted.cause == "unseen"
    assert "waypoint2" in acted.detail
    assert len(acted.visits) == 2


def test_what_is_lost_on_the_way_was_dropped(lift):
    lift.place(0, 1)
    poses = lift.true_poses()
    gripper = lift.task.scene.robot.gripper

    def look(waypoint, step, known):
        if waypoint.name == "waypoint2":  # somebody takes the block away
            gripper.release()
            block = lift.task.scene.engine.shape("pick_and_lift_target")
            block.set_position(block.get_position() + np.array([0.1, 0.0, 0.0]))

    assert lift.follow(poses, look).cause == "dropped"


def test_looking_again_replaces_what_is_known(lift):
    """Before each waypoint the look is asked, and may let time pass."""
    lift.place(0, 1)
    asked, ticks = [], []

    def look(waypoint, step, known):
        asked.append(waypoint.name)
        step()
        return lift.true_poses()

    acted = lift.follow({}, look, on_step=lambda: ticks.append(1))
    assert acted.is_success
    assert asked == [v.name for v in acted.visits]
    assert len(ticks) == acted.steps


def test_what_a_look_does_not_show_stays_as_it_was(lift):
    """Also where it hangs on a held thing: then it has moved with the hand."""
    lift.place(0, 1)
    start, known_then = lift.true_poses(), {}

    def look(waypoint, step, known):
        known_then[waypoint.name] = dict(known)
        return {}

    acted = lift.follow(start, look)
    assert acted.is_success, acted.detail
    before, after = known_then["waypoint1"], known_then["waypoint3"]
    np.testing.assert_allclose(before["waypoint1"], start["waypoint1"])
    np.testing.assert_allclose(after["waypoint3"], start["waypoint3"])
    assert deviation(after["waypoint2"], start["waypoint2"])[0] > 20  # it was lifted


def test_a_path_is_known_by_its_first_point(env):
    """Its frame may be far away; a path at its own place is the scene's path."""
    robot = Actor(env.get_task("put_shoes_in_box"))
    robot.place(0, 0)
    engine = robot.task.scene.engine
    points = engine.path_points("waypoint1")
    true, frame = robot.true_poses()["waypoint1"], engine.dummy("waypoint1").get_matrix()
    np.testing.assert_allclose(true[:3, 3], points[0][:3, 3])
    np.testing.assert_allclose(true[:3, :3], frame[:3, :3])
    assert np.linalg.norm(frame[:3, 3] - true[:3, 3]) > 0.02
    seen = robot.watch(1)[0].keypoints
    row = robot.task.keypoint_names.index("frames/waypoint1/origin")
    np.testing.assert_allclose(seen[row], true[:3, 3], atol=1e-6)
    np.testing.assert_allclose(seen[row + 1], true[:3, 3] + 0.08 * true[:3, 0], atol=1e-6)
    given = GivenPoses(engine, robot.task.scene.robot.arm, robot.true_poses())
    way = next(w for w in robot.task.scene.task.get_waypoints() if w.name == "waypoint1")
    np.testing.assert_allclose(given.path(way), points, atol=1e-9)


def test_a_task_that_cannot_be_placed_says_so(lift, monkeypatch):
    def refuse(*_):
        raise DemoError("no place", cause="placement")

    monkeypatch.setattr(lift.task.scene, "init_episode", refuse)
    with pytest.raises(DemoError, match="no place"):
        lift.place(0, 1)


def test_deviation_of_poses():
    a, b = np.eye(4), np.eye(4)
    b[:3, 3] = [0.003, 0.004, 0.0]
    b[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    mm, deg = deviation(a, b)
    assert mm == pytest.approx(5.0)
    assert deg == pytest.approx(90.0)
