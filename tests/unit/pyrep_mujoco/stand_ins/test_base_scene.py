"""What stands in for RLBench's base scene, and when."""

import logging
from pathlib import Path

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.stand_ins.base_scene import base_scene, robot_beside
from pyrep_mujoco.ttm.mjcf.writer import write_scene
from pyrep_mujoco.ttm.reading.model import COLLIDABLE, Shape, VisionSensor
from pyrep_mujoco.ttm.reading.reader import read_scene

SAMPLE = Path(__file__).parents[5] / "shared" / "rlbench_ttm_samples" / "base_scene.ttt"
CAMERAS = ("cam_over_shoulder_left", "cam_over_shoulder_right", "cam_overhead", "cam_front")


@pytest.fixture(scope="module")
def scene():
    return base_scene(Path("rlbench/task_design.ttt"))


def test_the_robot_beside_a_missing_base_scene_is_found(tmp_path):
    (tmp_path / "robot_ttms").mkdir()
    robot = tmp_path / "robot_ttms" / "panda.ttm"
    robot.write_bytes(b"a robot")
    assert robot_beside(tmp_path / "task_design.ttt") == robot


def test_other_scenes_and_folders_without_the_robot_have_none(tmp_path):
    assert robot_beside(tmp_path / "task_design.ttt") is None
    (tmp_path / "robot_ttms").mkdir()
    (tmp_path / "robot_ttms" / "panda.ttm").write_bytes(b"a robot")
    assert robot_beside(tmp_path / "my_scene.ttt") is None


def test_one_line_says_what_is_missing(caplog):
    with caplog.at_level(logging.WARNING):
        base_scene(Path("somewhere/task_design.ttt"))
    assert len(caplog.messages) == 1
    assert "somewhere/task_design.ttt is missing" in caplog.messages[0]


def test_it_has_the_objects_that_rlbench_asks_for(scene):
    masks = {f"{camera}_mask" for camera in CAMERAS}
    walls = {"Floor", "Roof", "Wall1", "Wall2", "Wall3", "Wall4", "diningTable_visible"}
    wanted = {*CAMERAS, *masks, *walls, "workspace", "cam_cinematic_placeholder"}
    assert wanted <= set(scene.by_name)


def test_the_workspace_is_a_sheet_without_height_that_stops_nothing(scene):
    workspace = scene.by_name["workspace"]
    np.testing.assert_array_equal(workspace.bounding_box, [-0.4, 0.4, -0.6, 0.6, 0, 0])
    assert not workspace.is_respondable
    assert not workspace.special & COLLIDABLE


def test_faces_of_its_boxes_look_outward(scene):
    for shape in scene.objects:
        for part in shape.parts if isinstance(shape, Shape) else ():
            if part.primitive.kind == "cuboid":
                middle = part.vertices.mean(axis=0)
                outward = part.vertices[part.faces].mean(axis=1) - middle
                assert len(part.faces) == 12
                assert (np.einsum("fi,fi->f", part.normals[:, 0], outward) > 0).all()


def test_mujoco_takes_it(scene):
    xml, files, overlaps = write_scene(scene, "task_design")
    model = mujoco.MjSpec.from_string(xml, assets=files).compile()
    assert {model.camera(i).name for i in range(model.ncam)} >= set(CAMERAS)
    assert not overlaps


@pytest.mark.skipif(not SAMPLE.is_file(), reason="needs the sample of RLBench's base scene")
def test_what_it_shares_with_a_base_scene_of_rlbench_is_the_same(scene):
    theirs = read_scene(SAMPLE)
    shared = set(scene.by_name) & set(theirs.by_name)
    assert len(shared) == 25
    places, poses = scene.world_poses(), theirs.world_poses()
    for name in shared:
        mine, other = scene.by_name[name], theirs.by_name[name]
        np.testing.assert_allclose(
            places[mine.handle], poses[other.handle], atol=2e-5, err_msg=name
        )
        assert type(mine) is type(other)
        if isinstance(mine, VisionSensor):
            for key in ("angle", "near", "far", "resolution", "render_mode"):
                assert getattr(mine, key) == pytest.approx(getattr(other, key)), (name, key)
