"""The table of RLBench's cameras, and cameras of one's own."""

from dataclasses import replace

import pytest

from rlbench import cameras
from rlbench.cameras import CAMERAS, CameraSpec, register_camera


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
