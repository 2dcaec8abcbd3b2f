"""Sheets and boxes as a scene file would hold them, coloured or with a picture."""

from dataclasses import dataclass

import numpy as np

from pyrep_mujoco.transforms import Floats, box_corners, transform, transform_points
from pyrep_mujoco.ttm.reading.parts import Color, Part, Primitive, TextureUse

_SHEET = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) / 2
_SHEET_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


@dataclass(frozen=True)
class Look:
    """What a surface looks like.

    Attributes:
        rgb: colour; it multiplies a picture.
        picture: id of the picture, None for none.
        repeats: how often the picture stands side by side along x, and along y.
    """

    rgb: tuple[float, float, float]
    picture: int | None = None
    repeats: tuple[float, float] = (1.0, 1.0)


def sheet(look: Look, x: float, y: float, height: float = 0.0) -> Part:
    """Return a sheet of x by y [m] that faces +z, at a height over its shape's origin [m]."""
    pose = transform(np.array([0, 0, height]), np.eye(3))
    vertices = transform_points(pose, _SHEET * [x, y, 1])
    uv = (_SHEET[_SHEET_FACES][..., :2] + 0.5) * look.repeats
    return _part("plane", np.array([x, y, 0.0]), vertices, _SHEET_FACES, pose, look, uv)


def box(look: Look, size: tuple[float, float, float], middle: tuple[float, float, float]) -> Part:
    """Return a box of full `size` round `middle` [m], in one colour."""
    half = np.array(size) / 2
    corners = box_corners(np.stack([-half, half], axis=1).reshape(6))
    pose = transform(np.array(middle, dtype=float), np.eye(3))
    faces = _outward(corners)
    uv = np.zeros((len(faces), 3, 2))
    vertices = transform_points(pose, corners)
    return _part("cuboid", 2 * half, vertices, faces, pose, look, uv)


def _outward(corners: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return the (12, 3) triangles of a box round the origin, counter-clockwise from outside."""
    faces = []
    for axis in range(3):
        for side in (-1, 1):
            ring = np.flatnonzero(np.sign(corners[:, axis]) == side)
            across = np.delete(corners[ring], axis, axis=1)
            ring = ring[np.argsort(np.arctan2(across[:, 1], across[:, 0]))]
            a, b, c = corners[ring[:3]]
            ring = ring if np.cross(b - a, c - b)[axis] * side > 0 else ring[::-1]
            faces += [ring[[0, 1, 2]], ring[[0, 2, 3]]]
    return np.array(faces, np.int32)


def _part(
    kind: str,
    size: Floats,
    vertices: Floats,
    faces: np.ndarray[tuple[int, ...], np.dtype[np.int32]],
    pose: Floats,
    look: Look,
    uv: Floats,
) -> Part:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    use = None
    if look.picture is not None:
        use = TextureUse(look.picture, None, uv, True, True, True, "modulate")
    return Part(
        name="",
        vertices=vertices,
        faces=faces,
        normals=np.repeat(normals[:, None], 3, axis=1),
        pose=pose,
        primitive=Primitive(kind, size, 0.0),
        color=Color(look.rgb, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 48, 1.0, ""),
        texture=use,
        is_culled=False,
        is_convex=True,
        is_inverted=False,
        shading_angle=np.deg2rad(20),
    )
