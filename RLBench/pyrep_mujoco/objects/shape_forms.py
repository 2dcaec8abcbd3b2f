"""Forms of shapes that a task makes, and their bodies in a model's description."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.object_types import PrimitiveShape
from pyrep_mujoco.transforms import Floats

CONE_SIDES = 32
DEFAULT_MASS = 1.0
CRUMB_MASS = 1e-3
"""Free shapes below [kg] are drops of a liquid, or crumbs."""
_FRICTION = (0.5, 0.01, 0.0001)
_SOLREF, _SOLIMP = (0.006, 1.0), (0.95, 0.995, 0.0005, 0.5, 2.0)
"""Stiff, as in converted scenes: a drop must not sink through the floor of a cup."""


@dataclass(frozen=True)
class Form:
    """What a body must be compiled for; forms that are equal can share bodies.

    Attributes:
        kind: `box`, `ellipsoid`, `cylinder`, `mesh`, or `frame` without geometry.
        size: as MuJoCo's `geom_size`; for a mesh empty.
        digest: of a mesh.
        is_free: physics moves it.
        mass: [kg].
        parts: (N, 3) vertices [m], in the shape's frame, and (M, 3) triangles of a mesh's parts.
    """

    kind: str
    size: tuple[float, ...]
    digest: str
    is_free: bool
    mass: float
    parts: tuple[tuple[Floats, np.ndarray], ...] = field(default=(), compare=False, repr=False)

    @property
    def is_crumb(self) -> bool:
        """The shape is a drop of a liquid, or a crumb."""
        return self.is_free and 0 < self.mass < CRUMB_MASS


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


def mesh_form(parts: Sequence[tuple[Floats, np.ndarray]], free: bool, mass: float) -> Form:
    """Return the form of parts of (N, 3) vertices [m] and (M, 3) triangles; hulls collide."""
    arrays = tuple((np.asarray(v, np.float64), np.asarray(f, np.int32)) for v, f in parts)
    content = b"".join(v.tobytes() + f.tobytes() for v, f in arrays)
    return Form("mesh", (), hashlib.sha256(content).hexdigest()[:16], free, mass, arrays)


def add_body(spec: mujoco.MjSpec, name: str, form: Form) -> None:
    """Add the body of a form at the end of a description."""
    body = spec.worldbody.add_body(name=name)
    if form.kind == "frame":
        return
    geom = {"group": 1, "friction": _FRICTION, "condim": 4, "rgba": (0.501, 0.5, 0.5, 1.0)}
    geom |= {"solref": _SOLREF, "solimp": _SOLIMP}
    if form.is_free:
        body.add_freejoint()
        mass = form.mass if form.mass > 0 else DEFAULT_MASS
        geom["mass"] = mass / max(len(form.parts), 1)
        if form.is_crumb:
            # A contact patch of a centimetre would hold a drop of millimetres in any groove.
            geom |= {"condim": 3, "priority": 1}
    else:
        geom["mass"] = 0.0
    for i, (vertices, faces) in enumerate(form.parts):
        mesh_name = f"made:{form.digest}:{i}"
        if not any(mesh.name == mesh_name for mesh in spec.meshes):
            mesh = spec.add_mesh(name=mesh_name)
            mesh.uservert, mesh.userface = vertices.ravel(), faces.ravel()
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh_name, **geom)
    if form.kind == "mesh":
        return
    kind = {"box": "BOX", "ellipsoid": "ELLIPSOID", "cylinder": "CYLINDER"}[form.kind]
    body.add_geom(type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind}"), size=form.size, **geom)
