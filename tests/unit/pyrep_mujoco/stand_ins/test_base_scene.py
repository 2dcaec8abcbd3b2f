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

SAMPLES = Path(__file__).parents[5] / "shared" / "rlbench_ttm_samples"
CAMERAS = ("cam_over_shoulder_left", "cam_over_shoulder_right", "cam_overhead", "cam_front")
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="needs samples of RLBench's scene files"
)


def without_base_scene(folder):
    """Make a folder as a checkout has it that lacks the base scene; return the scene's path."""
    (folder / "robot_ttms").mkdir()
    (folder / "robot_ttms" / "panda.ttm").symlink_to(SAMPLES / "panda.ttm")
    return folder / "task_design.ttt"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    if not SAMPLES.is_dir():
        pytest.skip("needs samples of RLBench's scene files")
    return base_scene(without_base_scene(tmp_path_factory.mktemp("rlbench")))


def test_nothing_stands_in_for_other_scenes_or_without_the_robot(tmp_path):
    assert robot_beside(tmp_path / "task_design.ttt") is None
    (tmp_path / "robot_ttms").mkdir()
    (tmp_path / "robot_ttms" / "panda.ttm").write_bytes(b"a robot")
    robot = tmp_path / "robot_ttms" / "panda.ttm"
    assert robot_beside(tmp_path / "task_design.ttt") == robot
    assert robot_beside(tmp_path / "my_scene.ttt") is None


@needs_samples
def test_one_line_says_what_is_missing(tmp_path, caplog):
    missing = without_base_scene(tmp_path)
    with caplog.at_level(logging.WARNING):
        base_scene(missing)
    assert len(caplog.messages) == 1
    assert f"{missing} is missing" in caplog.messages[0]


def test_it_has_the_objects_that_rlbench_asks_for(scene):
    masks = {f"{camera}_mask" for camera in CAMERAS}
    walls = {"Floor", "Roof", "Wall1", "Wall2", "Wall3", "Wall4", "diningTable_visible"}
    wanted = {*CAMERAS, *masks, *walls, "workspace", "cam_cinematic_placeholder", "Panda_tip"}
    assert wanted <= set(scene.by_name)


def test_the_workspace_is_a_sheet_without_height_that_stops_nothing(scene):
    workspace = scene.by_name["workspace"]
    np.testing.assert_array_equal(workspace.bounding_box, [-0.325, 0.325, -0.455, 0.455, 0, 0])
    assert not workspace.is_respondable
    assert not workspace.special & COLLIDABLE


def test_faces_of_its_boxes_look_outward(scene):
    for shape in scene.objects:
        for part in shape.parts if isinstance(shape, Shape) else ():
            if part.primitive and part.primitive.kind == "cuboid":
                outward = part.vertices[part.faces].mean(axis=1) - part.vertices.mean(axis=0)
                assert len(part.faces) == 12
                assert (np.einsum("fi,fi->f", part.normals[:, 0], outward) > 0).all()


def test_mujoco_takes_it(scene):
    xml, files, overlaps = write_scene(scene, "task_design")
    model = mujoco.MjSpec.from_string(xml, assets=files).compile()
    assert {model.camera(i).name for i in range(model.ncam)} >= set(CAMERAS)
    assert not overlaps


def test_numbers_of_objects_and_pictures_are_unique(scene):
    handles = [obj.handle for obj in scene.objects]
    assert len(set(handles)) == len(handles)
    used = {
        p.texture.texture_id
        for o in scene.objects
        if isinstance(o, Shape)
        for p in o.parts
        if p.texture
    }
    assert used <= set(scene.textures)


def test_what_it_shares_with_a_base_scene_of_rlbench_is_the_same(scene):
    theirs = read_scene(SAMPLES / "base_scene.ttt")
    shared = set(scene.by_name) & set(theirs.by_name)
    shared = {name for name in shared if not name.startswith(("Panda", "cam_wrist", "workspace"))}
    assert len(shared) == 24
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
