"""What the rays call seen is seen in rendered images, in every built-in task."""

from dataclasses import replace

import numpy as np
import pytest

from pyrep_mujoco.vision.rendering import select_gl_backend
from rlbench.backend.exceptions import RenderingError
from rlbench.environment import Environment
from rlbench.observation_config import KEYPOINT_GROUPS, ObservationConfig
from rlbench.tasks import AVAILABLE
from tests.benchmarks.bench_visibility import SeenOrDrawn, demonstrations

SIZE = 512  # [px]


@pytest.fixture(scope="module")
def environment():
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
    env = Environment(obs_config=ObservationConfig(keypoints=KEYPOINT_GROUPS))
    env.launch()
    yield env
    env.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("name", AVAILABLE)
def test_seen_waypoints_and_corners_do_not_lie_behind_what_is_drawn(environment, name):
    task = environment.get_task(name)
    compare = SeenOrDrawn(task, every=15, size=SIZE)
    demonstrations(task, compare, demos=2)
    assert compare.counts["waypoints", "compared"] > 0
    assert name == "reach_target" or compare.counts["boxes", "compared"] > 0
    assert not compare.faults


def test_the_images_show_where_an_owner_should_have_hidden_its_keypoint(environment):
    """The comparison finds what it looks for: waypoints in a safe, seen through its walls."""
    task = environment.get_task("take_money_out_safe")
    points = task.recorder.keypoints
    task.recorder.keypoints = replace(points, own_reach=np.full(len(points.names), np.inf))
    compare = SeenOrDrawn(task, every=60, size=SIZE)
    compare.fine = 2 * SIZE
    demonstrations(task, compare, demos=1)
    assert compare.counts["waypoints", "behind"] > 2
