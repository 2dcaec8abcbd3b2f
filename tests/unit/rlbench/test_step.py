"""Episodes by hand: RLBench's arguments, rewards, observations, and a scripted grasp."""

import gc
import weakref

import numpy as np
import pytest

import rlbench
from rlbench import CameraConfig, Environment, ObservationConfig
from rlbench.action_modes.action_mode import JointPositionActionMode, MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import EndEffectorPoseViaPlanning, JointVelocity
from rlbench.action_modes.gripper_action_modes import Discrete, GripperJointPosition
from rlbench.backend.exceptions import (
    DemoError,
    InvalidActionError,
    SceneError,
    TaskEnvironmentError,
)
from rlbench.noise_model import GaussianNoise, Identity
from rlbench.observation_config import LOW_DIM, RLBENCH_CAMERAS, checked_size
from rlbench.recording.observation_filter import handles_to_rgb
from rlbench.tasks import CloseFridge, PickAndLift, ReachTarget


def bare(**kwargs):
    return ObservationConfig(track_cams=(), keypoints=(), **kwargs)


def load(task=ReachTarget, mode=None, **kwargs):
    env = Environment(mode, **{"obs_config": bare(), **kwargs})
    env.launch()
    return env, env.get_task(task)


def test_rlbench_arguments_and_script():
    env = Environment(
        action_mode=MoveArmThenGripper(
            arm_action_mode=JointVelocity(), gripper_action_mode=Discrete()
        ),
        dataset_root="",
        obs_config=bare(),
        headless=True,
        static_positions=False,
        robot_setup="panda",
        shaped_rewards=False,
        attach_grasped_objects=True,
        arm_max_velocity=1.0,
        arm_max_acceleration=4.0,
    )
    env.launch()
    assert env.action_shape == (8,)
    task = env.get_task(ReachTarget)
    assert 0 <= task.sample_variation() < task.variation_count()
    descriptions, obs = task.reset()
    assert "reach" in descriptions[0]
    obs, reward, terminate = task.step(np.append(np.full(7, 0.1), 1.0))
    assert (reward, terminate) == (0.0, False)
    # 1 + 7 + 7 + 7 + 7 + 2 + 6 and the target's position
    assert obs.get_low_dim_data().shape == (40,)
    demos = task.get_demos(2, live_demos=True)
    assert len(demos) == 2
    speeds = np.abs(np.diff([o.joint_positions for o in demos[0]], axis=0)) / 0.05
    assert speeds.max() < 1.02
    env.shutdown()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"robot_setup": "hal"}, "robot_setup 'hal' is unknown; there are panda, sawyer"),
        ({"robot_setup": "ur5"}, "robot_setup 'ur5' is RLBench's own; give rlbench_root, or set"),
        (
            {"robot_setup": "ur5", "engine": "coppeliasim"},
            "'ur5' does not work with the engine copp",
        ),
        ({"randomize_every": "episode"}, "randomize_every='episode' is not supported"),
        ({"attach_grasped_objects": False}, "attach_grasped_objects=False is not supported"),
        ({"dataset_root": "no/such/folder"}, "no/such/folder is no folder"),
    ],
)
def test_what_there_is_not_is_refused(kwargs, message, monkeypatch):
    monkeypatch.delenv("RLBENCH_ROOT", raising=False)
    with pytest.raises(TaskEnvironmentError, match=message):
        Environment(**kwargs)


def test_without_a_display_no_viewer_opens(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(UserWarning, match="headless is False, but there is no display"):
        env = Environment(headless=False)
    env.launch()
    env.get_task("reach_target").reset()
    env.shutdown()


def test_public_names():
    assert rlbench.Environment is Environment
    assert set(dir(rlbench)) >= {"ActionMode", "CameraConfig", "ObservationConfig"}
    with pytest.raises(ImportError):
        from rlbench import Simulator  # noqa: F401, PLC0415
    with pytest.raises(ImportError):
        from rlbench.tasks import StackTheMoon  # noqa: F401, PLC0415


def test_shaped_reward_is_minus_the_distance():
    _, task = load(shaped_rewards=True)
    task.reset()
    obs, reward, _ = task.step(np.append(np.zeros(7), 1.0))
    assert reward == -np.linalg.norm(obs.gripper_pose[:3] - obs.task_low_dim_state)
    _, task = load(CloseFridge, shaped_rewards=True)
    task.reset()
    with pytest.raises(TaskEnvironmentError, match="close_fridge has no shaped reward; define"):
        task.step(np.append(np.zeros(7), 1.0))


def pose(task, name):
    return task.scene.engine.dummy(name).get_pose()


@pytest.mark.parametrize("gripper", [Discrete(), Discrete(detach_before_open=False)])
def test_scripted_grasp_lifts_the_block(gripper):
    _, task = load(PickAndLift, MoveArmThenGripper(EndEffectorPoseViaPlanning(), gripper))
    for seed in range(2):
        task.seed(seed)
        task.set_variation(seed)
        task.reset()
        above, at = pose(task, "waypoint0"), pose(task, "waypoint1")
        rewards = []
        for goal, opening in ((above, 1), (at, 1), (at, 0), (pose(task, "waypoint3"), 0)):
            obs, reward, terminate = task.step([*goal, opening])
            rewards.append(reward)
        assert rewards == [0.0, 0.0, 0.0, 1.0]
        assert terminate
        assert task.is_success
        held = task.scene.robot.gripper.get_grasped_objects()
        assert [shape.get_name() for shape in held] == ["pick_and_lift_target"]
        height = obs.task_low_dim_state[2]
        obs, _, _ = task.step([*obs.gripper_pose, 1.0])
        assert not task.scene.robot.gripper.get_grasped_objects()
        assert obs.task_low_dim_state[2] < height - 0.05


def test_fingers_commanded_by_position_hold_what_they_close_on():
    mode = MoveArmThenGripper(EndEffectorPoseViaPlanning(), GripperJointPosition())
    _, task = load(PickAndLift, mode)
    task.reset()
    at = pose(task, "waypoint1")
    for goal, travel in ((pose(task, "waypoint0"), 0.04), (at, 0.04), *[(at, 0.0)] * 8):
        task.step([*goal, travel])
    _, reward, _ = task.step([*pose(task, "waypoint3"), 0.0])
    assert reward == 1.0
    task.step([*pose(task, "waypoint3"), 0.04])
    assert not task.scene.robot.gripper.get_grasped_objects()


def test_same_seed_and_actions_give_the_same_observations():
    def run():
        _, task = load(PickAndLift, JointPositionActionMode())
        task.seed(3)
        _, obs = task.reset()
        rng = np.random.default_rng(0)
        out = [obs.get_low_dim_data()]
        for _ in range(20):
            obs, _, _ = task.step(rng.uniform([-0.1] * 7 + [0.0], [0.1] * 7 + [0.04]))
            out.append(obs.get_low_dim_data())
        return np.array(out)

    assert np.array_equal(run(), run())


def test_a_closed_scene_gives_its_memory_back():
    env, task = load()
    task.get_demo(0, 0, 0)
    engine = weakref.ref(task.scene.engine)
    del task
    env.get_task(PickAndLift)
    gc.collect()  # the action mode knew the old robot until now
    assert engine() is None
    env.shutdown()


def test_planned_actions_repeat_too():
    def run():
        mode = EndEffectorPoseViaPlanning(collision_checking=True)
        _, task = load(PickAndLift, MoveArmThenGripper(mode, Discrete()))
        task.seed(0)
        _, obs = task.reset()
        for goal in ("waypoint3", "waypoint0"):
            obs, _, _ = task.step([*pose(task, goal), 1.0])
        return obs.get_low_dim_data()

    assert np.array_equal(run(), run())


def test_episode_starts_as_a_demonstration_did():
    _, task = load(PickAndLift)
    task.set_variation(4)
    demo = task.get_demos(1)[0]
    task.set_variation(0)
    task.reset()
    descriptions, obs = task.reset_to_demo(demo)
    assert descriptions == demo.descriptions
    assert np.array_equal(obs.get_low_dim_data(), demo[0].get_low_dim_data())
    assert obs.misc["variation_index"] == 4
    _, other = load(ReachTarget)
    with pytest.raises(TaskEnvironmentError, match="as a demonstration of pick_and_lift did"):
        other.reset(demo)


def test_readings_can_be_left_out():
    config = bare()
    config.set_all_low_dim(False)
    config.gripper_open = True
    _, task = load(obs_config=config)
    _, obs = task.reset()
    assert obs.gripper_open == 1.0
    assert all(getattr(obs, name) is None for name in LOW_DIM if name != "gripper_open")
    assert obs.get_low_dim_data().tolist() == [1.0]


def test_images_of_rlbenchs_cameras(needs_gl):
    config = bare(front_camera=CameraConfig(image_size=[64, 48]))
    config.wrist_camera.set_all(True)
    config.wrist_camera.image_size = (32, 32)
    config.wrist_camera.masks_as_one_channel = False
    assert not config.overhead_camera.is_wanted
    env, task = load(obs_config=config)
    _, obs = task.reset()
    assert obs.front_rgb.shape == (48, 64, 3)
    assert 0.0 <= obs.front_depth.min() < obs.front_depth.max() <= 1.0
    assert obs.wrist_point_cloud.shape == obs.wrist_mask.shape == (32, 32, 3)
    assert obs.wrist_mask.dtype == np.float32
    assert obs.overhead_rgb is None
    assert obs.misc["front_camera_far"] > obs.misc["front_camera_near"]
    assert obs.left_shoulder_rgb is None
    with pytest.raises(AttributeError, match="ask for images by"):
        _ = obs.ceiling_rgb
    env.shutdown()


def test_coded_masks_hold_the_handles(needs_gl):
    """Floats in [0, 1] that RLBench's scripts save as bytes, and decode."""
    size = (40, 24)
    config = bare(
        front_camera=CameraConfig(image_size=size),
        wrist_camera=CameraConfig(image_size=size, masks_as_one_channel=False),
    )
    env, task = load(PickAndLift, obs_config=config)
    _, obs = task.reset()
    config.front_camera.masks_as_one_channel = False
    handles, coded = obs.front_mask, task.get_observation().front_mask
    assert (handles.shape, coded.shape, coded.dtype) == ((24, 40), (24, 40, 3), np.float32)
    assert 0.0 <= coded.min() < coded.max() <= 1.0
    weights = np.array([1, 256, 65536])
    assert np.array_equal((coded * 255 * weights).sum(axis=2), handles)
    assert np.array_equal(((coded * 255).astype(np.uint8) * weights).sum(axis=2), handles)
    assert len(np.unique(handles)) > 5
    assert np.array_equal(obs.wrist_mask[..., 1:], np.zeros((24, 40, 2)))  # few objects
    env.shutdown()


def test_every_handle_of_three_bytes_survives_its_code():
    rng = np.random.default_rng(0)
    handles = np.concatenate([np.arange(1024), rng.integers(0, 2**24, 4096), [2**24 - 1]])
    coded = handles_to_rgb(handles.reshape(1, -1).astype(np.int32))
    assert np.array_equal((coded * 255) @ np.array([1.0, 256.0, 65536.0]), handles[None])
    assert np.array_equal(coded.max(axis=(0, 1)), [1, 1, 1])


def test_camera_arguments_have_rlbenchs_order():
    left, front = CameraConfig(False), CameraConfig(True, Identity(), False)
    assert not left.rgb
    assert (front.depth, front.point_cloud, front.mask, front.image_size) == (
        False,
        True,
        True,
        (128, 128),
    )
    config = ObservationConfig(left, None, None, None, front, False)
    assert config.cameras == {"left_shoulder": left, "front": front}
    assert config.left_shoulder_camera is left
    assert config.joint_velocities is False
    assert config.joint_positions is True


def test_stored_demonstrations_without_a_folder_of_them_are_one_line():
    env, task = load()
    demos = task.get_demos(1, random_selection=False, from_episode_number=3)
    assert len(demos) == 1
    for ask in (
        lambda: task.get_demos(1, live_demos=False),
        lambda: env.get_demos("reach_target", 2),
    ):
        with pytest.raises(
            RuntimeError, match=r"no dataset_root; .*\.get_demos\(amount, live"
        ) as e:
            ask()
        assert isinstance(e.value, TaskEnvironmentError)


def test_a_task_that_cannot_start_where_it_stays_is_tried_once(monkeypatch):
    _, task = load(CloseFridge, static_positions=True)
    tries = []

    def refuse(*_):
        tries.append(1)
        return False

    monkeypatch.setattr(task.scene.robot.arm, "can_reach", refuse)
    message = "cannot start where its scene puts it: waypoint0 .* leave static_positions out"
    for start in (task.reset, lambda: task.get_demos(1)):
        with pytest.raises(DemoError, match=message):
            start()
    assert len(tries) == 2
    _, task = load(PickAndLift, static_positions=True)  # its block is placed anew each time
    tries.clear()
    monkeypatch.setattr(task.scene.robot.arm, "can_reach", refuse)
    with pytest.raises(DemoError, match="placements failed"):
        task.get_demo(0, 0)
    assert len(tries) > 5


@pytest.mark.parametrize("wrong", [5, int, None, ReachTarget.init_task])
def test_what_is_no_task_is_one_line(wrong):
    env, task = load()
    with pytest.raises(TaskEnvironmentError, match="is no task; give its class, or its snake_case"):
        env.get_task(wrong)
    task.reset()  # the task loaded before is still there


@pytest.mark.parametrize("wrong", ["a", 1.5, None, 20, -1])
def test_what_is_no_variation_is_one_line(wrong):
    _, task = load()
    with pytest.raises(TaskEnvironmentError, match="is out of range; allowed 0..19"):
        task.set_variation(wrong)


@pytest.mark.parametrize("wrong", [["a"] * 8, "a", [None] * 8, [[1], [2, 3]]])
def test_what_is_no_action_is_one_line(wrong):
    _, task = load()
    task.reset()
    with pytest.raises(InvalidActionError) as error:
        task.step(wrong)
    assert "\n" not in str(error.value)


def test_camera_configs_in_bulk():
    config = bare()
    config.set_all(True)
    assert set(config.cameras) == set(RLBENCH_CAMERAS)
    assert all(c.image_size == (128, 128) and c.point_cloud for c in config.cameras.values())
    config.set_all_high_dim(False)
    assert not config.recording().cameras
    config.front_camera = CameraConfig(image_size=(0, 3))
    with pytest.raises(SceneError, match="image_size of the camera 'front' is .*0, 3"):
        Environment(obs_config=config).launch()


@pytest.mark.parametrize("size", [[64, 48], (64, 48), np.array([64, 48])])
def test_an_image_size_is_any_two_whole_numbers(size):
    assert checked_size(size, "size") == (64, 48)


@pytest.mark.parametrize(
    "size", [64, None, "64", (64,), (64, 48, 3), (64.0, 48.0), (-1, 5), "a" * 10_000, [0] * 10_000]
)
def test_other_image_sizes_are_one_line(size):
    with pytest.raises(SceneError, match="must be width and height") as caught:
        ObservationConfig(front_camera=CameraConfig(image_size=size))
    assert len(str(caught.value)) < 300
    with pytest.raises(SceneError, match="track_image_size is"):
        ObservationConfig(track_image_size=size)


def test_noise_repeats_with_the_seed():
    def first(seed):
        _, task = load(obs_config=bare(joint_positions_noise=GaussianNoise(0.01)))
        task.seed(seed)
        _, obs = task.reset()
        return obs.joint_positions

    _, task = load()
    _, exact = task.reset()
    assert np.array_equal(first(0), first(0))
    assert not np.array_equal(first(0), first(1))
    assert 0 < np.abs(first(0) - exact.joint_positions).max() < 0.05
    image = np.full((4, 4, 3), 254, np.uint8)
    noisy = GaussianNoise(5.0).apply(image)
    assert noisy.dtype == np.uint8
    assert noisy.max() == 255
    assert GaussianNoise(1.0, (0.0, 0.5)).apply(np.zeros(100)).min() == 0.0
