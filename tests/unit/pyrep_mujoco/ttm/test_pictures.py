"""Converted scenes look as the originals do, from the four cameras.

The pictures of the originals were made in an older base scene.
"""

from pathlib import Path

import cv2
import mujoco
import numpy as np
import pytest

from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.ttm.robot_files import converted_robot
from pyrep_mujoco.ttm.to_mjcf import SCENE_FILE, convert
from pyrep_mujoco.vision.rendering import Renderer
from rlbench.engines.mujoco import ROBOT_FOLDER, MujocoEngine

SHARED = Path(__file__).resolve().parents[5] / "shared"
SAMPLES, PICTURES = SHARED / "rlbench_ttm_samples", SHARED / "reference_pictures"
CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "front")
SCENES = (
    "close_box",
    "close_fridge",
    "pick_and_lift",
    "put_rubbish_in_bin",
    "reach_target",
    "take_money_out_safe",
    "unplug_charger",
)
SIZE = 256

pytestmark = pytest.mark.skipif(
    not (SAMPLES.is_dir() and PICTURES.is_dir()), reason="no ../shared with samples and pictures"
)


@pytest.fixture(scope="module")
def panda(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "rlbench").mkdir()
    (root / "rlbench" / "robot_ttms").symlink_to(SAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLBENCH_CACHE", str(root / "cache"))
        yield converted_robot(root / ROBOT_FOLDER)


def put_in_older_scene(model):
    """Lay the plain slab that the pictures show in place of the table, and light it as there."""
    table = model.body("diningTable_visible").geomadr[0]
    model.geom_size[table, :2] = 1.4096, 1.6454
    material = model.geom_matid[table]
    model.mat_texid[material] = -1
    model.mat_rgba[material, :3] = 0.786, 0.734, 0.696
    headlight = model.vis.headlight
    headlight.ambient[:], headlight.diffuse[:] = 0.17, 0.495
    for name, diffuse, specular in (("D", 0.2, 0.36), ("A", 0.2, 0.5), ("B", 0.3, 0.9)):
        light = model.light(f"DefaultLight{name}").id
        model.light_diffuse[light], model.light_specular[light] = diffuse, specular


def render(scene, panda):
    engine = MujocoEngine(scene, panda)
    put_in_older_scene(engine.model)
    Gripper(engine).reset()
    Arm(engine).home()
    mujoco.mj_forward(engine.model, engine.data)
    with Renderer(engine.model, SIZE, SIZE, multisample=4) as renderer:
        images = [
            renderer.render(engine.data, name, depth=False, mask=False).rgb for name in CAMERAS
        ]
    return np.concatenate(images, axis=1).astype(float)


def is_marker(picture):
    """Pixels of the waypoint numbers drawn into the pictures, and their surroundings."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    magenta = (np.minimum(red, blue) - green > 60).astype(np.uint8)
    return cv2.dilate(magenta, np.ones((3, 3), np.uint8)) > 0


@pytest.mark.parametrize("name", SCENES)
def test_the_picture_is_the_originals(name, tmp_path, panda):
    convert(SAMPLES / f"{name}.ttm", tmp_path / "made")
    ours = render(tmp_path / "made" / SCENE_FILE, panda)
    theirs = cv2.imread(str(PICTURES / f"{name}.png"))[..., ::-1].astype(float)
    # Walls wear another pattern here: the upper part of the front view is left out.
    counts = ~is_marker(theirs)
    counts[: SIZE // 2, 3 * SIZE :] = False
    difference = np.abs(ours - theirs).mean(axis=-1)
    share_far = (difference > 40)[counts].mean()
    # Open sheets (the wall of unplug_charger) may be lit from their other side.
    assert difference[counts].mean() < 8.0
    assert share_far < (0.09 if name == "unplug_charger" else 0.03)
