"""What is known of a waypoint, and what another look changes."""

import math

import numpy as np

from data_generation.RLBench.executing.poses import LiftedPose
from rlbench.acting import deviation

SURE, VAGUE = (np.diag([s / 50] * 3 + [s / 1000] * 3) ** 2 for s in (1.0, 4.0))


def lifted(x_mm, covariance, **other):
    T = np.eye(4)
    T[0, 3] = x_mm / 1000
    sd = math.nan if covariance is None else 1000 * math.sqrt(covariance[5, 5])
    return LiftedPose(T, sd, sd, covariance, **other)


def x_mm(pose):
    return 1000 * pose.T[0, 3]


def test_two_looks_that_agree_are_averaged():
    found = lifted(0.0, SURE).updated(lifted(2.0, SURE), is_new=True)
    assert 0.9 < x_mm(found) < 1.4  # a little nearer to what was seen last
    assert 0.65 < found.sd_mm < 0.8
    surer = lifted(0.0, SURE).updated(lifted(4.0, VAGUE), is_new=True)
    assert 0 < x_mm(surer) < 0.5
    assert surer.sd_mm < lifted(0.0, SURE).sd_mm * 1.1


def test_what_has_moved_is_where_it_is_seen():
    known, seen = lifted(0.0, SURE), lifted(30.0, VAGUE)
    assert known.updated(seen, is_new=True) is seen
    assert known.updated(seen, is_new=False) is seen


def test_of_looks_with_the_same_errors_the_surer_one_stays():
    known, seen = lifted(0.0, SURE), lifted(2.0, VAGUE)
    assert known.updated(seen, is_new=False) is known
    assert seen.updated(known, is_new=False) is known


def test_without_claims_the_last_look_counts():
    seen = lifted(1.0, None)
    assert lifted(0.0, SURE).updated(seen, is_new=True) is seen


def test_rotations_are_averaged_too():
    other = np.eye(4)
    angle = math.radians(2.0)
    other[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    known, seen = LiftedPose(np.eye(4), 1.0, 1.1, SURE), LiftedPose(other, 1.0, 1.1, SURE)
    found = known.updated(seen, is_new=True)
    assert 0.8 < deviation(found.T, np.eye(4))[1] < 1.2
    np.testing.assert_allclose(found.T[:3, :3] @ found.T[:3, :3].T, np.eye(3), atol=1e-12)


def test_a_claim_turns_with_the_hand():
    spread = np.diag([0.0, 0.0, 0.0, 1.0, 2.0, 3.0]) ** 2
    T = np.eye(4)
    T[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    moved = LiftedPose(np.eye(4), 3.0, 0.0, spread).moved_to(T)
    np.testing.assert_allclose(np.diag(moved.covariance)[3:], [4.0, 1.0, 9.0])
    np.testing.assert_array_equal(moved.T, T)
