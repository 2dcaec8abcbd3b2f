"""Where line segments first meet a triangle mesh, in NumPy."""

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats

_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
_PARALLEL = 1e-14
_MARGIN = 1e-9  # [m] flat meshes have boxes without volume


def box_triangles(corners: Floats) -> Floats:
    """Return the (12, 3, 3) triangles of a box's (8, 3) corners, x counting fastest [m]."""
    quads = np.array(_FACES)
    triangles: Floats = corners[np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])]
    return triangles


class Mesh:
    """Triangles that segments can meet, from either side."""

    def __init__(self, triangles: Floats) -> None:
        """Take (M, 3, 3) triangles [m], in the mesh's frame."""
        self.triangles = triangles
        self._edges = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
        points = triangles.reshape(-1, 3) if len(triangles) else np.full((1, 3), np.inf)
        self._low, self._high = points.min(0) - _MARGIN, points.max(0) + _MARGIN

    def first_hits(
        self, starts: Floats, ends: Floats, T_world_mesh: Floats, limits: npt.ArrayLike = 1.0
    ) -> Floats:
        """Find where segments first meet the mesh.

        Args:
            starts: (N, 3) [m], world.
            ends: (N, 3) [m], world.
            T_world_mesh: (4, 4) mesh to world.
            limits: (N,) or one number: fractions of the segments beyond which hits do not count.

        Returns:
            (N,) fraction of each segment at its first hit, infinity where there is none.
        """
        R, p = T_world_mesh[:3, :3], T_world_mesh[:3, 3]
        origins, rays = (starts - p) @ R, (ends - starts) @ R
        limits = np.broadcast_to(np.asarray(limits, float), len(origins))
        found = np.full(len(origins), np.inf)
        if len(self.triangles) == 0:
            return found
        for n in np.flatnonzero(self._meets_box(origins, rays)):
            hit = _nearest(origins[n], rays[n], self.triangles[:, 0], *self._edges)
            if hit <= limits[n]:
                found[n] = hit
        return found

    def _meets_box(self, origins: Floats, rays: Floats) -> npt.NDArray[np.bool_]:
        """Tell which segments meet the mesh's box (slab test)."""
        safe = np.where(np.abs(rays) < _PARALLEL, _PARALLEL, rays)
        first, second = (self._low - origins) / safe, (self._high - origins) / safe
        enters = np.minimum(first, second).max(axis=1)
        leaves = np.maximum(first, second).min(axis=1)
        meets: npt.NDArray[np.bool_] = (enters <= leaves) & (leaves >= 0) & (enters <= 1)
        return meets


def _nearest(origin: Floats, ray: Floats, corner: Floats, edge1: Floats, edge2: Floats) -> float:
    """Return the smallest fraction in [0, 1] (Moeller and Trumbore 1997), or infinity."""
    normal = np.cross(ray, edge2)
    det = np.einsum("ij,ij->i", edge1, normal)
    inverse = 1.0 / np.where(np.abs(det) < _PARALLEL, np.inf, det)
    offset = origin - corner
    u = np.einsum("ij,ij->i", offset, normal) * inverse
    turned = np.cross(offset, edge1)
    v = turned @ ray * inverse
    t = np.einsum("ij,ij->i", edge2, turned) * inverse
    meets = (inverse != 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= 1)
    return float(t[meets].min()) if meets.any() else float("inf")
