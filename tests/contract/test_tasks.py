"""Every built-in task loads, places, demonstrates, and repeats itself bit for bit."""

import numpy as np
import pytest

from rlbench.backend.exceptions import DemoError, TaskEnvironmentError, TaskNotAvailableError
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tasks import AVAILABLE, TASK_NAMES, get_task_class, task_id
from rlbench.tools.task_validator import validate

GROUPS = ("waypoints", "objects", "boxes", "robot")


@pytest.fixture
def load(make_environment):
    def load_task(name, **kwargs):
        env = make_environment(obs_config=ObservationConfig(keypoints=GROUPS), **kwargs)
        return env.get_task(get_task_class(name))

    return load_task


def load_mujoco(name):
    env = Environment(obs_config=ObservationConfig(keypoints=GROUPS))
    env.launch()
    return env.get_task(get_task_class(name))


@pytest.mark.slow
@pytest.mark.needs_physics
@pytest.mark.parametrize("name", AVAILABLE)
def test_the_validator_finds_no_problem(name, prepare_engine):
    report = validate(name, episodes=10, seed=1000, engine=prepare_engine)
    assert report.problems(min_success=0.85) == []
    assert min(k.inside_two for k in report.keypoints.values()) > 0.5


@pytest.mark.slow
@pytest.mark.needs_physics
@pytest.mark.parametrize("name", AVAILABLE)
def test_a_demonstration_says_where_it_comes_from(load, name):
    task = load(name)
    task.seed(0)
    demo = task.get_demos(1)[0]
    xyz = np.array([obs.keypoints for obs in demo])
    assert xyz.shape == (len(demo), len(demo.keypoint_names), 3)
    assert np.isfinite(xyz).all()
    assert len(demo.waypoint_frames) == len(task.waypoint_names)
    assert demo.random_seed[:4] == [0, task_id(name), demo.variation, 0]


@pytest.mark.slow
@pytest.mark.needs_physics
@pytest.mark.parametrize("name", AVAILABLE)
def test_every_variation_starts_with_descriptions(load, name):
    task = load(name)
    for variation in range(task.variation_count()):
        task.set_variation(variation)
        descriptions, obs = task.reset()
        assert descriptions
        assert all(isinstance(text, str) for text in descriptions)
        assert np.isfinite(obs.keypoints).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", AVAILABLE)
def test_same_seed_same_demo_whatever_came_before(name):
    fresh = load_mujoco(name).get_demo(seed=7, example=3)
    used = load_mujoco(name)
    for seed in (1, 2):
        try:
            used.get_demo(seed, 0)
        except DemoError:
            continue
    again = used.get_demo(seed=7, example=3)
    for field in ("keypoints", "joint_positions", "gripper_pose", "keypoint_visibility"):
        a, b = (np.array([getattr(o, field) for o in demo]) for demo in (fresh, again))
        assert np.array_equal(a, b), field


@pytest.mark.slow
@pytest.mark.needs_physics
def test_held_block_does_not_slip(load):
    task = load("pick_and_lift")
    for seed in range(5):
        demo = task.get_demo(seed, 0)
        grasp = demo.waypoint_frames[1] + 30  # fully closed and welded by then
        block = demo.keypoint_names.index("objects/pick_and_lift_target")
        corner = demo.keypoint_names.index("boxes/pick_and_lift_target/0")
        local = []
        for obs in demo[grasp:]:
            R, p = obs.gripper_matrix[:3, :3], obs.gripper_matrix[:3, 3]
            local.append((obs.keypoints[[block, corner]] - p) @ R)
        local = np.array(local)
        slip = np.linalg.norm(local - local[0], axis=-1)
        assert slip[:, 0].max() < 5e-4
        edge = local[:, 1] - local[:, 0]
        cosine = (
            np.sum(edge * edge[0], -1) / np.linalg.norm(edge, axis=-1) / np.linalg.norm(edge[0])
        )
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.5


@pytest.mark.needs_physics
def test_arm_keeps_within_velocity_limits(load):
    task = load("reach_target")
    demo = task.get_demo(0, 0)
    q = np.array([obs.joint_positions for obs in demo])
    limits = np.array([2.175] * 4 + [2.61] * 3)
    assert (np.abs(np.diff(q, axis=0)) / 0.05 <= limits * 1.01).all()


def test_static_positions_and_step():
    env = Environment(static_positions=True)
    env.launch()
    task = env.get_task(get_task_class("close_fridge"))
    _, obs = task.reset()
    assert np.allclose(task.scene.task.get_base().get_position(), [0.25, 0, 0.752])
    action = np.concatenate([np.full(7, 0.2), [1.0]])
    after, reward, done = task.step(action)
    moved = after.joint_positions - obs.joint_positions
    assert (moved > 0).all()
    assert (reward, done) == (0.0, False)


def test_annotations_name_objects_waypoints_and_joints(load):
    _, obs = load("close_fridge").reset()
    notes = obs.obj_annotations
    names = {entry["name"] for entry in notes["objects"]}
    assert {"fridge_base", "door_top", "shelf"} <= names
    assert notes["waypoints"]["waypoint1"]["ext_string"] == "ignore_collisions"
    assert notes["waypoints"]["waypoint0"]["parent_class"] == "fridge_base"
    assert set(notes["joints"]) == {"top_joint", "bottom_joint"}


def test_task_table_and_errors():
    assert len(TASK_NAMES) == 95
    assert [task_id(n) for n in AVAILABLE] == [0, 8, 9, 12, 40, 41, 54, 79]
    with pytest.raises(TaskNotAvailableError, match="0 reach_target, 8 close_fridge"):
        get_task_class("open_door")
    task = load_mujoco("reach_target")
    with pytest.raises(TaskEnvironmentError, match=r"allowed 0\.\.19"):
        task.set_variation(20)
    with pytest.raises(TaskEnvironmentError, match="reset"):
        task.step(np.zeros(8))
