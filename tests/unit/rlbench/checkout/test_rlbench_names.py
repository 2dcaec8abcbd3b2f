"""Names, attributes and values that scripts of RLBench use beside its documented interface."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

import rlbench
from rlbench import environment
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import (
    JointPosition,
    assert_action_shape,
    assert_unit_quaternion,
    calculate_delta_pose,
)
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.backend import const, exceptions, utils
from rlbench.backend import task as task_module
from rlbench.backend.observation import CameraImages, Observation
from rlbench.const import SUPPORTED_ROBOTS
from rlbench.demo import Demo
from rlbench.engines.robots import joint_counts
from rlbench.environment import Environment
from rlbench.observation_config import RLBENCH_CAMERAS, CameraConfig, ObservationConfig
from rlbench.sim2real.domain_randomization import RandomizeEvery, VisualRandomizationConfig
from rlbench.tasks import PickAndLift, ReachTarget
from rlbench.utils import InvalidTaskName, name_to_task_class
from tests.unit.rlbench.checkout.checkout_files import write_checkout


@pytest.fixture
def loaded():
    made = []

    def load(task=ReachTarget, **arguments):
        mode = MoveArmThenGripper(JointPosition(True, single_step=True), Discrete())
        made.append(Environment(mode, **arguments))
        return made[-1], made[-1].get_task(task)

    yield load
    for env in made:
        env.shutdown()


def test_get_task_launches(loaded):
    env, task = loaded()
    descriptions, obs = task.reset()
    assert descriptions
    assert obs.joint_positions.shape == (7,)
    env.shutdown()
    assert env.get_task(ReachTarget).reset()[0]


def test_parts_of_environments_have_rlbenchs_names(loaded):
    env, task = loaded(PickAndLift)
    task.reset()
    assert task._robot is env._robot is task._scene.robot
    assert task._scene is env._scene
    assert task._task is env._prev_task is task._scene.task
    assert task._task.get_name() == "pick_and_lift"
    tip = task._robot.arm.get_tip()
    assert np.allclose(tip.get_position(), task.get_observation().gripper_pose[:3])
    assert task._robot.gripper.get_open_amount().shape == (2,)
    assert "pick_and_lift_target" in [o.get_name() for o in task._pyrep.get_objects_in_tree()]
    assert task._scene.robot_setup == "panda"
    assert task._dataset_root == env._dataset_root == ""
    assert task._obs_config is env._obs_config
    task._variation_number = 3
    assert task._variation_number == 3
    assert task._scene.get_observation().misc["variation_index"] == 3
    env.shutdown()
    assert env._scene is env._robot is env._pyrep is None


def test_callbacks_see_every_step_of_episodes_and_demonstrations(loaded):
    _, task = loaded()
    seen = []
    task._scene.register_step_callback(lambda: seen.append(task._scene.get_observation()))
    demo = task.get_demos(1, live_demos=True)[0]
    assert len(seen) == len(demo) - 1
    assert np.array_equal(seen[-1].joint_positions, demo[-1].joint_positions)
    task.reset()
    before = len(seen)
    task.step([*demo[0].joint_positions, 1.0])
    assert len(seen) > before
    task._scene.register_step_callback(None)
    n = len(seen)
    task.step([*demo[0].joint_positions, 1.0])
    assert len(seen) == n


def test_robots_that_are_supported_are_classes_and_joints(loaded):
    assert list(SUPPORTED_ROBOTS) == ["panda", "jaco", "mico", "sawyer", "ur5"]
    assert set(environment.ROBOTS) == set(SUPPORTED_ROBOTS)
    assert set(joint_counts()) == set(SUPPORTED_ROBOTS)
    assert environment.SUPPORTED_ROBOTS is SUPPORTED_ROBOTS
    assert [dof for _, _, dof in SUPPORTED_ROBOTS.values()] == [7, 6, 6, 7, 6]
    arm_class, gripper_class, dof = SUPPORTED_ROBOTS["panda"]
    assert (arm_class.__name__, gripper_class.__name__) == ("Panda", "PandaGripper")
    _, task = loaded()
    assert arm_class() is task._robot.arm
    assert gripper_class() is task._robot.gripper
    assert len(arm_class().joints) == dof
    with pytest.raises(AttributeError, match="has no 'colours'"):
        rlbench.const.colours  # noqa: B018


def test_joint_poses_are_the_frames_of_franka(loaded):
    """The maker's modified Denavit-Hartenberg parameters; a joint's motion does not turn it."""
    _, task = loaded()
    _, obs = task.reset()
    poses = obs.misc["joint_poses"]
    assert len(poses) == 7
    task._robot.arm.set_joint_positions(np.linspace(-1.0, -0.3, 7))
    obs, joints = task.get_observation(), task._robot.arm.joints
    poses = obs.misc["joint_poses"]
    assert np.allclose(poses, [joint.get_pose() for joint in joints], atol=1e-6)
    parameters = [  # a [m], d [m], alpha [rad]
        (0, 0.333, 0),
        (0, 0, -np.pi / 2),
        (0, 0.316, np.pi / 2),
        (0.0825, 0, np.pi / 2),
        (-0.0825, 0.384, -np.pi / 2),
        (0, 0, np.pi / 2),
        (0.088, 0, np.pi / 2),
    ]
    base = task._scene.engine.object("Panda").get_matrix()
    for q, pose, (a, d, alpha) in zip(obs.joint_positions, poses, parameters, strict=True):
        c, s = np.cos(alpha), np.sin(alpha)
        base = base @ np.array([[1, 0, 0, a], [0, c, -s, -s * d], [0, s, c, c * d], [0, 0, 0, 1.0]])
        assert pose.shape == (7,)
        assert np.allclose(pose[:3], base[:3, 3], atol=1e-3)
        x, y, z, w = pose[3:]
        axis = [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)]
        assert np.allclose(axis, base[:3, 2], atol=1e-3)
        assert np.allclose(1 - 2 * (y * y + z * z), base[0, 0], atol=1e-3)
        c, s = np.cos(q), np.sin(q)
        base = base @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("task_class", [ReachTarget, PickAndLift])
def test_actions_of_demonstrations_are_commands_that_lead_there(loaded, task_class):
    _, task = loaded(task_class)
    task.seed(5)
    demo = task.get_demos(1, live_demos=True)[0]
    assert "joint_position_action" not in demo[0].misc
    actions = [obs.misc["joint_position_action"] for obs in demo[1:]]
    assert all(action.shape == (8,) for action in actions)
    for before, action, after in zip(demo[:-1], actions, demo[1:], strict=True):
        assert np.abs(action[:7] - after.joint_positions).max() < 0.02  # [rad]
        # Where it went to, not where it came from.
        moved = np.abs(after.joint_positions - before.joint_positions).max()
        if moved > 0.03:
            assert np.abs(action[:7] - before.joint_positions).max() > 0.5 * moved
    opening = np.array([action[7] for action in actions])
    assert set(opening) == ({1.0} if task_class is ReachTarget else {0.0, 1.0})
    assert (np.diff(opening) <= 0).all()
    _, obs = task.reset_to_demo(demo)
    assert "joint_position_action" not in obs.misc
    assert np.array_equal(obs.joint_positions, demo[0].joint_positions)
    for action in actions:
        obs, reward, terminate = task.step(action)
        assert "joint_position_action" not in obs.misc
        if terminate:
            break
    assert reward == 1.0


def test_a_demonstration_is_rlbenchs(loaded):
    _, task = loaded(ReachTarget)
    task.set_variation(2)
    task.sample_variation()
    demo, other = task.get_demos(2, live_demos=True)
    assert len(demo) == len(demo._observations) == len(list(demo))
    assert demo[-1] is demo._observations[-1]
    assert demo[2:4] == demo._observations[2:4]
    assert demo.num_reset_attempts >= 1
    other.restore_state()
    task.set_variation(0)
    _, obs = task.reset()
    assert np.array_equal(obs.task_low_dim_state, other[0].task_low_dim_state)
    _, obs = task.reset()
    assert not np.array_equal(obs.task_low_dim_state, other[0].task_low_dim_state)
    foreign = Demo(demo._observations, np.random.RandomState(0).get_state(), 1)
    with pytest.raises(exceptions.TaskEnvironmentError, match="made by another simulator"):
        foreign.restore_state()
    with pytest.raises(exceptions.TaskEnvironmentError, match="made by another simulator"):
        task.reset_to_demo(foreign)


def test_failures_are_the_builtin_errors_that_rlbench_raises(loaded, monkeypatch):
    env, task = loaded()
    with pytest.raises(RuntimeError, match="call reset"):
        task.step(np.zeros(8))
    with pytest.raises(RuntimeError, match="dataset_root"):
        task.get_demos(1, live_demos=False)
    with pytest.raises(RuntimeError, match="not built in"):
        env.get_task("no_such_task")
    with pytest.raises(ValueError, match="robot_setup"):
        Environment(robot_setup="hal")
    with pytest.raises(RuntimeError, match="no/such"):
        Environment(dataset_root="no/such")

    def fail(*_):
        raise exceptions.DemoError("never")

    monkeypatch.setattr(task._scene, "demonstrate", fail)
    with pytest.raises(RuntimeError, match="failed 2 times"):
        task.get_demos(1, live_demos=True, max_attempts=2)
    for kind in (
        exceptions.NoWaypointsError,
        exceptions.FixedPlacementError,
        exceptions.TaskFileError,
    ):
        assert issubclass(kind, RuntimeError)  # what get_demos may end with
    error = pickle.loads(pickle.dumps(exceptions.DemoError("a", "b")))  # noqa: S301 - our own
    assert (str(error), error.cause) == ("a", "b")


def test_scene_data_are_calibrations(loaded):
    config = ObservationConfig(
        front_camera=CameraConfig(image_size=(64, 64)), wrist_camera=CameraConfig()
    )
    env = Environment(obs_config=config)
    data = env.get_scene_data()
    assert set(data) == {f"{name}_camera" for name in RLBENCH_CAMERAS}
    assert data["overhead_camera"] is None
    task = env.get_task(ReachTarget)
    _, obs = task.reset()
    for name in ("front_camera", "wrist_camera"):
        assert data[name].keys() == {"intrinsics", "extrinsics", "near_plane", "far_plane"}
        assert np.allclose(data[name]["intrinsics"], obs.misc[f"{name}_intrinsics"])
        assert np.allclose(data[name]["extrinsics"], obs.misc[f"{name}_extrinsics"], atol=1e-3)
        assert data[name]["far_plane"] == obs.misc[f"{name}_far"]
    assert env.get_scene_data()["front_camera"] is not None
    assert task.get_observation() is not None  # what was loaded stays
    env.shutdown()


def test_constants_name_files_and_folders():
    assert const.FRONT_RGB_FOLDER == "front_rgb"
    assert const.RIGHT_SHOULDER_DEPTH_FOLDER == "right_shoulder_depth"
    folders = {
        value for key, value in vars(const).items() if key.endswith(("RGB_FOLDER", "K_FOLDER"))
    }
    assert {f"{c}_{k}" for c in RLBENCH_CAMERAS for k in ("rgb", "mask")} == folders
    assert const.VARIATIONS_FOLDER % 3 == "variation3"
    assert const.EPISODE_FOLDER % 12 == "episode12"
    assert const.IMAGE_FORMAT % 7 == "7.png"
    assert (const.LOW_DIM_PICKLE, const.EPISODES_FOLDER) == ("low_dim_obs.pkl", "episodes")
    assert const.VARIATION_DESCRIPTIONS == "variation_descriptions.pkl"
    assert const.DEPTH_SCALE == 16_777_215
    assert const.TTT_FILE == "task_design.ttt"


@pytest.mark.parametrize(
    ("kind", "mode", "step"),
    [(np.uint8, "L", 0.01), (np.uint16, "I;16", 1e-3), (np.int32, "I", 1 / 256_000)],
)
def test_depth_images_of_one_channel(kind, mode, step):
    depth = np.linspace(0.0, 2.5, 12).reshape(3, 4)
    image = utils.float_array_to_grayscale_image(depth, image_dtype=kind)
    assert (image.mode, image.size) == (mode, (4, 3))
    assert np.abs(utils.image_to_float_array(image) - depth).max() <= 0.51 * step
    back = utils.image_to_float_array(utils.float_array_to_grayscale_image(depth, 7.0, kind), 7.0)
    assert np.abs(back - depth).max() <= 0.501 / 7


def test_depth_images_are_pictures_that_can_be_saved(tmp_path):
    share = np.array([[0.0, 0.25, 1.0], [1 / const.DEPTH_SCALE, 0.123456789, 2.0]])
    image = utils.float_array_to_rgb_image(share, scale_factor=const.DEPTH_SCALE)
    image.save(tmp_path / "0.png")
    read = Image.open(tmp_path / "0.png")
    assert read.mode == "RGB"
    back = utils.image_to_float_array(read, const.DEPTH_SCALE)
    assert np.allclose(back, np.minimum(share, 1.0), atol=0.51 / const.DEPTH_SCALE)
    coarse = utils.float_array_to_rgb_image(share, const.DEPTH_SCALE, drop_blue=True)
    assert (np.asarray(coarse)[..., 2] == 0).all()
    with pytest.raises(
        exceptions.SceneError, match=r"shape \(2, 2, 4\) of uint8 is no coded depth"
    ):
        utils.image_to_float_array(np.zeros((2, 2, 4), np.uint8))
    with pytest.raises(exceptions.SceneError, match="of float64 is no coded depth"):
        utils.image_to_float_array(np.zeros((2, 2)))


def test_images_can_be_taken_out_of_observations(loaded):
    _, task = loaded(obs_config=ObservationConfig(front_camera=CameraConfig(image_size=(8, 8))))
    _, obs = task.reset()
    assert obs.front_rgb is obs.images["front"].rgb
    assert obs.wrist_rgb is None
    for kind in ("rgb", "depth", "mask", "point_cloud"):
        setattr(obs, f"front_{kind}", None)
        setattr(obs, f"wrist_{kind}", None)
    assert all(vars(images) == vars(CameraImages()) for images in obs.images.values())
    again = pickle.loads(pickle.dumps(obs))  # noqa: S301 - our own
    assert isinstance(again, Observation)
    assert again.front_depth is None
    with pytest.raises(AttributeError, match="has no 'side_rgb'"):
        obs.side_rgb  # noqa: B018


def test_classes_by_name(monkeypatch):
    monkeypatch.delenv("RLBENCH_ROOT", raising=False)
    assert name_to_task_class("reach_target.py") is ReachTarget
    assert rlbench.name_to_task_class is name_to_task_class
    with pytest.raises(InvalidTaskName, match="'fly' is not built in"):
        name_to_task_class("fly")


def test_domain_randomisation_can_be_described_and_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folder with .jpg or .png images"):
        VisualRandomizationConfig(str(tmp_path))
    Image.new("RGB", (2, 2)).save(tmp_path / "0.png")
    config = VisualRandomizationConfig(str(tmp_path), blacklist=["cup"], randomize_arm=False)
    assert [config.should_randomize(n) for n in ("cup", "mug", "Panda_link1")] == [
        False,
        True,
        False,
    ]
    only = VisualRandomizationConfig(str(tmp_path), whitelist=["mug"])
    assert [only.should_randomize(n) for n in ("cup", "mug")] == [False, True]
    assert rlbench.RandomizeEvery is RandomizeEvery
    with pytest.raises(
        exceptions.TaskEnvironmentError, match="randomize_every=.* is not supported"
    ):
        Environment(randomize_every=RandomizeEvery.EPISODE, visual_randomization_config=config)


def test_helpers_of_action_modes_of_ones_own(loaded):
    assert_action_shape([0.0] * 8, (8,))
    with pytest.raises(exceptions.InvalidActionError, match=r"shape \(7,\), it must be \(8,\)"):
        assert_action_shape(np.zeros(7), (8,))
    assert_unit_quaternion([0, 0, 0, 1])
    with pytest.raises(exceptions.InvalidActionError, match="has length 2"):
        assert_unit_quaternion([0, 0, 0, 2])
    _, task = loaded()
    task.reset()
    now = task._robot.arm.get_tip().get_pose()
    assert np.allclose(calculate_delta_pose(task._robot, [0, 0, 0, 0, 0, 0, 1]), now, atol=1e-6)
    turned = calculate_delta_pose(task._robot, [0.1, 0, -0.1, 0, 0, np.sin(0.2), np.cos(0.2)])
    assert np.allclose(turned[:3], now[:3] + np.array([0.1, 0, -0.1]))
    heading = Rotation.from_quat(turned[3:]) * Rotation.from_quat(now[3:]).inv()
    assert np.allclose(heading.as_rotvec(), [0, 0, 0.4], atol=1e-6)


def test_arguments_of_registering_have_rlbenchs_names(loaded):
    _, task = loaded()
    told = []
    scene_task = task._task
    scene_task.register_waypoint_ability_start(waypoint_index=0, func=told.append)
    scene_task.register_waypoint_ability_end(waypoint_index=0, func=told.append)
    scene_task.register_waypoints_should_repeat(func=lambda: False)
    scene_task.register_stop_at_waypoint(waypoint_index=-1)
    scene_task.register_fail_conditions(condition=[])
    scene_task.keep_start()
    task.get_demos(1, live_demos=True)
    assert [waypoint.name for waypoint in told] == ["waypoint0"] * 2
    scene_task.register_success_conditions(condition=[])
    assert scene_task.success() == (True, False)


def test_folder_of_task_files(tmp_path, monkeypatch):
    monkeypatch.delenv("RLBENCH_ROOT", raising=False)
    assert (Path(task_module.TASKS_PATH) / "reach_target.py").is_file()
    monkeypatch.setenv("RLBENCH_TASKS_FROM", "auto")
    monkeypatch.setenv("RLBENCH_ROOT", str(write_checkout(tmp_path)))
    assert Path(task_module.TASKS_PATH) == tmp_path / "rlbench" / "tasks"
    with pytest.raises(AttributeError, match="has no 'TASK_PATH'"):
        task_module.TASK_PATH  # noqa: B018
