"""Forms of shapes that a task makes, from what PyRep's users say."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.object_types import PrimitiveShape
from pyrep_mujoco.scene.forms import Form
from pyrep_mujoco.transforms import Floats

__all__ = ["Form", "mesh_form", "primitive_form"]

CONE_SIDES = 32


def primitive_form(kind: PrimitiveShape, size: Sequence[float], free: bool, mass: float) -> Form:
    """Return the form of a primitive with (3,) full side lengths [m].

    Raises:
        SceneError: the size is not three positive numbers.
    """
    sides = np.asarray(size, float)
    if sides.shape != (3,) or not (np.isfinite(sides) & (sides > 0)).all():
        raise SceneError(f"a made shape's size must be three positive lengths [m], found {size}")
    x, y, z = (float(v) / 2 for v in sides)
    if kind == PrimitiveShape.CUBOID:
        return Form("box", (x, y, z), "", free, mass)
    if kind == PrimitiveShape.SPHERE:
        return Form("ellipsoid", (x, y, z), "", free, mass)
    if kind == PrimitiveShape.CYLINDER:
        return Form("cylinder", (x, z, 0.0), "", free, mass)
    angles = np.linspace(0, 2 * np.pi, CONE_SIDES, endpoint=False)
    ring = np.stack([x * np.cos(angles), y * np.sin(angles), np.full(CONE_SIDES, -z)], axis=1)
    vertices = np.vstack([ring, [0, 0, z], [0, 0, -z]])
    i = np.arange(CONE_SIDES)
    j, top, bottom = np.roll(i, -1), np.full_like(i, CONE_SIDES), np.full_like(i, CONE_SIDES + 1)
    faces = np.vstack([np.stack([i, j, top], 1), np.stack([j, i, bottom], 1)])
    return mesh_form([(vertices, faces)], free, mass)


def mesh_form(
    parts: Sequence[tuple[Floats, npt.NDArray[np.integer[Any]]]], free: bool, mass: float
) -> Form:
    """Return the form of parts of (N, 3) vertices [m] and (M, 3) triangles; hulls collide."""
    arrays = tuple((np.asarray(v, np.float64), np.asarray(f, np.int32)) for v, f in parts)
    content = b"".join(v.tobytes() + f.tobytes() for v, f in arrays)
    return Form("mesh", (), hashlib.sha256(content).hexdigest()[:16], free, mass, arrays)
