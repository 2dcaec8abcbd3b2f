"""Meshes of files, made fit for a renderer that draws one side, and for collision hulls."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError

from pyrep_mujoco.transforms import Floats

Ints = npt.NDArray[np.int64]
WELD = 1e-6
"""Vertices closer than this share of the mesh's size are one."""


@dataclass(frozen=True)
class DrawnFaces:
    """Which faces to draw: indices (M,) into the mesh's faces, and whether each is turned over."""

    index: Ints
    is_reversed: npt.NDArray[np.bool_]


def weld(vertices: Floats) -> Ints:
    """Return (V,) numbers under which equal vertices are one."""
    extent = float(np.ptp(vertices, axis=0).max()) or 1.0
    grid = np.round(vertices / (extent * WELD)).astype(np.int64)
    return np.unique(grid, axis=0, return_inverse=True)[1].reshape(-1)


def sound_faces(vertices: Floats, faces: Ints) -> Ints:
    """Return the indices of faces that have an area."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    extent = float(np.ptp(vertices, axis=0).max()) or 1.0
    return np.flatnonzero(doubled > (extent * 1e-7) ** 2)


def face_components(faces: Ints) -> Ints:
    """Return (F,) component numbers of welded faces that share vertices."""
    count = int(faces.max()) + 1
    rows = np.concatenate([faces[:, 0], faces[:, 1]])
    columns = np.concatenate([faces[:, 1], faces[:, 2]])
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(count, count))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels[faces[:, 0]]


def is_closed(faces: Ints) -> bool:
    """Tell whether welded faces form a surface without border, all turned the same way."""
    start = faces.reshape(-1).astype(np.int64)
    end = np.roll(faces, -1, axis=1).reshape(-1).astype(np.int64)
    count = int(faces.max()) + 1
    there, back = np.sort(start * count + end), np.sort(end * count + start)
    return bool(np.array_equal(there, back) and np.all(np.diff(there) > 0))


def signed_volume(vertices: Floats, faces: Ints) -> float:
    """Return the volume that a closed surface encloses [m^3]; negative when it is inside out."""
    a, b, c = (vertices[faces[:, i]] - vertices.mean(0) for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def drawn_faces(vertices: Floats, faces: Ints, is_culled: bool) -> DrawnFaces:
    """Choose the faces with which a one-sided renderer shows what a two-sided one would.

    Closed pieces are turned right side out; pieces with a border get both sides. Pieces drawn
    from one side only (`is_culled`) stay as they are.
    """
    keep = sound_faces(vertices, faces)
    if is_culled or len(keep) == 0:
        return DrawnFaces(keep, np.zeros(len(keep), bool))
    welded = weld(vertices)[faces[keep]]
    component = face_components(welded)
    index, is_reversed = [], []
    order = np.argsort(component, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(component[order])) + 1):
        own = keep[members]
        if is_closed(welded[members]):
            inside_out = signed_volume(vertices, faces[own]) < 0
            index.append(own)
            is_reversed.append(np.full(len(own), inside_out))
        else:
            index += [own, own]
            is_reversed += [np.zeros(len(own), bool), np.ones(len(own), bool)]
    return DrawnFaces(np.concatenate(index), np.concatenate(is_reversed))


def convex_hull(points: Floats) -> ConvexHull | None:
    """Return the hull of (N, 3) points, or None where they are flat."""
    try:
        return ConvexHull(points)
    except (QhullError, ValueError):
        return None


def hull_depth(points: Floats, hull: ConvexHull) -> float:
    """Return how deep below the hull's surface the deepest of (N, 3) points lies [m]."""
    planes = np.unique(np.round(hull.equations, 9), axis=0)
    deepest = 0.0
    for block in np.array_split(points, max(1, len(points) * len(planes) // 2_000_000)):
        distance = -(block @ planes[:, :3].T + planes[:, 3])
        deepest = max(deepest, float(distance.min(axis=1).max()))
    return deepest
