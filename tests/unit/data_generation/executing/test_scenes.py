"""Scenes are watched, lifted and acted in; what comes of them is a function of their numbers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_generation.RLBench.config import REPOSITORY, load_config
from data_generation.RLBench.errors import DataGenerationError
from data_generation.RLBench.executing.jobs import Job
from data_generation.RLBench.executing.lifters import (
    check_task,
    lift_poses,
    open_lifter,
)
from data_generation.RLBench.executing.poses import LiftedPose
from data_generation.RLBench.executing.scene import Executor
from data_generation.RLBench.executing.settings import (
    EACH_WAYPOINT,
    Condition,
    Method,
    Settings,
    parse_method,
    simulated_noises,
)
from data_generation.RLBench.raw.episode_key import EpisodeKey
from rlbench.backend.exceptions import DemoError
from rlbench.backend.task import Task

LIFT = EpisodeKey(9, 0, 0)


def made(methods=("truth", "dlt", "mean"), scales=(1.0,), **options):
    config = load_config(REPOSITORY / "configs" / "dataset_config.json")
    parsed = tuple(parse_method(m) for m in methods)
    return Settings(config, 0, 7, parsed, simulated_noises(config, scales), **options)


@pytest.fixture(scope="module")
def executor():
    opened = Executor(made())
    yield opened
    opened.close()


def job(settings, key=LIFT, number=0):
    return Job(key, number, tuple(settings.conditions()))


def test_the_robot_succeeds_by_what_it_has_seen(executor):
    found = executor.run(job(executor.settings))
    assert [o["cause"] for o in found.values()] == ["", "", ""]
    true, dlt, mean = found.values()
    assert all(one["mm"] < 0.01 for one in true["looked"].values())
    errors = [[one["mm"] for one in o["looked"].values()] for o in (dlt, mean)]
    assert 0 < np.mean(errors[1]) < np.mean(errors[0]) < 20
    assert [v["waypoint"] for v in mean["visits"]] == [f"waypoint{i}" for i in range(4)]
    assert all(one["claimed_mm"] > 0 for one in mean["looked"].values())
    assert true["looked"]["waypoint0"]["claimed_mm"] is None


def test_no_pictures_are_made_where_nobody_asks_for_them(executor):
    actor = executor.actor(0)
    actor.place(0, 1)
    assert actor.watch(1)[0].images == {}


def test_a_scene_is_a_function_of_its_numbers(executor):
    reach = EpisodeKey(0, 0, 0)
    first = executor.run(job(executor.settings, reach))
    executor.run(job(executor.settings, EpisodeKey(0, 1, 1), 1))
    assert executor.run(job(executor.settings, reach)) == first


def test_a_frame_s_detections_do_not_depend_on_those_that_follow(executor):
    actor = executor.actor(9)
    actor.place(0, 5)
    watch = executor.watch(actor, job(executor.settings))
    noise = simulated_noises(replace(executor.settings.config, detector="as_measured"), [1.0])[0]
    for observation in actor.watch(3):
        watch.add(observation)
    early = watch.data(noise).tracks[9][0]
    for observation in actor.watch(4):
        watch.add(observation)
    np.testing.assert_array_equal(watch.data(noise).tracks[9][0][:, :3], early)


def test_exact_detections_give_the_true_poses(executor):
    actor = executor.actor(9)
    actor.place(0, 5)
    watch = executor.watch(actor, job(executor.settings))
    for observation in actor.watch(7):
        watch.add(observation)
    data = watch.data(simulated_noises(executor.settings.config, [0.0])[0])
    found = lift_poses(open_lifter(Method("mean", "mean")), data, 9, 3, "keep")
    for name, true in actor.true_poses().items():
        mm, deg = actor.deviation(name, found[name].T, true)
        assert mm < 0.5, name
        assert deg < 0.5, name


def test_doubts_are_drawn_from_the_claim():
    spread = np.diag([0.01, 0.02, 0.03, 0.001, 0.002, 0.003]) ** 2
    pose = LiftedPose(np.eye(4), 3.0, 1.7, spread)
    changes = np.array(pose.doubts(4000))
    np.testing.assert_array_equal(pose.doubts(10), pose.doubts(10))
    shifts = changes[:, :3, 3]
    np.testing.assert_allclose(shifts.std(0), [0.001, 0.002, 0.003], rtol=0.1)
    assert np.linalg.norm(shifts[0]) < np.linalg.norm(shifts[-1])
    np.testing.assert_allclose(np.linalg.det(changes[:, :3, :3]), 1.0)
    assert LiftedPose(np.eye(4), math.nan, math.nan).doubts(10) == []


def test_what_nobody_sees_is_not_lifted(executor):
    actor = executor.actor(9)
    actor.place(0, 5)
    watch = executor.watch(actor, job(executor.settings))
    for observation in actor.watch(7):
        observation.keypoint_visibility[:, 1] = 0.0  # a point of waypoint0
        watch.add(observation)
    data = watch.data(simulated_noises(executor.settings.config, [1.0])[0])
    lifter = open_lifter(Method("dlt", "dlt"))
    assert list(lift_poses(lifter, data, 9, 3, "keep")) == ["waypoint1", "waypoint2", "waypoint3"]
    data.tracks[9][0][..., 7] = 0.0
    assert lift_poses(lifter, data, 9, 3, "keep") == {}


def test_a_scene_that_cannot_be_placed_is_a_failure(executor, monkeypatch):
    def refuse(*_):
        raise DemoError("20 placements failed", cause="placement")

    actor = executor.actor(9)
    monkeypatch.setattr(actor.task.scene, "init_episode", refuse)
    found = executor.run(job(executor.settings))
    assert {o["cause"] for o in found.values()} == {"not_placed"}


def test_a_task_without_waypoints_is_a_failure(executor, monkeypatch):
    monkeypatch.setattr(Task, "get_waypoints", lambda task: [])
    found = executor.run(job(executor.settings))
    assert {o["cause"] for o in found.values()} == {"not_placed"}
    assert "no object waypoint0" in found[str(Condition("truth", "exact", "start"))]["detail"]


def test_a_task_whose_code_fails_is_a_failure(executor, monkeypatch):
    actor = executor.actor(9)

    def fail(*_):
        raise ZeroDivisionError("in a task file")

    monkeypatch.setattr(actor.task.scene, "demonstrate", fail)
    found = executor.run(job(executor.settings))
    assert found[str(Condition("truth", "exact", "start"))]["cause"] == "broken"
    assert "ZeroDivisionError" in next(iter(found.values()))["detail"]
    # The task is loaded anew, without the fault.
    assert list(found.values())[1]["cause"] == ""


def test_looks_are_independent_where_noise_is_white(executor):
    noise = simulated_noises(executor.settings.config, [1.0])[0]
    lasting = replace(noise.detector, noise_time_constant=(0.0, 0.0, 5.0, 0.0))
    window, whole = (open_lifter(Method(name, name)) for name in ("dlt", "rts"))
    assert executor.is_new(window, noise)
    assert not executor.is_new(window, replace(noise, detector=lasting))
    assert not executor.is_new(whole, noise)


def test_it_looks_again_and_waits_before_a_doubtful_grasp():
    """Claims of 3 x noise are above a limit of 1 mm, however long the robot waits."""
    settings = made(["mean"], [3.0], replan=EACH_WAYPOINT, grasp_limit_mm=1.0, longest_wait=10)
    executor = Executor(settings)
    (found,) = executor.run(job(settings)).values()
    executor.close()
    assert found["waited"] == {"waypoint1": 10}
    assert found["doubtful"] == ["waypoint1"]
    assert found["cause"] in ("", "missed_grasp", "no_path", "not_fulfilled", "dropped")


class Other:
    """A lifter that was trained on another task."""

    ids = ("T12/frames/waypoint0/origin",)


def test_a_checkpoint_of_other_keypoints_is_refused(tmp_path):
    method = Method("STC", checkpoint=tmp_path / "best.pt")
    with pytest.raises(DataGenerationError, match="does not know frames/waypoint0/x of task 9"):
        check_task(Other(), method, 9, ["frames/waypoint0/x"])


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "best.pt"
    torch.save({"a": 1}, path)
    with pytest.raises(DataGenerationError, match="best.pt"):
        open_lifter(parse_method(f"STC={path}"))
