"""What stands in for RLBench's base scene, and when."""

import logging
from pathlib import Path

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.scene.annotations import read_notes
from pyrep_mujoco.stand_ins.base_scene import StandIn, stand_in_for
from pyrep_mujoco.transforms import quat_wxyz_to_matrix
from pyrep_mujoco.ttm.reading.reader import read_scene

SAMPLE = Path(__file__).parents[5] / "shared" / "rlbench_ttm_samples" / "base_scene.ttt"
CAMERAS = ("cam_over_shoulder_left", "cam_over_shoulder_right", "cam_overhead", "cam_front")


@pytest.fixture
def checkout(tmp_path):
    """A folder that has the robot's file, and no base scene."""
    (tmp_path / "robot_ttms").mkdir()
    (tmp_path / "robot_ttms" / "panda.ttm").write_bytes(b"a robot")
    return tmp_path


@pytest.fixture
def spec(checkout):
    found = stand_in_for(checkout / "task_design.ttt")
    return mujoco.MjSpec.from_file(str(found.scene))


def test_a_missing_base_scene_gets_a_stand_in_and_the_robot_beside_it(checkout, caplog):
    with caplog.at_level(logging.WARNING):
        found = stand_in_for(checkout / "task_design.ttt")
    assert isinstance(found, StandIn)
    assert found.scene.is_file()
    assert found.model == checkout / "robot_ttms" / "panda.ttm"
    assert [str(checkout / "task_design.ttt") in line for line in caplog.messages] == [True]


def test_other_files_and_folders_without_the_robot_get_none(checkout, tmp_path, caplog):
    assert stand_in_for(checkout / "my_scene.ttt") is None
    assert stand_in_for(tmp_path / "nowhere" / "task_design.ttt") is None
    assert not caplog.messages


def test_it_has_the_objects_that_rlbench_asks_for(spec):
    names = {body.name for body in spec.bodies}
    masks = {f"{camera}_mask" for camera in CAMERAS}
    walls = {"Floor", "Roof", "Wall1", "Wall2", "Wall3", "Wall4", "diningTable_visible"}
    assert {*CAMERAS, *masks, *walls, "workspace", "cam_cinematic_placeholder"} <= names


def test_the_workspace_is_a_sheet_without_height(spec):
    box = read_notes(spec).boxes["workspace"]
    np.testing.assert_array_equal(box, [-0.4, 0.4, -0.6, 0.6, 0, 0])


@pytest.mark.skipif(not SAMPLE.is_file(), reason="needs the sample of RLBench's base scene")
def test_what_it_shares_with_a_base_scene_of_rlbench_stands_there(spec):
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    theirs = read_scene(SAMPLE)
    poses = theirs.world_poses()
    shared = {model.body(b).name for b in range(1, model.nbody)} & set(theirs.by_name)
    assert len(shared) > 20
    for name in shared:
        pose = poses[theirs.by_name[name].handle]
        ours = data.body(name)
        np.testing.assert_allclose(ours.xpos, pose[:3, 3], atol=2e-5, err_msg=name)
        turn = quat_wxyz_to_matrix(ours.xquat)
        np.testing.assert_allclose(turn, pose[:3, :3], atol=1e-5, err_msg=name)
