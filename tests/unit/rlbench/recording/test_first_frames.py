"""Demonstrations of which only the first frames are kept."""

import json

import numpy as np
import pytest

from data_generation.RLBench import generate_data
from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.raw.store import RawStore
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig


@pytest.fixture(scope="module")
def task():
    env = Environment(obs_config=ObservationConfig(cameras={}, keypoints=("waypoints",)))
    env.launch()
    yield env.get_task("reach_target")
    env.shutdown()


def test_the_first_frames_are_those_of_the_whole(task):
    whole, seen = task.get_demo(0, 0), []
    cut = task.get_demo(0, 0, on_observation=seen.append, first_frames=5)
    assert len(cut) == len(seen) == 5 < len(whole)
    for one, other in zip(cut, whole[:5], strict=True):
        assert np.array_equal(one.keypoints, other.keypoints)
        assert np.array_equal(one.joint_positions, other.joint_positions)


def test_waypoints_that_are_reached_later_have_no_frame(task):
    whole = task.get_demo(0, 0)
    assert task.get_demo(0, 0, first_frames=5).waypoint_frames == []
    everything = task.get_demo(0, 0, first_frames=len(whole))
    assert list(everything.waypoint_frames) == list(whole.waypoint_frames) != []


def test_first_frames_are_a_key_of_the_dataset_config(tmp_path):
    settings = {"train_task_ids": [0], "cams": [], "n_ex_per_task": 3, "first_frames": 4}
    config, data = tmp_path / "config.json", tmp_path / "data"
    config.write_text(json.dumps(settings))
    command = ["--path_dataset", str(data), "--path_dataset_config", str(config)]
    assert generate_data.main(command) == 0
    store = RawStore(data)
    assert [len(store.read_tracks(key).xyz) for key in store.episodes(0)] == [4, 4, 4]
    config.write_text(json.dumps({**settings, "first_frames": 6}))
    assert generate_data.main(command) == 2


def test_data_sets_without_the_key_stay_as_they_are():
    assert "first_frames" not in DatasetConfig("-").fingerprint()
