"""One tiny episode, compared with the golden file. To regenerate: tests/golden/make_golden.py."""

import json

import numpy as np
import pytest

from tests.golden.make_golden import EPISODE, make_episode

HINT = "if the change is meant: python tests/golden/make_golden.py, and say why in the commit"


@pytest.fixture(scope="module")
def episodes():
    assert EPISODE.stat().st_size < 50_000
    return json.loads(EPISODE.read_text(encoding="utf-8")), make_episode()


@pytest.mark.parametrize(
    "key", ["frames", "kept", "waypoint_frames", "keypoint_names", "descriptions"]
)
def test_exact_facts(episodes, key):
    golden, now = episodes
    assert now[key] == golden[key], HINT


# Other processors round differently; a demonstration amplifies that a little.
@pytest.mark.parametrize(
    ("key", "tolerance"),
    [("keypoints", 1e-5), ("joint_positions", 1e-4), ("intrinsics", 1e-9), ("extrinsics", 1e-9)],
)
def test_numbers(episodes, key, tolerance):
    golden, now = episodes
    assert np.allclose(now[key], golden[key], rtol=0, atol=tolerance), HINT


def test_visibility(episodes):
    golden, now = episodes
    assert np.mean(np.array(now["visibility"]) != np.array(golden["visibility"])) < 0.02, HINT
