"""Parts of shapes: of primitives, of triangles, and of a model's geoms."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import COLLIDABLE, DETECTABLE, MEASURABLE, RENDERABLE
from pyrep_mujoco.ttm.reading.parts import Color, Part, Primitive, TextureUse

ALL_SPECIAL = COLLIDABLE | MEASURABLE | DETECTABLE | RENDERABLE
Triangles = npt.NDArray[np.int32]
SIDES = 32
"""Of what is round in a mesh."""
SMOOTH = float(np.deg2rad(20.0))
GREY = Color((0.85, 0.85, 1.0), (0.25, 0.25, 0.25), (0.0, 0.0, 0.0), 48, 1.0, "")
_BOX = np.array(
    [
        *([0, 2, 3], [0, 3, 1], [4, 5, 7], [4, 7, 6], [0, 1, 5], [0, 5, 4]),
        *([2, 6, 7], [2, 7, 3], [0, 4, 6], [0, 6, 2], [1, 3, 7], [1, 7, 5]),
    ],
    np.int32,
)
_GEOMS = {
    int(mujoco.mjtGeom.mjGEOM_BOX): "cuboid",
    int(mujoco.mjtGeom.mjGEOM_SPHERE): "spheroid",
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): "spheroid",
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): "cylinder",
    int(mujoco.mjtGeom.mjGEOM_PLANE): "plane",
}


def primitive_part(
    kind: str, size: Sequence[float], color: Color = GREY, pose: Floats | None = None
) -> Part:
    """Return the part of a pure form.

    Args:
        kind: cuboid, spheroid, cylinder, cone or plane.
        size: (3,) full sizes [m].
        color: of its surface.
        pose: (4, 4) its frame in the shape's.

    Raises:
        CallError: the size is not three positive numbers.
    """
    sides = np.asarray(size, float)
    if sides.shape != (3,) or not (np.isfinite(sides) & (sides > 0)).all():
        raise CallError(f"the size of a {kind} must be three positive lengths [m], found {size}")
    vertices, faces = _MESHES[kind](sides / 2)
    form = None if kind == "cone" else Primitive(kind, sides, 0.0)
    return replace(mesh_part(vertices, faces, color, primitive=form, pose=pose), is_convex=True)


def mesh_part(
    vertices: Floats,
    faces: Triangles,
    color: Color = GREY,
    *,
    primitive: Primitive | None = None,
    pose: Floats | None = None,
    is_culled: bool = False,
    shading_angle: float = SMOOTH,
    texture: TextureUse | None = None,
) -> Part:
    """Return the part of a mesh.

    Args:
        vertices: (V, 3) [m], in the frame of `pose`.
        faces: (F, 3) vertex numbers.
        color: of the surface.
        primitive: the pure form that the mesh draws.
        pose: (4, 4) in the shape's frame.
        is_culled: it is seen from the outside only.
        shading_angle: edges sharper than this are drawn sharp [rad].
        texture: how it is textured.
    """
    T = np.eye(4) if pose is None else pose
    points = tf.transform_points(T, np.asarray(vertices, float).reshape(-1, 3))
    triangles = np.asarray(faces, np.int32).reshape(-1, 3)
    return Part(
        name="",
        vertices=points,
        faces=triangles,
        normals=flat_normals(points, triangles),
        pose=T,
        primitive=primitive,
        color=color,
        texture=texture,
        is_culled=is_culled,
        is_convex=primitive is not None,
        is_inverted=False,
        shading_angle=shading_angle,
    )


def flat_normals(vertices: Floats, faces: Triangles) -> Floats:
    """Return (F, 3, 3) unit normals per corner: those of the triangles."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    out: Floats = np.repeat(normal[:, None], 3, axis=1)
    return out


# ---- meshes of pure forms, by (3,) half sizes ---------------------------------------------------


def _cuboid(half: Floats) -> tuple[Floats, Triangles]:
    bits = (np.arange(8)[:, None] >> np.arange(3)) & 1
    return (2.0 * bits - 1.0) * half, _BOX


def _plane(half: Floats) -> tuple[Floats, Triangles]:
    corners = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    return corners * half, np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def _spheroid(half: Floats) -> tuple[Floats, Triangles]:
    rings = SIDES // 2
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    turn = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rows = [
        np.column_stack([around * np.sin(angle), np.full(SIDES, np.cos(angle))]) for angle in polar
    ]
    points = np.vstack([*rows, [[0, 0, 1], [0, 0, -1]]])
    top, bottom = len(points) - 2, len(points) - 1
    i = np.arange(SIDES)
    j = np.roll(i, -1)
    faces = [np.stack([np.full_like(i, top), i, j], axis=1)]
    for row in range(rings - 2):
        a, b = i + row * SIDES, j + row * SIDES
        faces += [np.stack([a, a + SIDES, b], 1), np.stack([b, a + SIDES, b + SIDES], 1)]
    last = (rings - 2) * SIDES
    faces.append(np.stack([np.full_like(i, bottom), j + last, i + last], axis=1))
    return points * half, np.vstack(faces).astype(np.int32)


def _tapered(half: Floats, top: float) -> tuple[Floats, Triangles]:
    """Return a cylinder (top 1) or a cone (top 0)."""
    turn = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    lower = np.column_stack([around, np.full(SIDES, -1.0)])
    i = np.arange(SIDES)
    j = np.roll(i, -1)
    ends = [[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]
    if top == 0.0:
        bottom, tip = SIDES, SIDES + 1
        faces = [np.stack([i, j, np.full_like(i, tip)], 1)]
        faces.append(np.stack([j, i, np.full_like(i, bottom)], 1))
        return np.vstack([lower, ends]) * half, np.vstack(faces).astype(np.int32)
    upper = np.column_stack([around * top, np.full(SIDES, 1.0)])
    bottom, tip = 2 * SIDES, 2 * SIDES + 1
    faces = [
        np.stack([i, j, j + SIDES], 1),
        np.stack([i, j + SIDES, i + SIDES], 1),
        np.stack([j, i, np.full_like(i, bottom)], 1),
        np.stack([i + SIDES, j + SIDES, np.full_like(i, tip)], 1),
    ]
    return np.vstack([lower, upper, ends]) * half, np.vstack(faces).astype(np.int32)


_MESHES: dict[str, Callable[[Floats], tuple[Floats, Triangles]]] = {
    "cuboid": _cuboid,
    "plane": _plane,
    "spheroid": _spheroid,
    "cylinder": lambda half: _tapered(half, 1.0),
    "cone": lambda half: _tapered(half, 0.0),
}


# ---- parts of a model's geoms -------------------------------------------------------------------


def part_of_geom(model: mujoco.MjModel, geom: int) -> Part:
    """Return the part that a geom is, in its body's frame."""
    pose = tf.transform(model.geom_pos[geom], tf.quat_wxyz_to_matrix(model.geom_quat[geom]))
    color = _color(model, geom)
    kind, half = int(model.geom_type[geom]), model.geom_size[geom].copy()
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        return _part_of_mesh(model, geom, pose, color)
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        half[:] = half[0]
    elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        half[:] = [half[0], half[0], half[1]]
    elif kind == mujoco.mjtGeom.mjGEOM_PLANE:
        half[:] = [half[0] or 50.0, half[1] or 50.0, 1.0]
    elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        vertices, faces = _spheroid(np.full(3, half[0]))
        vertices[:, 2] += np.where(vertices[:, 2] >= 0, half[1], -half[1])
        return replace(mesh_part(vertices, faces, color, pose=pose), is_convex=True)
    elif kind not in _GEOMS:
        raise CallError(f"geom {model.geom(geom).name!r}: height fields and such are not read")
    return primitive_part(_GEOMS[kind], 2 * half, color, pose)


def _part_of_mesh(model: mujoco.MjModel, geom: int, pose: Floats, color: Color) -> Part:
    mesh = int(model.geom_dataid[geom])
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = model.mesh_vert[first : first + count].astype(float)
    start, number = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    faces = model.mesh_face[start : start + number]
    material = int(model.geom_matid[geom])
    texture = None
    image = (
        -1 if material < 0 else int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
    )
    if image >= 0 and model.mesh_texcoordnum[mesh] > 0:
        at = int(model.mesh_texcoordadr[mesh])
        points = model.mesh_texcoord[at : at + int(model.mesh_texcoordnum[mesh])].astype(float)
        uv = points[model.mesh_facetexcoord[start : start + number]]
        uv[..., 1] = 1.0 - uv[..., 1]
        texture = TextureUse(image, None, uv, True, True, True, "modulate")
    return mesh_part(vertices, faces, color, pose=pose, texture=texture)


def _color(model: mujoco.MjModel, geom: int) -> Color:
    material = int(model.geom_matid[geom])
    rgba = model.geom_rgba[geom]
    specular, shininess = 0.25, 48
    if material >= 0:
        if np.allclose(rgba, [0.5, 0.5, 0.5, 1.0]):
            rgba = model.mat_rgba[material]
        specular = float(model.mat_specular[material])
        shininess = int(model.mat_shininess[material] * 128)
    red, green, blue, opacity = (float(v) for v in rgba)
    return Color((red, green, blue), (specular,) * 3, (0.0, 0.0, 0.0), shininess, opacity, "")
