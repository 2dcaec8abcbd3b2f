"""Forms of bodies that are made at run time, and their description in MJCF."""

from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats

Faces = npt.NDArray[np.int32]
DEFAULT_MASS = 1.0
CRUMB_MASS = 1e-3
"""Free shapes below [kg] are drops of a liquid, or crumbs."""
_FRICTION = (0.5, 0.01, 0.0001)
_SOLREF, _SOLIMP = (0.006, 1.0), (0.95, 0.995, 0.0005, 0.5, 2.0)
"""Stiff, as in converted scenes: a drop must not sink through the floor of a cup."""
_PRIMITIVES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
}


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
    parts: tuple[tuple[Floats, Faces], ...] = field(default=(), compare=False, repr=False)

    @property
    def is_crumb(self) -> bool:
        """The shape is a drop of a liquid, or a crumb."""
        return self.is_free and 0 < self.mass < CRUMB_MASS


FRAME = Form("frame", (), "", False, 0.0)
"""Of a body that only marks a pose."""


def add_body(spec: mujoco.MjSpec, name: str, form: Form) -> None:
    """Add the body of a form at the end of a description."""
    body = spec.worldbody.add_body(name=name)
    if form.kind == "frame":
        return
    geom: dict[str, Any] = {
        "group": 1,
        "friction": _FRICTION,
        "condim": 4,
        "rgba": (0.501, 0.5, 0.5, 1.0),
        "solref": _SOLREF,
        "solimp": _SOLIMP,
        "mass": 0.0,
    }
    if form.is_free:
        body.add_freejoint()
        mass = form.mass if form.mass > 0 else DEFAULT_MASS
        geom["mass"] = mass / max(len(form.parts), 1)
        if form.is_crumb:
            # A contact patch of a centimetre would hold a drop of millimetres in any groove.
            geom |= {"condim": 3, "priority": 1}
    for i, (vertices, faces) in enumerate(form.parts):
        mesh_name = f"made:{form.digest}:{i}"
        if not any(mesh.name == mesh_name for mesh in spec.meshes):
            mesh = spec.add_mesh(name=mesh_name)
            mesh.uservert, mesh.userface = vertices.ravel(), faces.ravel()
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh_name, **geom)
    if form.kind in _PRIMITIVES:
        body.add_geom(type=_PRIMITIVES[form.kind], size=form.size, **geom)
