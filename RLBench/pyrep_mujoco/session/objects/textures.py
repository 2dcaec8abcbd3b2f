"""Textures of shapes: worn by a mapping, by image points, or taken off."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.objects.shapes import set_parts, shape
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.parts import TextureUse
from pyrep_mujoco.ttm.reading.surfaces import map_points

MAPPINGS = ("plane", "cylinder", "sphere", "cube")
"""By CoppeliaSim's numbers."""


def worn(
    *, interpolate: bool = True, decal: bool = False, repeat_u: bool = False, repeat_v: bool = False
) -> TextureUse:
    """Return how a texture is worn; which, and where on it, is still to be said."""
    mode = "decal" if decal else "modulate"
    return TextureUse(-1, None, np.zeros((0, 3, 2)), interpolate, repeat_u, repeat_v, mode)


def texture_of(session: Session, handle: int) -> int:
    """Return the id of the texture of a shape, -1 where it has none."""
    for part in shape(session, handle).parts:
        if part.texture is not None:
            return part.texture.texture_id
    return -1


def remove(session: Session, handle: int) -> None:
    """Show a shape in its plain colour."""
    own = shape(session, handle)
    if any(part.texture is not None for part in own.parts):
        set_parts(session, handle, [replace(part, texture=None) for part in own.parts])


def wear(
    session: Session,
    handle: int,
    texture: int,
    mapping: int,
    use: TextureUse,
    *,
    scaling: Sequence[float] = (1.0, 1.0),
    position: Sequence[float] | None = None,
    orientation: Sequence[float] | None = None,
) -> None:
    """Put a texture on a shape.

    Args:
        session: the scene.
        handle: of the shape.
        texture: its id.
        mapping: CoppeliaSim's number.
        use: how it is worn.
        scaling: how many metres one image covers along u and v.
        position: (3,) of the mapping in the shape's frame [m].
        orientation: (3,) its Euler angles [rad].

    Raises:
        CallError: there is no such texture, or the scaling is zero.
    """
    if texture not in session.document.textures:
        raise CallError(f"{session.document.label} has no texture with id {texture}")
    scale_u, scale_v = (float(v) for v in scaling)
    if min(abs(scale_u), abs(scale_v)) < 1e-9:
        raise CallError(f"a texture cannot be scaled by {scale_u:g}, {scale_v:g}")
    T = np.eye(4)
    if orientation is not None:
        T[:3, :3] = tf.euler_to_matrix(np.asarray(orientation, float))
    if position is not None:
        T[:3, 3] = position
    back, kind = tf.invert(T), MAPPINGS[mapping]
    parts = []
    for part in shape(session, handle).parts:
        corners = tf.transform_points(back, part.vertices[part.faces])
        uv = map_points(kind, corners, scale_u, scale_v)
        # MuJoCo repeats an image for ever; without repeating, its edge goes on.
        worn_use = replace(use, texture_id=texture, mapping=kind, uv=uv)
        parts.append(replace(part, texture=worn_use))
    set_parts(session, handle, parts)


def apply(
    session: Session, handle: int, uv: Floats, pixels: npt.NDArray[np.uint8], use: TextureUse
) -> None:
    """Put an image on a shape by image points.

    Args:
        session: the scene.
        handle: of the shape.
        uv: (3 F, 2) image points of the corners of all its triangles.
        pixels: (height, width, 3 or 4), bottom row first.
        use: how it is worn.

    Raises:
        CallError: these are not as many points as the shape has corners.
    """
    own = shape(session, handle)
    needed = 3 * sum(len(part.faces) for part in own.parts)
    points = np.asarray(uv, float).reshape(-1, 2)
    if len(points) != needed:
        raise CallError(f"{own.name!r} needs {needed} image points, found {len(points)}")
    number = session.document.add_texture(own.name, pixels)
    parts, start = [], 0
    for part in own.parts:
        count = 3 * len(part.faces)
        own_uv = points[start : start + count].reshape(-1, 3, 2)
        parts.append(replace(part, texture=replace(use, texture_id=number, uv=own_uv)))
        start += count
    set_parts(session, handle, parts)
