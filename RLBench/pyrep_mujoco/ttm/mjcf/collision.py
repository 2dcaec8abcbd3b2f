"""Solid geometry of a shape: pure forms as they are, convex meshes as hulls, others in pieces.

A mesh that is not convex falls apart into its connected pieces; a piece that is not convex is
covered by flat-ish patches, each thickened to the inside and wrapped by its hull, so that what is
hollow stays hollow.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.mesh_repair import (
    convex_hull,
    face_components,
    hull_depth,
    is_closed,
    signed_volume,
    sound_faces,
    weld,
)
from pyrep_mujoco.ttm.mjcf.plates import prisms
from pyrep_mujoco.ttm.reading.parts import Part

Ints = npt.NDArray[np.int64]
CONVEX_TOLERANCE = 1.5e-3
"""Surfaces nowhere deeper below their hull [m] count as convex."""
SHEET = 1e-3
"""Half the thickness given to what has none [m]."""
WALL = 3e-3
"""Thickness given to patches of a closed surface [m]."""
PATCH_COSINE = np.cos(np.deg2rad(25.0))
MAX_PATCHES = 64


@dataclass(frozen=True)
class Solid:
    """One convex piece.

    Attributes:
        kind: box, sphere, ellipsoid, cylinder or mesh.
        pose: (4, 4) in the shape's frame.
        size: half sizes as MuJoCo wants them; empty for a mesh.
        vertices: (V, 3) of a mesh, in the frame of `pose`; None for pure forms.
    """

    kind: str
    pose: Floats
    size: tuple[float, ...]
    vertices: Floats | None = None


def solids(part: Part, open_holes: bool = False) -> list[Solid]:
    """Return the convex pieces of a part.

    Args:
        part: Of a shape.
        open_holes: Leave holes of plates open, see `plates`. Without it a patch's hull covers them.
    """
    pure = _pure_form(part)
    if pure is not None:
        return [pure]
    faces = part.faces.astype(np.int64)
    faces = faces[sound_faces(part.vertices, faces)]
    if len(faces) == 0:
        return []
    whole = _hull_if_convex(part.vertices, faces, part.is_convex)
    if whole is not None:
        return [whole]
    if open_holes:
        plate = [piece for corners in prisms(part.vertices, faces) if (piece := _mesh(corners))]
        if plate:
            return plate
    welded = weld(part.vertices)[faces]
    component = face_components(welded)
    found: list[Solid] = []
    for number in range(component.max() + 1):
        members = np.flatnonzero(component == number)
        found += _piece(part.vertices, faces[members], welded[members])
    return found


def _pure_form(part: Part) -> Solid | None:
    form = part.primitive
    if form is None or form.hollow > 0:
        return None
    x, y, z = (float(v) / 2 for v in form.size)
    kind, pose = None, part.pose
    size: tuple[float, ...] = (x, y, z)
    if form.kind == "cuboid":
        kind = "box"
    elif form.kind == "spheroid":
        equal = max(x, y, z) - min(x, y, z) < 1e-6
        kind, size = ("sphere", (x,)) if equal else ("ellipsoid", (x, y, z))
    elif form.kind == "cylinder" and abs(x - y) < 1e-6:
        kind, size = "cylinder", (x, z)
    elif form.kind in ("plane", "disc"):
        # The drawn face stays the top.
        down = np.eye(4)
        down[2, 3] = -SHEET
        kind, pose = "box", part.pose @ down
        size = (x, y if form.kind == "plane" else x, SHEET)
    if kind is None or min(size) <= 0:
        return None
    return Solid(kind, pose, size)


def _mesh(points: Floats) -> Solid | None:
    hull = convex_hull(points)
    if hull is None:
        return None
    vertices = points[hull.vertices]
    centre = np.eye(4)
    centre[:3, 3] = vertices.mean(0)
    return Solid("mesh", centre, (), vertices - centre[:3, 3])


def _hull_if_convex(vertices: Floats, faces: Ints, is_convex: bool) -> Solid | None:
    points = vertices[np.unique(faces)]
    hull = convex_hull(points)
    if hull is None:
        return None
    if not is_convex:
        surface = np.concatenate([points, vertices[faces].mean(axis=1)])
        if hull_depth(surface, hull) > CONVEX_TOLERANCE:
            return None
    return _mesh(points)


def _face_normals(vertices: Floats, faces: Ints) -> Floats:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    unit: Floats = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return unit


def _piece(vertices: Floats, faces: Ints, welded: Ints) -> list[Solid]:
    """Return convex pieces of one connected surface."""
    whole = _hull_if_convex(vertices, faces, False)
    if whole is not None:
        return [whole]
    normals = _face_normals(vertices, faces)
    inward, outward = SHEET, SHEET
    if is_closed(welded):
        inside_out = signed_volume(vertices, faces) < 0
        inward, outward = (0.0, WALL) if inside_out else (WALL, 0.0)
    out = []
    for patch in _patches(vertices, faces, welded, normals):
        points = vertices[np.unique(faces[patch])]
        normal = normals[patch].mean(0)
        normal /= np.linalg.norm(normal) or 1.0
        solid = _mesh(np.concatenate([points - inward * normal, points + outward * normal]))
        if solid is not None:
            out.append(solid)
    return out


def _patches(vertices: Floats, faces: Ints, welded: Ints, normals: Floats) -> list[Ints]:
    """Group neighbouring faces whose normals stay near the first one's, largest face first."""
    neighbours = _neighbours(welded)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    taken = np.zeros(len(faces), bool)
    out: list[Ints] = []
    for seed in np.argsort(-area, kind="stable"):
        if taken[seed]:
            continue
        if len(out) == MAX_PATCHES:
            break
        taken[seed] = True
        group, stack = [int(seed)], [int(seed)]
        while stack:
            for face in neighbours[stack.pop()]:
                if not taken[face] and normals[face] @ normals[seed] > PATCH_COSINE:
                    taken[face] = True
                    group.append(face)
                    stack.append(face)
        out.append(np.array(group))
    return out


def _neighbours(welded: Ints) -> list[list[int]]:
    """Return for each face those that share an edge with it."""
    by_edge: dict[tuple[int, int], list[int]] = {}
    for face, corners in enumerate(welded.tolist()):
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            by_edge.setdefault((min(a, b), max(a, b)), []).append(face)
    out: list[list[int]] = [[] for _ in range(len(welded))]
    for sharing in by_edge.values():
        for face in sharing:
            out[face] += [other for other in sharing if other != face]
    return out
