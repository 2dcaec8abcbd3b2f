"""The table of RLBench's cameras, and cameras of one's own."""

from dataclasses import replace

import numpy as np
import pytest

from rlbench import cameras
from rlbench.backend.exceptions import SceneError
from rlbench.cameras import (
    CAMERAS,
    CINEMATIC,
    TURNING_POINT,
    CameraSpec,
    looking,
    project,
    register_camera,
    turned,
)
from rlbench.environment import Environment


def test_table_has_the_five_cameras_in_order():
    assert tuple(CAMERAS)[:5] == ("left_shoulder", "right_shoulder", "overhead", "front", "wrist")
    assert CAMERAS["wrist"].parent == "Panda_gripper"


def test_register_camera_adds_and_refuses_another_of_the_name(monkeypatch):
    monkeypatch.setattr(cameras, "CAMERAS", dict(CAMERAS))
    mine = CameraSpec.look_at("mine", (1.0, 1.0, 2.0), (0.2, 0.0, 0.8))
    register_camera(mine)
    register_camera(mine)
    assert list(cameras.CAMERAS)[-1] == "mine"
    with pytest.raises(ValueError, match="'mine' exists already"):
        register_camera(replace(mine, far=5.0))


def test_turned_cameras_go_round_the_table_and_keep_looking_at_it():
    quarter = turned(CINEMATIC, np.pi / 2)
    centre = np.array(TURNING_POINT)
    before, after = np.array(CINEMATIC.position) - centre, np.array(quarter.position) - centre
    assert after == pytest.approx([-before[1], before[0], before[2]])
    for spec in (CINEMATIC, quarter):
        ahead = spec.T_world_cam()[:3, 2]
        to_centre = centre - np.array(spec.position)
        assert ahead @ to_centre > 0.99 * np.linalg.norm(to_centre)


def test_pictures_name_the_cameras_there_are():
    assert looking("front") is CAMERAS["front"]
    assert looking("cinematic") is CINEMATIC
    with pytest.raises(SceneError, match="camera 'side' is unknown; there are .*cinematic"):
        looking("side")


def test_a_camera_that_no_scene_holds_makes_the_same_picture(needs_gl):
    env = Environment()
    env.launch()
    try:
        task = env.get_task("reach_target")
        task.reset()
        free = replace(CAMERAS["front"], name="free")
        assert np.array_equal(task.render("front", (64, 48)), task.render(free, (64, 48)))
        assert np.array_equal(task.render("front", (48, 64)), task.render(free, (48, 64)))
        K, E = task.recorder.matrices(CINEMATIC, (160, 90))
        corners = np.array([[x, y, 0.752] for x in (-0.3, 1.0) for y in (-0.5, 0.5)])
        arm = [pose[:3] for pose in task.scene.robot.arm.joint_poses()]
        uv, depth = project(np.array([*corners, *arm]), K, E)
        assert (depth > 0).all()
        assert ((uv > 0) & (uv < (160, 90))).all()
    finally:
        env.shutdown()
