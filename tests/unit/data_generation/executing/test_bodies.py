"""Poses follow from lifted points, from points that one camera sees, and from what lies alike."""

import numpy as np
import pytest
import torch

from data_generation.RLBench.executing.bodies import MODEL, Relation, Sight, find_pose
from pose_obj_3d.geometry.rigid_frames import fit_frames
from rlbench.acting import deviation
from rlbench.cameras import CAMERAS, extrinsics, intrinsics, project_views

SPECS = [CAMERAS[name] for name in ("left_shoulder", "right_shoulder", "overhead", "front")]
K = np.stack([intrinsics(spec.fov_deg, 256, 256) for spec in SPECS])
E = np.stack([extrinsics(spec.T_world_cam()) for spec in SPECS])
OWN, OTHER = (0, 1, 2), (3, 4, 5)
SIGMA_M, SIGMA_PX = 0.002, 0.5
FIXED = np.array([[0.0, -1, 0, 0.05], [1, 0, 0, 0.06], [0, 0, 1, 0.03], [0, 0, 0, 1]])
"""The waypoint that is asked for, in the frame of the other one."""


def turned(rng):
    q = rng.standard_normal(4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose(rng):
    T = np.eye(4)
    T[:3, :3] = turned(rng)
    T[:3, 3] = rng.uniform([0.1, -0.2, 0.9], [0.4, 0.2, 1.1])
    return T


def sight(T, lifted, seen, rng, noise=1.0):
    """See a waypoint at T and another one, at T @ inv(FIXED).

    Args:
        T: (4, 4).
        lifted: Points of the six that are lifted.
        seen: Pairs of a view and a point.
        rng: Of the noise.
        noise: Its scale; claims are those of scale 1.
    """
    places = [MODEL @ X[:3, :3].T + X[:3, 3] for X in (T, T @ np.linalg.inv(FIXED))]
    true = np.concatenate(places)
    uv = project_views(true[None], K, E)[0][:, 0] + noise * SIGMA_PX * rng.normal(size=(4, 6, 2))
    xyz, variance = np.full((6, 3), np.nan), np.full((4, 6), np.inf)
    xyz[lifted] = true[lifted] + noise * SIGMA_M * rng.normal(size=(len(lifted), 3))
    for view, point in seen:
        variance[view, point] = SIGMA_PX**2
    C = np.where(np.isfinite(xyz)[..., None], SIGMA_M**2 * np.eye(3), np.nan)
    return Sight(xyz, C, uv, variance, K, E)


ALIKE = [(OTHER, Relation("other", FIXED, 1.0, 0.0))]


def test_three_lifted_points_give_the_rigid_fit():
    rng = np.random.default_rng(0)
    looked = sight(pose(rng), [0, 1, 2], [], rng)
    found = find_pose(looked, OWN)
    fit = fit_frames(
        torch.from_numpy(looked.xyz[:3]),
        torch.full((2,), 0.08, dtype=torch.float64),
        torch.from_numpy(looked.covariance[:3]),
    )
    np.testing.assert_allclose(found.T[:3, :3], fit.rotation, atol=1e-6)
    np.testing.assert_allclose(found.T[:3, 3], fit.position, atol=1e-7)
    np.testing.assert_allclose(found.covariance, fit.covariance, rtol=1e-3, atol=1e-9)
    assert not found.is_inferred


@pytest.mark.parametrize(
    ("lifted", "seen", "others"),
    [
        ([0, 1], [(2, 2)], []),  # one point is seen by the overhead camera alone
        ([0, 1, 3, 4], [], ALIKE),  # no camera sees a y axis
        ([1, 4], [(2, 0), (2, 3)], ALIKE),
        ([3, 4, 5], [], ALIKE),  # nothing of the waypoint itself
    ],
    ids=["ray", "two_of_each", "points_and_rays", "other_alone"],
)
def test_what_is_known_besides_is_enough(lifted, seen, others):
    """Errors are as small as claimed: square distances have a mean near 6, for 6 numbers."""
    rng, distances = np.random.default_rng(1), []
    for _ in range(30):
        T = pose(rng)
        found = find_pose(sight(T, lifted, seen, rng), OWN, others)
        if found is None:  # a pose for which the ray does not tell two angles apart
            continue
        assert found.is_inferred
        turn = found.T[:3, :3] @ T[:3, :3].T
        axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        off = np.concatenate([axis / 2, found.T[:3, 3] - T[:3, 3]])
        distances.append(off @ np.linalg.solve(found.covariance, off))
    assert len(distances) >= 18
    assert 3 < np.mean(distances) < 9


@pytest.mark.parametrize(
    ("lifted", "seen", "others"),
    [([], [(0, 0), (2, 1), (2, 2)], []), ([0, 1], [], []), ([0], [(2, 1)], []), ([], [], ALIKE)],
    ids=["no_point", "an_axis", "a_point_and_a_ray", "nothing"],
)
def test_what_leaves_the_pose_open_gives_none(lifted, seen, others):
    rng = np.random.default_rng(2)
    assert find_pose(sight(pose(rng), lifted, seen, rng), OWN, others) is None


def test_both_waypoints_together_are_surer():
    rng = np.random.default_rng(3)
    T = pose(rng)
    looked = sight(T, [0, 1, 2, 3, 4, 5], [], rng)
    alone, both = find_pose(looked, OWN), find_pose(looked, OWN, ALIKE)
    assert both.sd_mm < alone.sd_mm
    assert deviation(both.T, T)[0] < 3 * both.sd_mm * np.sqrt(3)


def test_a_point_that_is_grossly_wrong_is_left_out():
    rng = np.random.default_rng(5)
    T = pose(rng)
    looked = sight(T, [0, 1, 2, 3, 4, 5], [], rng)
    exact = find_pose(looked, OWN, ALIKE)
    looked.xyz[1] += [0.05, 0.0, 0.0]
    found = find_pose(looked, OWN, ALIKE)
    assert deviation(found.T, T)[0] < 3 * exact.sd_mm * np.sqrt(3)
    assert deviation(find_pose(looked, OWN).T, T)[0] > 5


def test_a_waypoint_that_is_seen_stands_alone_where_the_other_has_moved():
    rng = np.random.default_rng(6)
    T = pose(rng)
    looked = sight(T, [0, 1, 2, 3, 4, 5], [], rng)
    looked.xyz[3:] += [0.0, 0.1, 0.0]
    np.testing.assert_allclose(find_pose(looked, OWN, ALIKE).T, find_pose(looked, OWN).T)


def test_points_that_disagree_make_a_pose_less_sure():
    """What is inferred from points ten times as wrong as they claim says so."""
    claims = []
    for noise in (1.0, 10.0):
        rng = np.random.default_rng(4)
        looked = sight(pose(rng), [0, 1, 3, 4], [], rng, noise)
        claims.append(find_pose(looked, OWN, ALIKE).sd_mm)
    assert claims[1] > 3 * claims[0]
