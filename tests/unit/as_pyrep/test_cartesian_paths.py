"""Cartesian paths round their corners, and turn their points by themselves."""

from itertools import pairwise

import numpy as np
import pytest

from pyrep_mujoco import transforms as tf

SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]


@pytest.fixture(autouse=True)
def scene(launch):
    return launch("")


def path_through(places, turn=(0.0, 0.0, 0.0), **settings):
    from pyrep.objects.cartesian_path import CartesianPath

    path = CartesianPath.create(**settings)
    path.insert_control_points([[*place, *turn] for place in places])
    return path


def at(path, share):
    position, angles = path.get_pose_on_path(share)
    return np.array(position), tf.euler_to_matrix(np.array(angles))


def test_points_look_along_the_path_and_away_from_its_curves():
    path = path_through(SQUARE)
    for share in np.linspace(0.02, 0.98, 9):
        (before, _), (after, _) = at(path, share - 0.01), at(path, share + 0.01)
        here, R = at(path, share)
        ahead = (after - before) / np.linalg.norm(after - before)
        assert R[:, 2] @ ahead > 0.999
        assert R[:, 1] @ (here - [0.5, 0.5, 0]) > 0
    assert np.allclose(at(path, 0.0)[0], SQUARE[0])
    assert np.allclose(at(path, 1.0)[0], SQUARE[-1])


def test_corners_are_rounded():
    path = path_through(SQUARE)
    nearest = min(np.linalg.norm(at(path, s)[0] - SQUARE[1]) for s in np.linspace(0.2, 0.4, 30))
    # The middle of a quadratic curve between the middles of both sides.
    assert nearest == pytest.approx(0.25 * np.sqrt(2) / 2, abs=0.005)


def test_points_keep_what_they_were_given_where_that_is_asked_for():
    path = path_through(SQUARE, (0.1, 0.2, 0.3), automatic_orientation=False)
    assert np.allclose(at(path, 0.3)[1], tf.euler_to_matrix(np.array([0.1, 0.2, 0.3])), atol=1e-6)


def test_x_stays_up_and_flat_paths_lie_flat():
    steep = [[0, 0, 0], [1, 0, 0.5], [1, 1, 1], [0, 1, 0]]
    for share in (0.1, 0.5, 0.9):
        _, R = at(path_through(steep, keep_x_up=True), share)
        assert R[2, 0] == pytest.approx(np.sqrt(1 - R[2, 2] ** 2))
        assert at(path_through(steep, flat_path=True), share)[0][2] == pytest.approx(0.0)


def test_where_a_curve_turns_over_y_goes_by_the_side():
    path = path_through([[0, 1, 0], [0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [3, -1, 0]])
    turned = [at(path, share)[1] for share in np.linspace(0, 1, 40)]
    assert min(a[:, 1] @ b[:, 1] for a, b in pairwise(turned)) > 0.9
    assert abs(turned[20][:, 1] @ [0, 0, 1]) > 0.9


def test_later_points_come_first_as_in_pyrep():
    path = path_through([[0, 0, 0], [1, 0, 0]])
    path.insert_control_points([[-2, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0]])
    assert np.allclose(at(path, 0.0)[0], [-2, 0, 0])
    assert np.allclose(at(path, 0.5)[0], [-0.5, 0, 0])


@pytest.mark.parametrize("places", [[[0.0, 0, 1]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 2]]])
def test_short_paths_have_sound_poses(places):
    position, R = at(path_through(places), 1.0)
    assert np.allclose(position, places[-1])
    assert np.allclose(R @ R.T, np.eye(3))


def test_a_closed_path_comes_back():
    path = path_through(SQUARE, closed_path=True)
    for one, other in zip(at(path, 0.0), at(path, 1.0), strict=True):
        assert np.allclose(one, other)
