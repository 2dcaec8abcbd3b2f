"""Paths of poses: fractions of the way, and poses between."""

import numpy as np
import pytest

from pyrep_mujoco.motion.pose_paths import path_fractions, pose_along
from pyrep_mujoco.transforms import euler_to_matrix, transform

START, MIDDLE, END = (transform(np.array([x, 0.0, 0.0]), np.eye(3)) for x in (0.0, 0.1, 0.4))


def test_fractions_are_those_of_the_length():
    assert path_fractions([START, MIDDLE, END]) == pytest.approx([0.0, 0.25, 1.0])


def test_a_turn_on_the_spot_counts_as_a_tenth_of_a_metre_for_a_radian():
    turned = transform(np.zeros(3), euler_to_matrix(np.array([0.0, 0.0, 1.0])))
    poses = [START, turned, transform(np.array([0.1, 0.0, 0.0]), turned[:3, :3])]
    assert path_fractions(poses) == pytest.approx([0.0, 0.5, 1.0])


def test_poses_that_are_all_the_same_are_spread_evenly():
    assert path_fractions([START] * 3) == pytest.approx([0.0, 0.5, 1.0])


@pytest.mark.parametrize(("fraction", "x"), [(-1, 0), (0, 0), (0.125, 0.05), (0.5, 0.2), (2, 0.4)])
def test_a_pose_at_a_fraction(fraction, x):
    assert pose_along([START, MIDDLE, END], fraction)[0, 3] == pytest.approx(x)


def test_a_path_of_one_pose():
    assert np.array_equal(pose_along([MIDDLE], 0.7), MIDDLE)
