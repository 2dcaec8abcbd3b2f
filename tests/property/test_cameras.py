import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlbench.cameras import (
    CAMERAS,
    camera_from_mujoco,
    extrinsics,
    intrinsics,
    mujoco_camera,
    project,
    unproject_depth,
)

names = st.sampled_from(["left_shoulder", "right_shoulder", "overhead", "front", "wrist"])
seeds = st.integers(0, 2**32 - 1)


def random_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    T = np.eye(4)
    T[:3, :3] = q * np.sign(np.linalg.det(q))
    T[:3, 3] = rng.normal(size=3)
    return T


@given(names, seeds)
def test_unproject_of_project_is_the_point(name, seed):
    rng = np.random.default_rng(seed)
    T = CAMERAS[name].T_world_cam()
    width, height = rng.integers(2, 40, size=2)
    K, E = intrinsics(CAMERAS[name].fov_deg, width, height), extrinsics(T)
    depth = rng.uniform(0.1, 4.0, (height, width))
    xyz = unproject_depth(depth, K, E)
    uv, z = project(xyz, K, E)
    np.testing.assert_allclose(z, depth, rtol=1e-9)
    assert (np.floor(uv[..., 0]).astype(int) == np.arange(width)).all()


@given(names, seeds)
def test_moving_world_and_camera_together_changes_nothing(name, seed):
    move = random_pose(seed)
    xyz = np.random.default_rng(seed).uniform(-1, 1, (4, 3))
    T = CAMERAS[name].T_world_cam()
    K = intrinsics(40.0, 256, 256)
    uv, depth = project(xyz, K, extrinsics(T))
    uv_moved, depth_moved = project(xyz @ move[:3, :3].T + move[:3, 3], K, extrinsics(move @ T))
    in_front = depth > 0.05
    np.testing.assert_allclose(depth_moved, depth, atol=1e-9)
    np.testing.assert_allclose(uv_moved[in_front], uv[in_front], atol=1e-5)


@given(seeds)
def test_any_pose_survives_the_mujoco_form(seed):
    T = random_pose(seed)
    position, (w, x, y, z) = mujoco_camera(T)
    R = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    assert w >= 0
    np.testing.assert_allclose(camera_from_mujoco(position, R), T, atol=1e-9)


@given(seeds)
def test_extrinsics_undo_the_pose(seed):
    T = random_pose(seed)
    np.testing.assert_allclose(extrinsics(T) @ T, np.eye(4)[:3], atol=1e-12)
