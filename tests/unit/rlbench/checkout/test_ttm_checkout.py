"""A checkout of binary files of our own: what is written runs, from the file to the demo."""

import numpy as np
import pytest

from pyrep_mujoco.vision.rendering import select_gl_backend
from rlbench import CameraConfig, Environment, ObservationConfig
from rlbench.backend.exceptions import RenderingError
from rlbench.engines.mujoco import PANDA
from tests.unit.rlbench.checkout.ttm_checkout import FRANKA, write_ttm_checkout

PICTURE = np.array(
    [
        [[3 * (2 * row + column) + channel for channel in range(3)] for column in range(2)]
        for row in range(4)
    ]
)
"""The texture that the files hold: dark, brightening from pixel to pixel."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = write_ttm_checkout(tmp_path_factory.mktemp("checkout"))
    made = []

    def load(**arguments):
        made.append(Environment(rlbench_root=root, **arguments))
        return made[-1].get_task("touch_ball")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLBENCH_CACHE", str(root / "cache"))
        patch.setenv("RLBENCH_TASKS_FROM", "auto")
        yield load
    for env in made:
        env.shutdown()


def test_the_arm_is_the_files(loaded):
    arm = loaded().scene.robot.arm
    lower, upper = arm.joint_limits()
    assert np.allclose(lower, [limits[0] for *_, limits, _ in FRANKA], atol=1e-4)
    assert np.allclose(upper, [limits[1] for *_, limits, _ in FRANKA], atol=1e-4)
    assert np.allclose(arm.get_joint_positions(), [value for *_, value in FRANKA], atol=1e-4)
    assert [joint.get_name() for joint in arm.joints] == list(PANDA.joints)


def test_parts_of_the_hand_are_where_the_file_has_them(loaded):
    engine = loaded().scene.engine
    hand = engine.object("Panda_gripper")
    for name, place in (
        ("Panda_tip", (0, 0.002, 0.09207)),
        ("Panda_gripper_attachProxSensor", (0, 0.002, 0.046)),
        ("Panda_leftfinger_respondable", (0, 0.0523, 0.0712)),
        ("Panda_rightfinger_respondable", (0, -0.0487, 0.0712)),
        ("cam_wrist", (0, 0, 0)),
    ):
        assert np.allclose(engine.object(name).get_position(hand), place, atol=1e-4), name
    finger = engine.shape("Panda_leftfinger_respondable")
    assert np.allclose(np.diff(finger.get_bounding_box().reshape(3, 2)).ravel(), (0.02, 0.02, 0.04))


def test_the_scene_is_the_files(loaded):
    task = loaded()
    task.set_variation(1)
    task.reset()
    engine = task.scene.engine
    base = engine.object("touch_ball")
    assert np.allclose(
        engine.object("touch_ball_post").get_position(base), (0.05, 0.1, 0.05), atol=1e-3
    )
    hinge = engine.joint("touch_ball_hinge")
    assert hinge.get_joint_position() == pytest.approx(0.1, abs=0.02)
    assert hinge.get_joint_interval() == (False, pytest.approx([0.0, 1.5]))
    door = engine.object("touch_ball_door").get_position(engine.object("touch_ball_post"))
    assert np.allclose(door, (0.06 * np.cos(0.1), 0.06 * np.sin(0.1), 0), atol=2e-3)
    assert engine.dummy("waypoint0").get_extension_string() == "ignore_collisions"
    assert engine.shape("touch_ball_door").get_mass() == pytest.approx(0.1)
    sensor, tip = engine.sensor("success"), task.scene.robot.arm.get_tip()
    assert not sensor.is_detected(tip)


def test_demonstrations_succeed_and_are_repeated(loaded):
    task = loaded()
    task.seed(1)
    demo = task.get_demos(1, live_demos=True)[0]
    goal = task.scene.engine.dummy("waypoint0").get_position()
    assert np.linalg.norm(demo[-1].gripper_pose[:3] - goal) < 0.001
    assert demo.keypoint_names[0] == "waypoints/waypoint0"
    _, obs = task.reset_to_demo(demo)
    assert np.array_equal(obs.task_low_dim_state, demo[0].task_low_dim_state)


def test_textures_are_drawn(loaded):
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
    camera = CameraConfig(depth=False, point_cloud=False, image_size=(256, 256))
    task = loaded(obs_config=ObservationConfig(front_camera=camera))
    task.seed(0)  # the door is seen from the front
    _, obs = task.reset()
    handles = [handle for handle in np.unique(obs.front_mask) if handle > 0]
    light = {task.object_name(h): obs.front_rgb[obs.front_mask == h].mean() for h in handles}
    for textured, plain in (("touch_ball_sign", "touch_ball_door"), ("Panda_sticker", "Panda")):
        assert light[textured] < 0.3 * light[plain]
    kept = [t.reshape(PICTURE.shape) for t in pictures(task.scene.engine.model) if t.size == 24]
    assert len(kept) == 2
    # MuJoCo keeps the other row first.
    assert all(np.array_equal(texture[::-1], PICTURE) for texture in kept)


def pictures(model):
    """The RGB bytes of each 2D texture."""
    for i in range(model.ntex):
        start = model.tex_adr[i]
        size = model.tex_height[i] * model.tex_width[i] * model.tex_nchannel[i]
        yield np.asarray(model.tex_data[start : start + size], int)
