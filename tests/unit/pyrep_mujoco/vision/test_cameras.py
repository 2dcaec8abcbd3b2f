import pickle

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.vision.cameras import (
    CAMERAS,
    CameraSpec,
    camera_from_mujoco,
    extrinsics,
    intrinsics,
    mujoco_camera,
    project,
    project_views,
    pyrep_extrinsics,
    pyrep_intrinsics,
    register_camera,
    unproject_depth,
)
from rlbench.backend.exceptions import DemoError, RLBenchError

STATIC = ("left_shoulder", "right_shoulder", "overhead", "front")
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def test_table_has_the_five_cameras_in_order():
    assert tuple(CAMERAS)[:5] == (*STATIC, "wrist")
    assert CAMERAS["wrist"].parent == "Panda_gripper"


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


def test_register_camera_adds_and_refuses_another_of_the_name(monkeypatch):
    monkeypatch.setattr("pyrep_mujoco.vision.cameras.CAMERAS", dict(CAMERAS))
    register_camera(CameraSpec("mine", (0.0, 0.0, 2.0), EYE))
    register_camera(CameraSpec("mine", (0.0, 0.0, 2.0), EYE))
    with pytest.raises(ValueError, match="'mine' exists already"):
        register_camera(CameraSpec("mine", (0.0, 0.0, 3.0), EYE))


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


def test_demo_error_keeps_its_cause_across_processes():
    error = pickle.loads(pickle.dumps(DemoError("no way to waypoint2", "no_path")))  # noqa: S301
    assert (str(error), error.cause) == ("no way to waypoint2", "no_path")
    assert isinstance(error, RLBenchError)
