"""Proximity sensing: does a surface enter a volume? Geometric, exact to 1 mm.

A volume is a function of points in the sensor frame that is 1-Lipschitz and <= 0 exactly
inside. Surfaces are triangles; those that may reach the volume are split until they are
smaller than the tolerance.
"""

from collections.abc import Callable

import mujoco
import numpy as np

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.transforms import Floats, quat_wxyz_to_matrix

TOLERANCE = 5e-4
Volume = Callable[[Floats], Floats]

_FIELDS = {
    "pyramid": ("offset", "range", "x_size", "y_size", "x_size_far", "y_size_far"),
    "cylinder": ("offset", "range", "radius", "radius_far"),
    "disc": ("offset", "range", "y_size", "radius", "angle"),
    "cone": ("offset", "range", "radius", "angle"),
    "ray": ("offset", "range"),
}


def parse_volume(name: str, text: str) -> Volume:
    """Build the volume of a sensor from its annotation.

    Args:
        name: the sensor, for error messages.
        text: `<kind> key=value ...`, lengths [m], angles [rad].

    Raises:
        SceneError: unknown kind, missing or malformed field.
    """
    kind, *pairs = text.split()
    if kind not in _FIELDS:
        raise SceneError(f"sensor {name}: kind {kind!r} is unknown; allowed: {sorted(_FIELDS)}")
    try:
        values = {key: float(value) for key, value in (pair.split("=") for pair in pairs)}
        fields = [values[key] for key in _FIELDS[kind]]
    except (KeyError, ValueError) as error:
        raise SceneError(
            f"sensor {name}: {text!r} needs numbers for {', '.join(_FIELDS[kind])} ({error})"
        ) from error
    return _BUILDERS[kind](*fields)


def _slab(z: Floats, offset: float, length: float) -> Floats:
    return np.maximum(offset - z, z - offset - length)


def _pyramid(
    offset: float, length: float, x: float, y: float, x_far: float, y_far: float
) -> Volume:
    def volume(p: Floats) -> Floats:
        out = _slab(p[:, 2], offset, length)
        for axis, near, far in ((0, x / 2, x_far / 2), (1, y / 2, y_far / 2)):
            slope = (far - near) / length
            limit = near + slope * (p[:, 2] - offset)
            out = np.maximum(out, (np.abs(p[:, axis]) - limit) / np.hypot(1.0, slope))
        return out

    return volume


def _cylinder(offset: float, length: float, radius: float, radius_far: float) -> Volume:
    slope = (radius_far - radius) / length

    def volume(p: Floats) -> Floats:
        limit = radius + slope * (p[:, 2] - offset)
        side = (np.hypot(p[:, 0], p[:, 1]) - limit) / np.hypot(1.0, slope)
        inside: Floats = np.maximum(_slab(p[:, 2], offset, length), side)
        return inside

    return volume


def _cone(offset: float, length: float, radius: float, angle: float) -> Volume:
    half = angle / 2

    def volume(p: Floats) -> Floats:
        z = p[:, 2] - offset
        rho = np.hypot(p[:, 0], p[:, 1])
        distance = np.hypot(rho, z)
        shell = np.maximum(radius - distance, distance - radius - length)
        inside: Floats = np.maximum(shell, rho * np.cos(half) - z * np.sin(half))
        return inside

    return volume


def _disc(offset: float, length: float, thickness: float, radius: float, angle: float) -> Volume:
    half = angle / 2

    def volume(p: Floats) -> Floats:
        z = p[:, 2] - offset
        distance = np.hypot(p[:, 0], z)
        ring = np.maximum(radius - distance, distance - radius - length)
        flat = np.maximum(ring, np.abs(p[:, 1]) - thickness / 2)
        inside: Floats = np.maximum(flat, np.abs(p[:, 0]) * np.cos(half) - z * np.sin(half))
        return inside

    return volume


def _ray(offset: float, length: float) -> Volume:
    def volume(p: Floats) -> Floats:
        beyond = p[:, 2] - np.clip(p[:, 2], offset, offset + length)
        return np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2 + beyond**2) - TOLERANCE

    return volume


_BUILDERS: dict[str, Callable[..., Volume]] = {
    "pyramid": _pyramid,
    "cylinder": _cylinder,
    "disc": _disc,
    "cone": _cone,
    "ray": _ray,
}


def surface_in_volume(triangles: Floats, volume: Volume) -> bool:
    """Tell whether any point of (N, 3, 3) triangles (sensor frame, [m]) lies in the volume.

    Branch and bound: a triangle whose centre is farther from the volume than its radius
    cannot touch it; others are split in four. Ends below `TOLERANCE`.
    """
    while len(triangles):
        centre = triangles.mean(axis=1)
        radius = np.linalg.norm(triangles - centre[:, None], axis=2).max(axis=1)
        value = volume(centre)
        if np.any(value <= 0) or np.any(volume(triangles.reshape(-1, 3)) <= 0):
            return True
        triangles = triangles[(value <= radius) & (radius > TOLERANCE)]
        a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(part, axis=1) for part in parts])
    return False


def _grid_triangles(points: Floats) -> Floats:
    """Join an (R, C, 3) grid of points to (N, 3, 3) triangles, closed along C."""
    a, b = points[:-1], points[1:]
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    quads = np.concatenate([np.stack([a, b, b2], 2), np.stack([a, b2, a2], 2)])
    return quads.reshape(-1, 3, 3)


def _profile_surface(rho: Floats, z: Floats, sides: int = 48) -> Floats:
    """Turn a profile (R,) radius, (R,) height about z into triangles."""
    phi = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(phi), np.sin(phi)], axis=-1)
    points = np.concatenate(
        [rho[:, None, None] * ring, np.broadcast_to(z[:, None, None], (len(z), sides, 1))], axis=-1
    )
    return _grid_triangles(points)


_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_BOX_FACES = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def geom_triangles(model: mujoco.MjModel, geom: int) -> Floats:
    """Return the surface of a geom as (N, 3, 3) triangles in its body's frame [m]."""
    size = model.geom_size[geom]
    kind = mujoco.mjtGeom(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
        faces = model.mesh_face[model.mesh_faceadr[mesh] :][: model.mesh_facenum[mesh]]
        local = vertices[faces].astype(float)
    elif kind in (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_PLANE):
        half = size if kind == mujoco.mjtGeom.mjGEOM_BOX else size * [1, 1, 0]
        quads = (_CORNERS * half)[_BOX_FACES]
        local = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    else:
        theta = np.linspace(-np.pi / 2, np.pi / 2, 25)
        if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            rho, z = np.array([0, 1, 1, 0]) * size[0], np.array([-1, -1, 1, 1]) * size[1]
            local = _profile_surface(rho, z)
        elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            z = np.sin(theta) * size[0] + np.where(theta > 0, 1, -1) * size[1]
            local = _profile_surface(np.cos(theta) * size[0], z)
        else:  # sphere (one size) or ellipsoid (three)
            scale = size if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID else size[[0, 0, 0]]
            local = _profile_surface(np.cos(theta), np.sin(theta)) * scale
    R = quat_wxyz_to_matrix(model.geom_quat[geom])
    triangles: Floats = local @ R.T + model.geom_pos[geom]
    return triangles
