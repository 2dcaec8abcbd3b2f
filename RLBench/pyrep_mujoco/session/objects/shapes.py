"""Shapes: colours, masses, flags, forces, and their triangles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.objects import masses
from pyrep_mujoco.session.physics.body_plan import is_dynamic as plan_dynamic
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.mesh_repair import convex_hull, signed_volume
from pyrep_mujoco.ttm.reading.model import Shape
from pyrep_mujoco.ttm.reading.parts import Material, Part

_NO_MATERIAL = Material("")
_CONVEX_SHARE = 0.99
"""A mesh that fills this share of its hull is convex."""


def shape(session: Session, handle: int) -> Shape:
    """Return the shape of a handle."""
    return session.document.of_kind(handle, Shape, "shape")


def set_parts(session: Session, handle: int, parts: Sequence[Part]) -> None:
    """Give a shape other parts."""
    own = shape(session, handle)
    own.parts = list(parts)
    own.__dict__.pop("bounding_box", None)
    session.physics.changed()


# ---- looks --------------------------------------------------------------------------------------


def color(session: Session, handle: int) -> tuple[float, float, float]:
    """Return the rgb of a shape's first part, in [0, 1]."""
    return shape(session, handle).parts[0].color.rgb


def set_color(session: Session, handle: int, rgb: Sequence[float]) -> None:
    """Paint all parts of a shape, rgb in [0, 1].

    Raises:
        CallError: it is not three numbers.
    """
    numbers = np.asarray(rgb, float)
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise CallError(f"a colour is three numbers from 0 to 1, found {rgb}")
    red, green, blue = (float(v) for v in numbers)
    _recolor(session, handle, rgb=(red, green, blue))


def opacity(session: Session, handle: int) -> float:
    """Return the opacity of a shape's first part, 1 where it is opaque."""
    return shape(session, handle).parts[0].color.opacity


def set_opacity(session: Session, handle: int, value: float) -> None:
    """Set the opacity of all parts of a shape, 1 for an opaque one."""
    _recolor(session, handle, opacity=float(np.clip(value, 0.0, 1.0)))


def _recolor(session: Session, handle: int, **changes: Any) -> None:
    own = shape(session, handle)
    own.parts = [replace(part, color=replace(part.color, **changes)) for part in own.parts]
    session.physics.repaint(handle, own.parts)


# ---- physics ------------------------------------------------------------------------------------


def is_respondable(session: Session, handle: int) -> bool:
    """Tell whether other bodies collide with a shape, by its own flag."""
    return shape(session, handle).is_respondable


def set_respondable(session: Session, handle: int, value: bool) -> None:
    """Let other bodies collide with a shape, or pass through it."""
    own = shape(session, handle)
    if own.is_respondable != bool(value):
        own.is_respondable = bool(value)
        session.physics.changed()


def is_dynamic(session: Session, handle: int) -> bool:
    """Tell whether physics moves a shape, by its own flag."""
    return shape(session, handle).is_dynamic


def set_dynamic(session: Session, handle: int, value: bool) -> None:
    """Let physics move a shape, or leave it where it is."""
    own = shape(session, handle)
    if own.is_dynamic != bool(value):
        own.is_dynamic = bool(value)
        session.physics.changed()


def mass(session: Session, handle: int) -> float:
    """Return the mass [kg]."""
    return shape(session, handle).mass


def set_mass(session: Session, handle: int, value: float) -> None:
    """Change the mass [kg]; moments of inertia change in proportion.

    Raises:
        CallError: it is not a positive number.
    """
    own = shape(session, handle)
    if not np.isfinite(value) or value <= 0:
        raise CallError(f"the mass of {own.name!r} must be a positive number, found {value}")
    own.principal_moments = own.principal_moments * (value / own.mass if own.mass > 0 else 1.0)
    own.mass = float(value)
    session.physics.changed()


def friction(session: Session, handle: int) -> float:
    """Return the sliding friction."""
    material = shape(session, handle).material
    given = None if material is None else material.bullet_friction
    return 0.5 if given is None else given


def set_friction(session: Session, handle: int, value: float) -> None:
    """Change the sliding friction."""
    own = shape(session, handle)
    own.material = replace(own.material or _NO_MATERIAL, bullet_friction=float(value))
    session.physics.changed()


def compute_mass_and_inertia(session: Session, handle: int, density: float) -> bool:
    """Set mass and inertia from a density [kg/m^3]; tell whether the shape is convex, so can be.

    Raises:
        CallError: the density is not a positive number.
    """
    own = shape(session, handle)
    if not np.isfinite(density) or density <= 0:
        raise CallError(f"a density must be a positive number of kg/m^3, found {density}")
    for part in own.parts:
        hull = convex_hull(part.vertices)
        filled = abs(signed_volume(part.vertices, part.faces.astype(np.int64)))
        if hull is None or filled < _CONVEX_SHARE * hull.volume:
            return False
    whole = masses.filled(own.parts).scaled(float(density))
    own.mass = whole.amount
    own.inertia_pose, own.principal_moments = whole.principal()
    session.physics.changed()
    return True


def add_force(session: Session, handle: int, point: Floats, force: Floats) -> None:
    """Let a force act at a point in the next step, both in the shape's frame [m], [N]."""
    own = _moving(session, handle)
    T = session.document.world(handle)
    centre = T @ own.inertia_pose
    pushed = T[:3, :3] @ force
    lever = T[:3, :3] @ point + T[:3, 3] - centre[:3, 3]
    session.physics.add_wrench(handle, pushed, np.cross(lever, pushed))


def add_wrench(session: Session, handle: int, force: Floats | None, torque: Floats | None) -> None:
    """Let a force [N] at the centre of mass and a torque [N m], world, act in the next step."""
    _moving(session, handle)
    none = np.zeros(3)
    session.physics.add_wrench(
        handle, none if force is None else force, none if torque is None else torque
    )


def _moving(session: Session, handle: int) -> Shape:
    own = shape(session, handle)
    if not plan_dynamic(session.document, own):
        raise CallError(
            f"{session.document.label}: {own.name!r} is static: no force can move it; call its "
            "set_dynamic(True) first"
        )
    return own


# ---- triangles ----------------------------------------------------------------------------------


def mesh(session: Session, handle: int) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Return (V, 3) vertices [m], (F, 3) triangles and (3 F, 3) normals, in the shape's frame."""
    parts = shape(session, handle).parts
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [
        part.faces.astype(np.int64) + start for part, start in zip(parts, starts, strict=False)
    ]
    return (
        np.concatenate([part.vertices for part in parts]),
        np.concatenate(faces),
        np.concatenate([part.normals.reshape(-1, 3) for part in parts]),
    )


@dataclass(frozen=True)
class Look:
    """What one part of a shape looks like.

    Attributes:
        part: its mesh and colour.
        colors: (9,) rgb of the surface, of its shine, and of its glow.
        image: (height, width, 4) uint8, bottom row first; (0, 0, 4) without one.
        image_id: -1 without one.
        uv: (3 F, 2) image points of each corner; (0, 2) without an image.
    """

    part: Part
    colors: Floats
    image: npt.NDArray[np.uint8]
    image_id: int
    uv: Floats


def look(session: Session, handle: int, index: int) -> Look:
    """Return what a part of a shape looks like.

    Raises:
        CallError: the shape has no part of that number.
    """
    own = shape(session, handle)
    if not 0 <= index < len(own.parts):
        raise CallError(f"{own.name!r} has {len(own.parts)} parts, from 0 on; asked for {index}")
    part = own.parts[index]
    colors = np.array([*part.color.rgb, *part.color.specular, *part.color.emission])
    use = part.texture
    if use is None or use.texture_id not in session.document.textures:
        return Look(part, colors, np.zeros((0, 0, 4), np.uint8), -1, np.zeros((0, 2)))
    pixels = session.document.textures[use.texture_id].pixels
    if pixels.shape[2] == 3:
        opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        pixels = np.concatenate([pixels, opaque], axis=2)
    return Look(part, colors, pixels, use.texture_id, use.uv.reshape(-1, 2))
