"""Geometry of triangles."""

import numpy as np

from pyrep_mujoco.transforms import Floats


def nearest_points(point: Floats, triangles: Floats) -> Floats:
    """Return the (N, 3) points of (N, 3, 3) triangles that are nearest to a (3,) point."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(size, 1e-30)
    height = np.einsum("ij,ij->i", point - a, normal)
    foot = point - height[:, None] * normal
    inside = size[:, 0] > 0
    nearest, least = np.empty_like(a), np.full(len(triangles), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        inside &= np.einsum("ij,ij->i", np.cross(edge, foot - start), normal) >= 0
        length = np.maximum(np.einsum("ij,ij->i", edge, edge), 1e-30)
        share = np.clip(np.einsum("ij,ij->i", point - start, edge) / length, 0.0, 1.0)
        on_edge = start + share[:, None] * edge
        distance = np.linalg.norm(on_edge - point, axis=1)
        closer = distance < least
        nearest[closer], least[closer] = on_edge[closer], distance[closer]
    out: Floats = np.where(inside[:, None], foot, nearest)
    return out


def cut_polygon(corners: list[Floats], plane: Floats) -> list[Floats]:
    """Return the corners of the part of a convex polygon behind a plane.

    Args:
        corners: (3,) each, in order.
        plane: (4,) normal and offset; behind it is where `normal @ x + offset <= 0`.
    """
    out: list[Floats] = []
    heights = [float(plane[:3] @ corner + plane[3]) for corner in corners]
    for i, (corner, height) in enumerate(zip(corners, heights, strict=True)):
        before, above = corners[i - 1], heights[i - 1]
        if (height <= 0) != (above <= 0):
            out.append(before + (corner - before) * (above / (above - height)))
        if height <= 0:
            out.append(corner)
    return out
