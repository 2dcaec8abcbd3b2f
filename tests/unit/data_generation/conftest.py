"""Fixtures of stage 1's tests."""

import json

import pytest


@pytest.fixture
def write_config(tmp_path):
    """Write a small config of the fake simulator and return its path."""

    def write(**changes):
        config = {
            "train_task_ids": [0],
            "test_task_ids": [0],
            "n_variation_per_task": 2,
            "n_ex_per_task": 4,
            "obs_dim": [12, 16, 3],
            "cams": ["left", "right"],
            "track_cams": ["left", "right", "top"],
            **changes,
        }
        path = tmp_path / "config.json"
        path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))
        return str(path)

    return write
