import mujoco
import numpy as np
import pytest

from pyrep_mujoco.vision.cameras import (
    CameraSpec,
    camera_from_mujoco,
    extrinsics,
    intrinsics,
    mujoco_camera,
    project,
    project_views,
    pyrep_extrinsics,
    pyrep_intrinsics,
    unproject_depth,
)
from rlbench.cameras import CAMERAS

STATIC = ("left_shoulder", "right_shoulder", "overhead", "front")
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def test_focal_length_is_351_68_px_at_256():
    K = intrinsics(40.0, 256, 256)
    assert K[0, 0] == pytest.approx(351.68, abs=0.01)
    assert K[0, 0] == K[1, 1]
    assert K[0, 2] == K[1, 2] == 128


def test_view_angle_is_of_the_longer_side():
    assert intrinsics(40.0, 256, 128)[0, 0] == intrinsics(40.0, 128, 256)[0, 0]
    assert intrinsics(40.0, 256, 128)[1, 2] == 64


@pytest.mark.parametrize("name", STATIC)
def test_point_ahead_left_and_above_lands_there(name):
    spec = CAMERAS[name]
    R, centre = np.array(spec.rotation), np.array(spec.position)
    K, E = intrinsics(40.0, 256, 256), extrinsics(spec.T_world_cam())
    # Sensor axes: z ahead, x to the left of the image, y up.
    uv, depth = project(centre + R @ [0.1, 0.2, 1.0], K, E)
    assert depth == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(uv, 128 - K[0, 0] * np.array([0.1, 0.2]), atol=1e-3)


@pytest.mark.parametrize("name", STATIC)
def test_pyrep_shapes_give_the_same_pixels(name):
    T = CAMERAS[name].T_world_cam()
    K = intrinsics(40.0, 256, 256)
    xyz = np.array([0.2, 0.1, 0.8])
    sensor = np.linalg.inv(pyrep_extrinsics(T)) @ [*xyz, 1.0]
    upstream = pyrep_intrinsics(K) @ sensor[:3]
    assert pyrep_intrinsics(K)[0, 0] < 0
    np.testing.assert_allclose(upstream[:2] / upstream[2], project(xyz, K, extrinsics(T))[0])
    np.testing.assert_allclose(pyrep_extrinsics(T)[:3, :3], CAMERAS[name].rotation, atol=1e-6)


def test_project_views_equals_project():
    specs = [CAMERAS[name] for name in STATIC]
    K = np.stack([intrinsics(s.fov_deg, 256, 256) for s in specs])
    E = np.stack([extrinsics(s.T_world_cam()) for s in specs])
    xyz = np.random.default_rng(0).uniform(-0.5, 1.2, (5, 3, 3))
    uv, depth = project_views(xyz, K, E)
    assert uv.shape == (4, 5, 3, 2)
    for view in range(4):
        one_uv, one_depth = project(xyz, K[view], E[view])
        np.testing.assert_allclose(uv[view], one_uv)
        np.testing.assert_allclose(depth[view], one_depth)


def test_point_in_the_cameras_plane_stays_finite():
    uv, depth = project([1.0, 0.0, 0.0], intrinsics(40.0, 8, 8), np.eye(4)[:3])
    assert np.isfinite(uv).all()
    assert depth == 0


def test_unproject_puts_each_pixel_centre_back():
    spec = CAMERAS["front"]
    K, E = intrinsics(40.0, 6, 4), extrinsics(spec.T_world_cam())
    depth = np.random.default_rng(1).uniform(0.5, 2.0, (4, 6))
    uv, back = project(unproject_depth(depth, K, E), K, E)
    np.testing.assert_allclose(back, depth)
    np.testing.assert_allclose(uv[..., 0], np.broadcast_to(np.arange(6) + 0.5, (4, 6)))
    np.testing.assert_allclose(uv[..., 1], np.broadcast_to(np.arange(4)[:, None] + 0.5, (4, 6)))


@pytest.mark.parametrize("name", list(CAMERAS)[:5])
def test_mujoco_camera_round_trip(name):
    T = CAMERAS[name].T_world_cam()
    position, quat_wxyz = mujoco_camera(T)
    xmat = np.empty(9)
    mujoco.mju_quat2Mat(xmat, quat_wxyz)
    np.testing.assert_allclose(camera_from_mujoco(position, xmat), T, atol=1e-12)
    # R_mujoco = R_sensor diag(-1, 1, -1)
    np.testing.assert_allclose(
        xmat.reshape(3, 3), np.array(CAMERAS[name].rotation) * [-1, 1, -1], atol=1e-6
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rotation": ((2.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "3x3 rotation"),
        ({"rotation": ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "mirror"),
        ({"fov_deg": 180.0}, "fov_deg must be"),
        ({"near": 4.0}, "near < far"),
    ],
)
def test_bad_camera_is_refused_with_its_name(fields, message):
    with pytest.raises(ValueError, match=f"camera 'bad'.*{message}"):
        CameraSpec(**{"name": "bad", "position": (0.0, 0.0, 0.0), "rotation": EYE, **fields})


def test_a_camera_looks_at_its_target():
    spec = CameraSpec.look_at("side", (0.3, 1.2, 1.4), (0.2, -0.1, 0.8), fov_deg=50.0, far=4.0)
    K, E = intrinsics(spec.fov_deg, 640, 480), extrinsics(spec.T_world_cam())
    points = [(0.2, -0.1, 0.8), (0.2, -0.1, 0.9), (0.1, -0.1, 0.8)]
    uv, depth = project(points, K, E)
    np.testing.assert_allclose(uv[0], [320, 240], atol=1e-9)
    assert depth[0] == pytest.approx(np.linalg.norm([0.1, 1.3, 0.6]))
    assert uv[1, 0] == pytest.approx(320)  # what is above stands above, and straight
    assert uv[1, 1] < 240
    assert uv[2, 0] > 320  # looking along -y, -x is to the right
    assert (spec.name, spec.position) == ("side", (0.3, 1.2, 1.4))
    assert (spec.fov_deg, spec.near, spec.far, spec.parent) == (50.0, 0.01, 4.0, None)


def test_up_turns_a_camera_that_looks_down():
    spec = CameraSpec.look_at("above", (0.2, 0.0, 2.0), (0.2, 0.0, 0.8), up=(1.0, 0.0, 0.0))
    K, E = intrinsics(40.0, 256, 256), extrinsics(spec.T_world_cam())
    uv, _ = project([(0.3, 0.0, 0.8), (0.2, 0.1, 0.8)], K, E)
    assert uv[0, 1] < 128
    assert uv[0, 0] == pytest.approx(128)
    assert uv[1, 0] < 128  # with x up, y is to the left


@pytest.mark.parametrize("name", STATIC)
def test_the_tables_cameras_are_upright(name):
    """Looking where they look gives RLBench's own rotations again."""
    spec = CAMERAS[name]
    ahead, up = np.array(spec.rotation)[:, 2], np.array(spec.rotation)[:, 1]
    again = CameraSpec.look_at(name, spec.position, spec.position + 1.5 * ahead, up)
    np.testing.assert_allclose(again.rotation, spec.rotation, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "up", "message"),
    [
        ((0.0, 0.0, 2.0), (0.0, 0.0, 1.0), "position and target must be two points"),
        ((0.0, 0.0, 0.8), (0.0, 0.0, 1.0), r"up = \[0.0, 0.0, 1.0\] must not .* along the view"),
        ((1.0, 0.0, 0.8), (0.0, 0.0, 0.0), "must not be zero"),
        ((np.nan, 0.0, 0.8), (0.0, 0.0, 1.0), "position and target must be two points"),
    ],
)
def test_views_without_a_direction_are_refused(target, up, message):
    with pytest.raises(ValueError, match=f"camera 'bad'.*{message}"):
        CameraSpec.look_at("bad", (0.0, 0.0, 2.0), target, up)
