import json
import logging
from dataclasses import replace

import pytest

from data_generation.RLBench.config import (
    REPOSITORY,
    DatasetConfig,
    find_config,
    find_dataset,
    load_config,
)
from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.tracks.detector import PRESETS, DetectorNoise


def load(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return load_config(path)


@pytest.mark.parametrize("name", ["dataset_config.json", "quickstart.json"])
def test_shipped_configs_load(name):
    config = load_config(REPOSITORY / "configs" / name)
    assert config.image_size == (256, 256)
    assert len(config.cams) == len(config.track_cams) == 4
    assert config.task_ids("train") == (
        (9, 12, 40, 54, 79) if name == "dataset_config.json" else (0, 9)
    )
    assert len(config.plan(0, 20)) == (10 if name == "dataset_config.json" else 12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cam": []}, "unknown key 'cam'; did you mean 'cams'"),
        ({"zzz": 1}, "unknown key 'zzz'; allowed: action_dim"),
        ({"obs_dim": [0, 256, 3]}, "obs_dim is .*sides of 1 to"),
        ({"obs_dim": [256, 256]}, "obs_dim"),
        ({"shadows": 1}, "shadows is 1; it must be true or false"),
        ({"antialiasing": 3}, "antialiasing is 3; it must be one of 0, 2, 4, 8, 16"),
        ({"antialiasing": True}, "antialiasing is true; it must be one of 0, 2, 4, 8, 16"),
        ({"antialiasing": "4"}, "antialiasing"),
        ({"obs_dim": [256, 99999, 3]}, "obs_dim"),
        ({"train_task_ids": ["a b"]}, "train_task_ids is"),
        ({"train_task_ids": [0, "*"]}, "train_task_ids is"),
        ({"train_task_ids": [True]}, "train_task_ids is"),
        ({"train_task_ids": [-1]}, "train_task_ids is"),
        ({"train_task_ids": [1, 1]}, "each task id once"),
        ({"cams": "front"}, "cams is .*list of names"),
        ({"cams": ["front", "front"]}, "each entry once"),
        ({"track_cams": []}, "track_cams"),
        ({"keypoints": ["waypoint"]}, "did you mean 'waypoints'"),
        ({"keypoints": []}, "keypoints"),
        ({"registered_actions": ["ee"]}, "registered_actions holds 'ee'"),
        ({"n_ex_per_variation": 0}, "whole number of at least 1"),
        ({"n_ex_per_task": 1.5}, "whole number of at least 1"),
        ({"headless_generation": 1}, "true or false"),
        ({"env": "Other"}, "env is"),
        ({"action_dim": 7}, "action_dim is 7"),
        ({"name": ""}, "name is"),
        ({"cams": [], "get_point_clouds": True}, "get_point_clouds needs a camera"),
        ({"noise_scale": -1}, r"noise_scale is -1; it must be a number in \[0, 100\]"),
        ({"noise_scale": "2"}, "noise_scale is"),
        ({"noise_scale": True}, "noise_scale is"),
        ({"outlier_rate": 1.5}, r"outlier_rate is 1.5; it must be a number in \[0, 1\]"),
        ({"drop_rate": [0.1, 0.2]}, "drop_rate is .*one number, or 4 for track_cams"),
        ({"drop_rate": []}, "drop_rate is"),
        ({"occlusion_noise": [1, 1, -1, 1]}, "occlusion_noise is"),
        ({"noise_seed": -1}, "noise_seed is -1"),
        ({"detector": "as_mesured"}, "detector is 'as_mesured'; did you mean 'as_measured'"),
        ({"detector": 1}, "detector must be str"),
        ({"detector": ["as_measured"]}, "detector must be str"),
        ({"noise_time_constant": -1}, r"noise_time_constant is -1; .* in \[0, 10000\]"),
        ({"noise_persistent_share": 1.1}, "noise_persistent_share is 1.1"),
        ({"noise_per_keypoint": [0, 1]}, "noise_per_keypoint is .*one number, or 4 for track_cams"),
        ({"gross_rate": 2}, "gross_rate is 2"),
        ({"gross_rate_hidden": "0.1"}, "gross_rate_hidden is"),
        ({"gross_scale": -0.1}, "gross_scale is -0.1"),
        ({"share_identical": True}, "share_identical is"),
    ],
)
def test_bad_values_are_one_line_with_file_and_key(tmp_path, values, message):
    with pytest.raises(ConfigError, match=message) as error:
        load(tmp_path, values)
    assert str(error.value).startswith(str(tmp_path / "c.json"))
    assert "\n" not in str(error.value)


def test_a_preset_gives_way_to_the_keys_of_the_file(tmp_path):
    assert load(tmp_path, {}).detector_noise() == DetectorNoise()
    measured = DetectorNoise(**PRESETS["as_measured"])
    assert load(tmp_path, {"detector": "as_measured"}).detector_noise() == measured
    own = load(
        tmp_path, {"detector": "as_measured", "noise_scale": 1, "gross_rate": [0, 0, 0, 0.5]}
    )
    assert own.detector_noise() == replace(measured, noise_scale=1, gross_rate=(0, 0, 0, 0.5))
    assert load(tmp_path, {"noise_seed": 3}).detector_noise("as_measured").noise_seed == 3
    assert own.detector_noise("white") == DetectorNoise(gross_rate=(0, 0, 0, 0.5))
    assert DatasetConfig("x", detector="as_measured", noise_scale=2).detector_noise() == replace(
        measured, noise_scale=2
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', "not valid JSON at line 1 column"),
        ("", "not valid JSON"),
        ("[1]", "must hold a JSON object"),
        ('{"cams": [], "cams": []}', "given twice"),
    ],
)
def test_bad_files(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_not_text(tmp_path):
    (tmp_path / "c.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "c.json")


def test_older_keys_are_ignored_with_one_line(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        load(tmp_path, {"n_cameras": 4, "get_depth": 1})
    assert caplog.messages == [
        f"{tmp_path / 'c.json'}: n_cameras and get_depth of older configs ignored"
    ]


@pytest.mark.parametrize("value", ["*", ["*"]])
def test_all_tasks(tmp_path, value):
    assert load(tmp_path, {"train_task_ids": value}).task_ids("train") == "*"


def pairs(config, n_variations):
    return [(k.variation, k.example) for k in config.plan(5, n_variations)]


def test_episodes_run_over_variations_first():
    config = DatasetConfig("x", n_variation_per_task=2, n_ex_per_variation=3)
    assert pairs(config, 20) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert pairs(config, 1) == [(0, 0), (0, 1), (0, 2)]
    assert pairs(replace(config, n_ex_per_task=3), 20) == [(0, 0), (1, 0), (0, 1)]


@pytest.mark.parametrize("counts", [(2, 3, 5), (3, 1, 2), (1, 4, None), (4, 2, None)])
def test_a_plan_holds_what_it_lists(counts):
    variations, per_variation, per_task = counts
    config = DatasetConfig(
        "x",
        n_variation_per_task=variations,
        n_ex_per_variation=per_variation,
        n_ex_per_task=per_task,
    )
    plan = config.plan(5, 20)
    listed = set(plan)
    assert len(listed) == len(plan)
    assert set(plan.used_variations()) == {k.variation for k in listed}
    every = (EpisodeKey(t, e, v) for t in (4, 5) for e in range(-1, 7) for v in range(-1, 7))
    assert {k for k in every if k in plan} == listed


def test_a_huge_plan_is_arithmetic():
    config = DatasetConfig("x", n_variation_per_task=10**9, n_ex_per_variation=10**9)
    plan = config.plan(0, 10**9)
    assert len(plan) == 10**18
    assert next(iter(plan)) == EpisodeKey(0, 0, 0)
    assert EpisodeKey(0, 10**9 - 1, 10**9 - 1) in plan
    assert EpisodeKey(0, 10**9, 0) not in plan


def test_config_is_looked_for_here_then_in_configs(tmp_path):
    shipped = REPOSITORY / "configs" / "dataset_config.json"
    assert find_config("dataset_config.json", tmp_path) == shipped
    assert find_config("configs/dataset_config.json", tmp_path) == shipped
    (tmp_path / "dataset_config.json").write_text("{}")
    assert find_config("dataset_config.json", tmp_path) == tmp_path / "dataset_config.json"
    with pytest.raises(ConfigError, match="not found; looked for"):
        find_config("none.json", tmp_path)


def test_dataset_must_exist(tmp_path):
    assert find_dataset(".", tmp_path) == tmp_path
    with pytest.raises(ConfigError, match=r"run generate_data\.py first"):
        find_dataset("nowhere", tmp_path)
