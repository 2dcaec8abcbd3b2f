"""How the engine drives PyRep's scene and cameras: its calls, and their results."""

import json

import numpy as np
import pytest

from data_generation.RLBench.config import load_config
from data_generation.RLBench.generation import engines
from data_generation.RLBench.raw.episode_key import EpisodeKey
from pyrep_mujoco.vision.visibility import HIDDEN, OUTSIDE, SEEN
from rlbench import cameras
from rlbench.backend.exceptions import EngineError, RenderingError, SceneError
from rlbench.engines.mujoco import MujocoEngine
from rlbench.environment import Environment
from rlbench.observation_config import KEYPOINT_GROUPS, CameraConfig, ObservationConfig
from rlbench.recording.keypoints import make_keypoints
from rlbench.tasks import builtin_scene, get_task_class
from tests.contract.fake_world import VISION

BLOCK = "pick_and_lift_target"


# ---- scene ------------------------------------------------------------------------------


def test_cameras_wait_until_an_image_is_wanted(world, loaded):
    handled = [n.camera.get("explicit") for n in world.nodes.values() if n.kind == VISION]
    assert handled == [1] * 10


def test_the_task_stands_where_rlbench_puts_it(world, loaded):
    engine, _ = loaded
    workspace = engine.shape("workspace").get_position()
    assert np.allclose(engine.dummy("pick_and_lift").get_position(), workspace)


def test_things_without_a_class_in_pyrep_are_no_objects(loaded):
    engine, _ = loaded
    with pytest.raises(SceneError, match="no object named 'DefaultLightA'"):
        engine.object("DefaultLightA")
    with pytest.raises(SceneError, match=r"no proximitysensor named 'waypoint0'.*_success"):
        engine.sensor("waypoint0")


def test_a_model_of_another_name_is_refused(simulator, world, monkeypatch):
    load = world.load_task

    def renamed(file):
        node = load(file)
        node.name = "something_else"
        return node

    monkeypatch.setattr(world, "load_task", renamed)
    with pytest.raises(SceneError, match=r"reach_target\.ttm has no object named 'reach_target'"):
        simulator.load("reach_target")


def test_reset_undoes_flags_and_lets_go(loaded):
    engine, robot = loaded
    block = engine.shape(BLOCK)
    parent = block.get_parent().get_name()
    block.set_collidable(False)
    block.set_renderable(False)
    block.set_dynamic(False)
    block.set_transparency(0.0)
    block.set_position(robot.arm.get_tip().get_position())
    assert robot.gripper.grasp(block)
    assert robot.gripper.grasp(block)  # already held
    assert block.get_parent().get_name() == "Panda_gripper_attachPoint"
    held = engine.get_state()
    engine.reset()
    assert (block.is_collidable(), block.is_renderable(), block.is_dynamic()) == (True,) * 3
    assert block.native.get_transparency() == 1.0
    assert robot.gripper.get_grasped_objects() == []
    assert block.get_parent().get_name() == parent
    engine.set_state(held)
    assert [o.get_name() for o in robot.gripper.get_grasped_objects()] == [BLOCK]
    assert np.allclose(block.get_position(), robot.arm.get_tip().get_position())
    robot.gripper.release()
    assert block.get_parent().get_name() == parent


def test_the_task_is_put_back_after_the_robot_has_stepped(world, loaded):
    engine, robot = loaded
    before = world.steps
    engine.reset()
    last = [name for name, _, _ in world.calls if name.startswith("PyRep.set_conf")]
    assert len(last) == 3
    assert world.calls[-1][0] == "PyRep.set_configuration_tree"
    assert world.steps == before + 4
    # The robot is home: nothing more may step while the task hangs in the air.
    robot.gripper.reset()
    robot.arm.home()
    assert world.steps == before + 4


@pytest.mark.parametrize(
    "method", ["set_position", "set_quaternion", "set_orientation", "set_pose"]
)
def test_pyrep_is_told_whether_things_move_on(loaded, monkeypatch, method):
    engine, _ = loaded
    block = engine.shape(BLOCK)
    place, told = getattr(block, method.replace("set", "get"))(), []
    monkeypatch.setattr(block.native, method, lambda *args: told.append(args[2]))
    getattr(block, method)(place, reset_dynamics=False)
    getattr(block, method)(place)
    assert told == [False, True]


def test_a_removed_object_is_told(loaded):
    engine, _ = loaded
    engine.shape("stack_blocks_distractor0").native.remove()
    with pytest.raises(SceneError, match="was removed"):
        engine.reset()


# ---- recording --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pick_and_lift", "close_fridge", "take_money_out_safe"])
def test_rays_see_what_mujocos_rays_see(simulator, name):
    engine, _ = simulator.load(name)
    truth = MujocoEngine(builtin_scene(name))
    engine.dummy(name).set_matrix(truth.dummy(name).get_matrix())
    waypoints = [n for n in truth.object_names() if n.startswith("waypoint")]
    spec = [cameras.CAMERAS[c] for c in ("left_shoulder", "right_shoulder", "overhead", "front")]
    K = np.array([cameras.intrinsics(s.fov_deg, 256, 256) for s in spec])
    E = np.array([cameras.extrinsics(s.T_world_cam()) for s in spec])
    centres = np.array([s.position for s in spec])
    results = []
    for here in (engine, truth):
        points = make_keypoints(here, KEYPOINT_GROUPS, waypoints)
        observer = here.observer()
        xyz = points.positions(observer)
        uv, depth = cameras.project_views(xyz[None], K, E)
        seen, hiders = observer.visibility(
            xyz, points.owners, points.own_reach, centres, uv[:, 0], depth[:, 0], (256, 256)
        )
        names = np.array(
            [
                (
                    here.object_of_handle(int(h)).get_name().removesuffix("_respondable")
                    if h >= 0
                    else ""
                )
                for h in hiders.ravel()
            ]
        )
        results.append((points.names, xyz, seen, names))
    (names, xyz, seen, hiders), (true_names, true_xyz, true_seen, true_hiders) = results
    assert sorted(names) == sorted(true_names)
    order = [names.index(n) for n in true_names]
    assert np.allclose(xyz[order], true_xyz, atol=1e-9)
    seen = seen[:, order]
    assert np.array_equal(seen == OUTSIDE, true_seen == OUTSIDE)
    assert 0 < (true_seen == HIDDEN).sum() < true_seen.size
    assert (seen == true_seen).mean() > 0.97  # meshes of round shapes have facets
    both = (seen == HIDDEN) & (true_seen == HIDDEN)
    hiders = hiders.reshape(len(spec), -1)[:, order]
    assert (hiders == true_hiders.reshape(hiders.shape))[both].mean() > 0.9


def test_images_meet_the_calibration(simulator):
    """A pixel's depth, put back into space, lies on the shape that its mask names."""
    engine, _ = simulator.load("pick_and_lift")
    block = engine.shape(BLOCK)
    block.set_color([1, 0, 0])
    observer = engine.observer()
    height, width = 24, 32
    images = observer.images("front", (width, height))
    assert images.rgb.shape == (height, width, 3)
    assert images.depth.shape == images.mask.shape == (height, width)
    assert (images.rgb.dtype, images.depth.dtype, images.mask.dtype) == (
        np.uint8,
        np.float32,
        np.int32,
    )
    spec = cameras.CAMERAS["front"]
    K = cameras.intrinsics(spec.fov_deg, width, height)
    cloud = cameras.unproject_depth(images.depth, K, cameras.extrinsics(spec.T_world_cam()))
    pixels = images.mask == block.get_handle()
    assert pixels.any()
    assert (images.rgb[pixels] == [255, 0, 0]).all()
    local = (cloud[pixels] - block.get_position()) @ block.get_matrix()[:3, :3]
    assert np.abs(local).max() < 0.0251
    assert np.abs(np.abs(local).max(axis=1) - 0.025).max() < 1e-4


def test_antialiasing_is_refused_in_one_line(simulator):
    engine, _ = simulator.load("reach_target")
    with pytest.raises(EngineError, match="antialiasing 4: CoppeliaSim.* must be 0 there$"):
        engine.observer(antialiasing=4)


def test_a_camera_of_ones_own_is_made_and_removed(world, simulator, monkeypatch):
    own = cameras.CameraSpec("ceiling", (0.3, 0.0, 2.6), ((0, 1, 0), (1, 0, 0), (0, 0, -1)))
    monkeypatch.setitem(cameras.CAMERAS, "ceiling", own)
    engine, _ = simulator.load("reach_target")
    count = len(world.nodes)
    observer = engine.observer(shadows=True)
    observer.images("ceiling", (6, 4), mask=False)
    made = list(world.nodes.values())[-1]
    assert len(world.nodes) == count + 1
    assert made.camera["resolution"] == (6, 4)
    assert made.camera["mode"].name == "OPENGL3"
    assert np.allclose(world.pose(made.handle), cameras.pyrep_extrinsics(own.T_world_cam()))
    observer.images("wrist", (4, 4), rgb=False, depth=False)
    wrist = world.named("cam_wrist_mask")
    assert world.nodes[wrist.parent].name == "Panda_gripper"
    with pytest.raises(RenderingError, match="'moon' is unknown"):
        observer.images("moon", (4, 4))
    observer.close()
    assert len(world.nodes) == count


def test_a_shape_without_a_mesh_hides_by_its_box(simulator, monkeypatch, caplog):
    engine, _ = simulator.load("pick_and_lift")
    shape = engine.shape(BLOCK)

    def fails():
        raise RuntimeError("-1")

    monkeypatch.setattr(shape.native, "get_mesh_data", fails)
    shape.set_position([2.0, 2.0, 2.0])  # nothing else is near
    T, box = shape.get_matrix(), shape.get_bounding_box().reshape(3, 2)
    eye = T[:3, 3] + 0.3 * T[:3, 2]
    # Four points behind the block, and four beside these.
    corners = np.array([[x, y, box[2, 0] - 0.1] for x in box[0] for y in box[1]])
    xyz = np.concatenate([corners * [s, s, 1] for s in (0.5, 3.0)]) @ T[:3, :3].T + T[:3, 3]
    uv, depth = np.full((1, 8, 2), 4.0), np.ones((1, 8))
    owners, reach = np.full(8, engine.dummy("pick_and_lift").get_handle()), np.zeros(8)
    seen, hiders = engine.observer().visibility(xyz, owners, reach, eye[None], uv, depth, (8, 8))
    assert hiders[0].tolist() == [shape.get_handle()] * 4 + [-1] * 4
    assert (seen[0, :4] == HIDDEN).all()
    assert (seen[0, 4:] == SEEN).all()
    assert BLOCK in caplog.text


@pytest.mark.slow
def test_a_demonstration_with_images(world):
    config = ObservationConfig(
        keypoints=("waypoints", "robot"), cameras={"front": CameraConfig(image_size=(4, 3))}
    )
    env = Environment(obs_config=config, engine="coppeliasim", headless=False)
    env.launch()
    task = env.get_task(get_task_class("reach_target"))
    demo = task.get_demo(3, 1)
    xyz = np.array([obs.keypoints for obs in demo])
    assert np.isfinite(xyz).all()
    tip, goal = (demo.keypoint_names.index(n) for n in ("robot/tip", "waypoints/waypoint0"))
    last = demo.waypoint_frames[-1]
    assert np.allclose(xyz[last, tip], xyz[last, goal], atol=2e-3)
    assert demo[0].images["front"].depth.shape == (3, 4)
    assert demo[0].obj_annotations["waypoints"]["waypoint0"]["parent_class"] == "target"
    assert np.isfinite(demo[0].get_low_dim_data()).all()
    assert task.object_name(task.scene.engine.shape("target").get_handle()) == "target"
    env.shutdown()


@pytest.mark.slow
def test_a_demonstration_with_a_grasp(world):
    config = ObservationConfig(keypoints=("objects",), track_cams=("front",))
    env = Environment(engine="coppeliasim", static_positions=True, obs_config=config)
    env.launch()
    task = env.get_task(get_task_class("unplug_charger"))
    demo = task.get_demo(0, 0)
    assert len(demo.waypoint_frames) == len(task.waypoint_names)
    moved = np.linalg.norm(demo[-1].keypoints - demo[0].keypoints, axis=1)
    assert moved[demo.keypoint_names.index("objects/charger")] > 0.05
    env.shutdown()


@pytest.mark.slow
def test_generation_makes_an_episode(world, tmp_path):
    keys = {
        "obs_dim": [3, 4, 3],
        "cams": ["front", "wrist"],
        "train_task_ids": [0],
        "get_point_clouds": True,
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps(keys), encoding="utf-8")
    source = engines.open_coppeliasim(load_config(config), 3)
    assert source.n_variations(0) == 20
    episode = source.attempt(EpisodeKey(0, 0, 2), 1, 0)
    source.close()
    assert (episode.info["engine"], episode.info["engine_version"][:5]) == ("coppeliasim", "4.1.0")
    assert episode.visibility.shape[0] == len(episode.track_cams)
    assert {*episode.track_cams, "wrist"} == set(episode.cameras)
    assert {len(film) for film in episode.films.values()} == {episode.n_frames}
    assert episode.cameras["wrist"].extrinsics.shape == (episode.n_frames, 3, 4)
