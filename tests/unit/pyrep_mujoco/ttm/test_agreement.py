"""Built-in scenes and RLBench's own of the same tasks agree."""

from pathlib import Path

import numpy as np
import pytest

from pyrep_mujoco.ttm.to_mjcf import SCENE_FILE, convert
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "rlbench_ttm_samples"
TASKS = (
    "reach_target",
    "close_fridge",
    "pick_and_lift",
    "unplug_charger",
    "put_rubbish_in_bin",
    "take_money_out_safe",
)

pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="no ../shared/rlbench_ttm_samples here"
)


@pytest.fixture(scope="module", params=TASKS)
def both(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene") / request.param
    convert(SAMPLES / f"{request.param}.ttm", folder)
    return MujocoEngine(builtin_scene(request.param)), MujocoEngine(folder / SCENE_FILE)


def waypoints(engine):
    names = []
    while engine.has(f"waypoint{len(names)}"):
        names.append(f"waypoint{len(names)}")
    return names


def test_waypoints_are_the_same_relative_to_their_objects(both):
    ours, theirs = both
    assert waypoints(ours) == waypoints(theirs)
    for name in waypoints(ours):
        mine, original = ours.dummy(name), theirs.dummy(name)
        parent, other = mine.get_parent(), original.get_parent()
        assert parent.get_name() == other.get_name(), name
        gap = mine.get_matrix(parent) @ np.linalg.inv(original.get_matrix(other))
        assert np.linalg.norm(mine.get_position(parent) - original.get_position(other)) < 1e-3
        angle = np.arccos(np.clip((np.trace(gap[:3, :3]) - 1) / 2, -1, 1))
        assert angle < 1e-3, name


def test_waypoints_carry_the_same_commands(both):
    ours, theirs = both
    for name in waypoints(ours):
        mine = ours.dummy(name).get_extension_string()
        assert mine == theirs.dummy(name).get_extension_string(), name


def test_joints_have_the_same_limits_and_values(both):
    ours, theirs = both
    for joint in ours.joints():
        if joint.get_name() in ours.robot.joints or joint.get_name().startswith("Panda"):
            continue
        other = theirs.joint(joint.get_name())
        assert joint.get_joint_position() == pytest.approx(other.get_joint_position(), abs=1e-3)
        assert np.allclose(joint.get_joint_interval()[1], other.get_joint_interval()[1], atol=2e-3)
