import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))


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
