"""Meshes made fit for one-sided drawing and for collision hulls."""

import numpy as np
import pytest

from pyrep_mujoco.ttm.mjcf import mesh_repair
from pyrep_mujoco.ttm.mjcf.collision import solids
from pyrep_mujoco.ttm.reading.parts import Color, Part, Primitive

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) * 0.05
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
CUBE_FACES = np.array([[q[0], q[i], q[i + 1]] for q in QUADS for i in (1, 2)])
SHIFT = np.array([0.3, 0, 0])
GREY = Color((0.6, 0.6, 0.6), (0, 0, 0), (0, 0, 0), 0, 1.0, "")


def part_of(vertices, faces, primitive=None, pose=None, is_convex=False):
    normals = np.zeros((len(faces), 3, 3))
    return Part(
        "part",
        vertices,
        np.asarray(faces, np.int32),
        normals,
        np.eye(4) if pose is None else pose,
        primitive,
        GREY,
        None,
        False,
        is_convex,
        False,
        0.5,
    )


def cup(radius=0.05, height=0.1, wall=0.005, sides=24):
    """A cup, closed surface: outer wall, rim, inner wall, both bottoms."""
    phi = np.linspace(0, 2 * np.pi, sides, endpoint=False)

    def ring(r, z):
        return np.stack([r * np.cos(phi), r * np.sin(phi), np.full(sides, z)], axis=1)

    rings = [ring(radius, 0), ring(radius, height), ring(radius - wall, height)]
    rings.append(ring(radius - wall, wall))
    vertices = np.concatenate(rings)
    faces = []
    for k in range(3):
        for i in range(sides):
            a, b = k * sides + i, k * sides + (i + 1) % sides
            faces += [[a, b, b + sides], [a, b + sides, a + sides]]
    faces += [[0, i + 1, i] for i in range(1, sides - 1)]
    last = 3 * sides
    faces += [[last, last + i, last + i + 1] for i in range(1, sides - 1)]
    return vertices, np.array(faces)


def volume_of(drawn, vertices, faces):
    chosen = faces[drawn.index]
    chosen[drawn.is_reversed] = chosen[drawn.is_reversed][:, ::-1]
    return mesh_repair.signed_volume(vertices, chosen)


def test_closed_pieces_are_turned_right_side_out():
    for faces in (CUBE_FACES, CUBE_FACES[:, ::-1]):
        drawn = mesh_repair.drawn_faces(CUBE, faces, is_culled=False)
        assert len(drawn.index) == len(faces)
        assert volume_of(drawn, CUBE, faces.copy()) == pytest.approx(1e-3)


def test_each_piece_is_turned_by_itself():
    vertices = np.concatenate([CUBE, CUBE + 1.0])
    faces = np.concatenate([CUBE_FACES, CUBE_FACES[:, ::-1] + 8])
    drawn = mesh_repair.drawn_faces(vertices, faces, is_culled=False)
    turned = np.zeros(len(faces), bool)
    turned[drawn.index] = drawn.is_reversed
    assert np.array_equal(turned[:12], ~turned[12:])


def test_pieces_with_a_border_get_both_sides():
    open_box = CUBE_FACES[2:]
    drawn = mesh_repair.drawn_faces(CUBE, open_box, is_culled=False)
    assert sorted(drawn.index) == sorted([*range(10), *range(10)])
    assert drawn.is_reversed.sum() == 10
    assert len(mesh_repair.drawn_faces(CUBE, open_box, is_culled=True).index) == 10


def test_faces_without_area_are_left_out():
    faces = np.concatenate([CUBE_FACES, [[0, 0, 1], [2, 2, 2]]])
    assert len(mesh_repair.drawn_faces(CUBE, faces, is_culled=False).index) == 12


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("cuboid", (0.2, 0.4, 0.6), ("box", (0.1, 0.2, 0.3))),
        ("spheroid", (0.2, 0.2, 0.2), ("sphere", (0.1,))),
        ("spheroid", (0.2, 0.4, 0.2), ("ellipsoid", (0.1, 0.2, 0.1))),
        ("cylinder", (0.2, 0.2, 0.6), ("cylinder", (0.1, 0.3))),
        ("plane", (0.2, 0.4, 0.0), ("box", (0.1, 0.2, 0.001))),
    ],
)
def test_pure_forms_stay_pure(kind, size, expected):
    pose = np.eye(4)
    pose[:3, 3] = [1, 2, 3]
    (solid,) = solids(part_of(CUBE, CUBE_FACES, Primitive(kind, np.array(size), 0.0), pose))
    assert (solid.kind, solid.size) == expected
    # The top of a sheet is the plane itself.
    assert solid.pose[2, 3] == pytest.approx(3 - (0.001 if kind == "plane" else 0))


def test_a_convex_mesh_is_one_hull_and_keeps_its_place():
    (solid,) = solids(part_of(CUBE + SHIFT, CUBE_FACES))
    assert solid.kind == "mesh"
    points = solid.vertices + solid.pose[:3, 3]
    assert np.allclose(np.sort(points, 0), np.sort(CUBE + SHIFT, 0))


def test_separate_pieces_become_separate_hulls():
    vertices = np.concatenate([CUBE, CUBE + SHIFT])
    found = solids(part_of(vertices, np.concatenate([CUBE_FACES, CUBE_FACES + 8])))
    assert len(found) == 2


@pytest.mark.parametrize("is_open", [False, True])
def test_what_is_hollow_stays_hollow(is_open):
    vertices, faces = cup()
    found = solids(part_of(vertices, faces[: 24 * 6] if is_open else faces))
    assert 3 <= len(found) <= 64
    probe = np.array([[0.0, 0.0, 0.05], [0.03, 0, 0.05], [0.0, -0.03, 0.08]])
    for solid in found:
        hull = mesh_repair.convex_hull(solid.vertices + solid.pose[:3, 3])
        outside = probe @ hull.equations[:, :3].T + hull.equations[:, 3]
        assert (outside.max(axis=1) > 0).all()
    # ... and its wall is there.
    wall = np.array([[0.0475 * np.cos(a), 0.0475 * np.sin(a), 0.05] for a in (0.1, 1.7, 3.9)])
    inside = np.zeros(3, bool)
    for solid in found:
        hull = mesh_repair.convex_hull(solid.vertices + solid.pose[:3, 3])
        inside |= (wall @ hull.equations[:, :3].T + hull.equations[:, 3]).max(axis=1) < 1e-3
    assert inside.all()
