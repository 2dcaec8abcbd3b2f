"""Holes of plates stay open when a plate becomes convex pieces."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from pyrep_mujoco.ttm.mjcf.plates import prisms


def ring(corners, radius):
    """Points (N, 2) on a regular polygon."""
    angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def plate(inner, outer, thick=0.01):
    """A plate (vertices, faces) between two rings of as many points."""
    n = len(inner)
    levels = [np.insert(points, 2, z, axis=1) for z in (0, thick) for points in (inner, outer)]
    faces = []
    for i in range(n):
        j = (i + 1) % n
        for a, b in ((0, n), (n, 3 * n), (3 * n, 2 * n), (2 * n, 0)):
            faces += [[a + i, a + j, b + i], [a + j, b + j, b + i]]
    return np.concatenate(levels), np.array(faces)


def pieces(found):
    return [ConvexHull(corners[:, :2]) for corners in found]


@pytest.mark.parametrize("corners", [4, 24])
def test_a_hole_stays_open_and_the_rest_is_filled(corners):
    inner, outer = ring(corners, 0.03), ring(corners, 0.1)
    found = prisms(*plate(inner, outer))
    area = sum(piece.volume for piece in pieces(found))
    solid = ConvexHull(outer).volume - ConvexHull(inner).volume
    assert abs(area - solid) < 0.01 * solid
    for corners_3d in found:
        np.testing.assert_allclose(np.unique(corners_3d[:, 2].round(6)), [0, 0.01])
    in_hole = ring(corners, 0.025)
    for piece in pieces(found):
        inside = (piece.equations[:, :2] @ in_hole.T + piece.equations[:, 2:] < -1e-9).all(0)
        assert not inside.any()


def test_a_turned_plate_is_one_too():
    vertices, faces = plate(ring(6, 0.03), ring(6, 0.1))
    turn = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]])
    straight, turned = prisms(vertices, faces), prisms(vertices @ turn.T, faces)
    assert len(turned) == len(straight) > 1
    low, high = np.ptp(np.concatenate(turned) @ turn, axis=0)[[2, 0]]
    assert abs(low - 0.01) < 1e-6
    assert high > 0.15


@pytest.mark.parametrize(
    "mesh",
    [
        plate(ring(6, 0.03), ring(6, 0.1), thick=0.1),  # a tube
        plate(ring(6, 0.001), ring(6, 0.1)),  # a hole that is nothing
        (np.eye(4)[:, :3], np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])),
        (plate(ring(6, 0.03), ring(6, 0.1))[0], plate(ring(6, 0.03), ring(6, 0.1))[1][:-3]),
    ],
)
def test_other_meshes_are_left_alone(mesh):
    assert prisms(*mesh) == []
