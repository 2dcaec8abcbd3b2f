"""Fine points of paths, and poses along them."""

import dataclasses

import numpy as np
import pytest

from pyrep_mujoco.transforms import pose_to_transform
from pyrep_mujoco.ttm.mjcf.paths import fine_points, lengths, pose_at
from pyrep_mujoco.ttm.reading.reader import decode
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf

HALF = np.sqrt(0.5)
ABOUT_X, ABOUT_Z = (HALF, HALF, 0, 0), (HALF, 0, 0, HALF)


def path(*points, **more):
    full = [(*point, *(0.5, 0.5, 1)[len(point) - 2 :]) for point in points]
    return decode(tf.ttm(tf.path("way", 1, points=full, **more))).objects[0]


def test_attributes():
    way = path(((0, 0, 0), tf.NO_TURN), attributes=163, factor=0.25, method=3)
    assert (way.attributes, way.is_closed, way.length_method) == (163, False, 3)
    assert way.angle_factor == 0.25
    assert path(attributes=4).is_closed
    (point,) = path(((1, 2, 3), tf.NO_TURN, 0.25, 0.75, 6)).points
    assert (point.before, point.after, point.count) == (0.25, 0.75, 6)
    np.testing.assert_allclose(point.pose[:3, 3], [1, 2, 3])


def test_single_points_stay_as_they_are():
    way = path(((0, 0, 0), tf.NO_TURN), ((1, 0, 0), ABOUT_Z), ((1, 1, 0), ABOUT_X))
    rows = fine_points(way)
    np.testing.assert_allclose(rows[:, :3], [[0, 0, 0], [1, 0, 0], [1, 1, 0]])
    np.testing.assert_allclose(rows[1, 3:], [0, 0, HALF, HALF], atol=1e-6)


def test_curve():
    way = path(
        ((0, 0, 0), tf.NO_TURN),
        ((2, 0, 0), tf.NO_TURN, 0.5, 0.25, 5),
        ((2, 2, 0), tf.NO_TURN),
    )
    rows = fine_points(way)
    assert len(rows) == 7
    start, middle, end = np.array([[1.5, 0, 0], [2, 0, 0], [2, 0.25, 0]])
    t = np.linspace(0, 1, 5)[:, None]
    expected = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    np.testing.assert_allclose(rows[1:-1, :3], expected)
    np.testing.assert_allclose(rows[[0, -1], :3], [[0, 0, 0], [2, 2, 0]])


@pytest.mark.parametrize(
    ("last", "quat", "count"),
    [
        ((2, 0, 0), tf.NO_TURN, 3),  # in line
        ((0.5, 0, 0), tf.NO_TURN, 7),  # back again
        ((2, 0, 0), ABOUT_X, 3),  # one turn only
    ],
)
def test_points_in_line_are_not_rounded(last, quat, count):
    way = path(((0, 0, 0), tf.NO_TURN), ((1, 0, 0), tf.NO_TURN, 0.5, 0.5, 5), (last, quat))
    assert len(fine_points(way)) == count


@pytest.mark.parametrize(("last", "count"), [((0, 0, 1, 0), 3), (None, 7)])
def test_turns_about_other_axes_are_rounded(last, count):
    """From no turn to one about z, then on about z, or about another axis."""
    after = (0, 0, 0, 1) if count == 3 else (0.5, 0.5, 0.5, 0.5)
    way = path(((0, 0, 0), tf.NO_TURN), ((1, 0, 0), ABOUT_Z, 0.5, 0.5, 5), ((2, 0, 0), after))
    assert len(fine_points(way)) == count


def test_closed_paths_round_every_corner():
    square = [((0, 0, 0), tf.NO_TURN), ((1, 0, 0), tf.NO_TURN), ((1, 1, 0), tf.NO_TURN)]
    rows = fine_points(path(*square, attributes=4))
    np.testing.assert_allclose(rows[:, :3], [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]])
    rounded = [(*point, 0.5, 0.5, 4) for point in square]
    rows = fine_points(path(*rounded, attributes=4))
    assert len(rows) == 13
    np.testing.assert_allclose(rows[0], rows[-1])
    assert len(fine_points(path(*square[:2], attributes=4))) == 3


def test_short_paths():
    assert fine_points(path()).shape == (0, 7)
    assert len(fine_points(path(((0, 0, 0), tf.NO_TURN)))) == 1
    np.testing.assert_allclose(pose_at(path(((1, 2, 3), ABOUT_X)), 0.5)[:3, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="'way' has no points"):
        pose_at(path(), 0.5)


def test_pose_along_a_path():
    way = path(((0, 0, 0), tf.NO_TURN), ((1, 0, 0), ABOUT_Z), ((1, 3, 0), ABOUT_Z))
    np.testing.assert_allclose(pose_at(way, 0)[:3, 3], [0, 0, 0])
    np.testing.assert_allclose(pose_at(way, 0.125)[:3, 3], [0.5, 0, 0])
    eighth = np.cos(np.pi / 4)
    np.testing.assert_allclose(pose_at(way, 0.125)[0, :2], [eighth, -eighth], atol=1e-6)
    np.testing.assert_allclose(pose_at(way, 0.25)[:3, 3], [1, 0, 0])
    np.testing.assert_allclose(pose_at(way, 0.5)[:3, 3], [1, 1, 0])
    for beyond in (1.0, 7.0):
        expected = pose_to_transform(fine_points(way)[-1])
        np.testing.assert_allclose(pose_at(way, beyond), expected, atol=1e-6)


def test_turns_take_the_shorter_way():
    way = path(((0, 0, 0), tf.NO_TURN), ((1, 0, 0), tuple(-np.array(ABOUT_Z))))
    assert pose_at(way, 0.5)[0, 0] == pytest.approx(np.cos(np.pi / 4))


def test_turning_on_the_spot_counts_by_its_angle():
    way = path(((0, 0, 0), tf.NO_TURN), ((0, 0, 0), ABOUT_Z), ((1, 0, 0), ABOUT_Z), factor=2.0)
    along = lengths(fine_points(way), 2.0)
    np.testing.assert_allclose(along, [0, np.pi, np.pi + 1], atol=1e-6)
    np.testing.assert_allclose(pose_at(way, 0.5 * np.pi / (np.pi + 1))[:3, 3], 0)
    way = dataclasses.replace(way, length_method=0)
    np.testing.assert_allclose(pose_at(way, 0.5)[:3, 3], [0.5, 0, 0])


@pytest.mark.parametrize(
    ("method", "expected"),
    [(0, 3), (1, 4), (2, 4), (3, 7), (4, 5), (5, 3), (6, 4)],
)
def test_length_methods(method, expected):
    way = path(((0, 0, 0), tf.NO_TURN), ((3, 0, 0), ABOUT_X))
    along = lengths(fine_points(way), 4 / (np.pi / 2), method)
    assert along[-1] == pytest.approx(expected, abs=1e-5)


def test_unknown_length_method():
    with pytest.raises(ValueError, match="length method 7 is unknown; 0 to 6"):
        lengths(np.zeros((2, 7)), 1.0, 7)
