"""Reads Wavefront `.obj` files: vertices and faces, one part for each object."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from pyrep_mujoco.errors import SceneError


def read_obj(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (N, 3) vertices and (M, 3) triangles of each part that has faces.

    Raises:
        SceneError: the file is missing, of another format, broken, or without faces.
    """
    if path.suffix.lower() != ".obj":
        raise SceneError(f"{path}: meshes are read from .obj files only")
    if not path.is_file():
        raise SceneError(f"{path}: there is no such mesh file")
    vertices: list[list[float]] = []
    groups: list[list[list[int]]] = [[]]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        try:
            if words[:1] == ["v"]:
                vertices.append([float(w) for w in words[1:4]])
            elif words[:1] == ["f"]:
                corners = [int(w.split("/")[0]) for w in words[1:]]
                corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
                groups[-1] += [[corners[0], *pair] for pair in pairwise(corners[1:])]
            elif words[:1] in (["o"], ["g"]):
                groups.append([])
        except ValueError:
            raise SceneError(f"{path}:{number}: {line[:60]!r} is not valid") from None
    points = np.array(vertices, float).reshape(-1, 3)
    parts = [_part(points, np.array(group), path) for group in groups if group]
    if not parts:
        raise SceneError(f"{path}: the mesh has no faces")
    return parts


def _part(points: np.ndarray, faces: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    if faces.min() < 0 or faces.max() >= len(points) or not np.isfinite(points).all():
        raise SceneError(f"{path}: a face names a vertex that is not there, or one is not finite")
    used, compact = np.unique(faces, return_inverse=True)
    return points[used], compact.reshape(faces.shape)
