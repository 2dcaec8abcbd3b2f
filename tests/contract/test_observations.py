"""Images, calibration and keypoints of real scenes agree with each other."""

import numpy as np
import pytest

from pyrep_mujoco.vision.rendering import select_gl_backend
from pyrep_mujoco.vision.visibility import OWN_REACH
from rlbench import cameras
from rlbench.backend.exceptions import RenderingError, SceneError
from rlbench.engines.protocols import Shape
from rlbench.environment import Environment
from rlbench.observation_config import TRACK_CAMERAS, CameraConfig, ObservationConfig
from rlbench.tasks import get_task_class


@pytest.fixture
def needs_gl(engine_kind):
    if engine_kind != "mujoco":
        return
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))


@pytest.fixture
def first_observation(make_environment):
    def first(name, config):
        env = make_environment(obs_config=config)
        task = env.get_task(get_task_class(name))
        task.seed(0)
        _, obs = task.reset()
        return env, task, obs

    return first


@pytest.mark.slow
@pytest.mark.needs_physics
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("reach_target", (256, 256)),
        ("pick_and_lift", (256, 256)),
        ("pick_and_lift", [320, 200]),
        ("pick_and_lift", (200, 320)),
    ],
)
def test_seen_keypoints_lie_on_their_object(needs_gl, first_observation, name, size):
    """Pose, projection, visibility, segmentation and depth meet in one pixel."""
    wanted = CameraConfig(image_size=size)
    config = ObservationConfig(cameras=dict.fromkeys(TRACK_CAMERAS, wanted), track_image_size=size)
    env, task, obs = first_observation(name, config)
    points, engine = task.recorder.keypoints, task.scene.engine
    uv, _ = cameras.project_views(obs.keypoints[None], *env.track_calibration())
    checked = 0
    for v, camera in enumerate(TRACK_CAMERAS):
        images = obs.images[camera]
        assert images.rgb.shape == images.point_cloud.shape == (size[1], size[0], 3)
        for k, handle in enumerate(points.owners):
            is_seen = obs.keypoint_visibility[v, k] == 1
            owner = engine.object_of_handle(int(handle))
            on_shape = isinstance(owner, Shape)
            if not (is_seen and on_shape) or points.names[k].startswith("robot"):
                continue
            column, row = np.floor(uv[v, 0, k]).astype(int)
            tree = {obj.get_handle() for obj in owner.get_objects_in_tree(exclude_base=False)}
            assert images.mask[row, column] in tree, (camera, points.names[k])
            gap = np.linalg.norm(images.point_cloud[row, column] - obs.keypoints[k])
            assert gap < 0.045, (camera, points.names[k])  # surface to centre of a 5 cm object
            checked += 1
    assert checked >= 3
    env.shutdown()


def test_a_block_hides_its_own_far_corners_but_not_its_centre(first_observation):
    """Corners and waypoints are hidden by what they hang on, from 3 cm before them on."""
    config = ObservationConfig(keypoints=("boxes", "objects"))
    _, task, obs = first_observation("pick_and_lift", config)
    engine, names = task.scene.engine, task.keypoint_names
    block = engine.shape("pick_and_lift_target")
    T, box = block.get_matrix(), block.get_bounding_box()
    corners = [i for i, n in enumerate(names) if n.startswith(f"boxes/{block.get_name()}/")]
    expected, checked = set(), 0
    for v, camera in enumerate(TRACK_CAMERAS):
        eye = (np.array(cameras.CAMERAS[camera].position) - T[:3, 3]) @ T[:3, :3]
        for k in corners:
            corner = (obs.keypoints[k] - T[:3, 3]) @ T[:3, :3]
            # Where the line of sight enters the block (slabs), and how far before the corner.
            enters = np.minimum(*((box.reshape(3, 2).T - eye) / (corner - eye))).max()
            gap = (1 - enters) * np.linalg.norm(corner - eye)
            is_own = obs.keypoint_hiders[v, k] == block.get_handle()
            if obs.keypoint_visibility[v, k] == 0 or abs(gap - OWN_REACH) < 1e-4:
                continue
            if gap < OWN_REACH:
                assert not is_own, (camera, names[k], gap)
            elif obs.keypoint_visibility[v, k] == 1:
                pytest.fail(f"{camera} sees {names[k]} through {gap:.3f} m of the block")
            expected.add(bool(gap > OWN_REACH))
            checked += 1
    assert expected == {False, True}
    assert checked >= 16
    centre = names.index(f"objects/{block.get_name()}")
    assert block.get_handle() not in obs.keypoint_hiders[:, centre]


def test_a_safe_hides_the_waypoints_that_lie_behind_its_wall(first_observation):
    _, task, obs = first_observation("take_money_out_safe", ObservationConfig())
    safe = task.scene.engine.shape("safe_body").get_handle()
    front = TRACK_CAMERAS.index("front")
    inside = [task.keypoint_names.index(f"waypoints/waypoint{i}") for i in (0, 1, 2)]
    assert (obs.keypoint_visibility[front, inside] == 0.5).all()
    assert (obs.keypoint_hiders[front, inside] == safe).all()


@pytest.mark.slow
def test_upstream_names_and_types(needs_gl, first_observation):
    config = ObservationConfig(
        cameras={"wrist": CameraConfig(point_cloud=False, image_size=(64, 48))}
    )
    env, _, obs = first_observation("pick_and_lift", config)
    assert obs.wrist_rgb.shape == (48, 64, 3)
    assert obs.wrist_rgb.dtype == np.uint8
    assert obs.wrist_depth.shape == obs.wrist_mask.shape == (48, 64)
    assert obs.wrist_point_cloud is None
    assert obs.misc["wrist_camera_intrinsics"][0, 0] < 0
    assert obs.front_rgb is None
    with pytest.raises(AttributeError, match="cameras are"):
        _ = obs.ceiling_rgb
    env.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(96, 64), [64, 96], (64, 64)])
def test_intrinsics_are_those_of_pyreps_sensors(needs_gl, first_observation, size):
    """The view angle is that of the longer side; focal lengths are equal and negative."""
    config = ObservationConfig(
        cameras={"front": CameraConfig(image_size=size, mask=False)}, track_image_size=size
    )
    env, _, obs = first_observation("reach_target", config)
    focal = -max(size) / 2 / np.tan(np.deg2rad(cameras.CAMERAS["front"].fov_deg) / 2)
    wanted = [[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]]
    assert np.allclose(obs.misc["front_camera_intrinsics"], wanted)
    assert np.allclose(np.abs(env.track_calibration()[0][3]), np.abs(wanted))
    assert obs.front_depth.shape == (size[1], size[0])


def test_own_camera_is_one_entry(first_observation, monkeypatch):
    own = cameras.CameraSpec("ceiling", (0.3, 0.0, 2.6), ((0, 1, 0), (1, 0, 0), (0, 0, -1)))
    monkeypatch.setitem(cameras.CAMERAS, "ceiling", own)
    config = ObservationConfig(
        track_cams=("front", "ceiling", "overhead"), track_image_size=(200, 100)
    )
    env, _, obs = first_observation("reach_target", config)
    K, E = env.track_calibration()
    assert K.shape == (3, 3, 3)
    assert K[1, 0, 2] == 100
    assert obs.keypoint_visibility.shape == (3, obs.keypoints.shape[0])
    uv, depth = cameras.project(np.array([0.3, 0.0, 1.0]), K[1], E[1])
    assert np.allclose(uv, [100, 50])
    assert depth == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"track_cams": ("front", "wrist")}, "moves with"),
        ({"track_cams": ("font",)}, "unknown"),
        ({"keypoints": ("corners",)}, "allowed: waypoints, objects, boxes, robot"),
        ({"track_image_size": (0, 256)}, "at least 1"),
    ],
)
def test_impossible_observations_are_refused(kwargs, message):
    with pytest.raises(SceneError, match=message):
        Environment(obs_config=ObservationConfig(**kwargs)).launch()


def test_keypoint_groups_name_their_points(first_observation):
    config = ObservationConfig(keypoints=("boxes", "objects"))
    _, task, obs = first_observation("close_fridge", config)
    names = task.keypoint_names
    assert [n for n in names if n.startswith("objects")] == [
        "objects/door_bottom",
        "objects/door_top",
    ]
    boxes = np.array([i for i, n in enumerate(names) if n.startswith("boxes/door_top/")])
    assert len(boxes) == 8
    centre = obs.keypoints[boxes].mean(0)
    assert np.allclose(centre, obs.keypoints[names.index("objects/door_top")], atol=1e-9)


def test_pictures_are_taken_from_where_one_likes(needs_gl, first_observation):
    env, task, _ = first_observation("reach_target", ObservationConfig())
    target = task.recorder.keypoints.positions(task.recorder.observer)[0]
    spec = cameras.CameraSpec.look_at(
        "mine", target + np.array([0.2, 0.1, 0.1]), target, fov_deg=20.0
    )
    before = env.track_calibration()
    for view in (spec, cameras.turned(cameras.CINEMATIC, 1.0), "cinematic", spec):
        picture = task.render(view, (48, 32))
        assert picture.shape == (32, 48, 3)
        assert picture.dtype == np.uint8
    red, green, blue = picture[16, 24].tolist()  # the last picture looks at the red target
    assert red > 2 * max(green, blue, 20)
    assert np.array_equal(env.track_calibration()[1], before[1])
    env.shutdown()


def test_the_group_frames_gives_the_pose_of_each_waypoint(first_observation):
    """Origin and two points on its axes move with the waypoint's own frame."""
    config = ObservationConfig(keypoints=("waypoints", "frames"))
    _, task, obs = first_observation("unplug_charger", config)
    names = task.keypoint_names
    waypoints = [n.split("/")[1] for n in names if n.startswith("waypoints/")]
    assert len(names) == 4 * len(waypoints) > 0
    for waypoint in waypoints:
        T = task.scene.engine.dummy(waypoint).get_matrix()
        origin, x, y = (
            obs.keypoints[names.index(f"frames/{waypoint}/{point}")]
            for point in ("origin", "x", "y")
        )
        assert np.allclose(origin, T[:3, 3], atol=1e-9)
        assert np.allclose(x, T[:3, 3] + 0.08 * T[:3, 0], atol=1e-9)
        assert np.allclose(y, T[:3, 3] + 0.08 * T[:3, 1], atol=1e-9)
