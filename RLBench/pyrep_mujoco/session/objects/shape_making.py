"""Shapes made while a scene runs: primitives, meshes, groups, textured planes."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.files.parts_made import (
    ALL_SPECIAL,
    GREY,
    SMOOTH,
    mesh_part,
    primitive_part,
)
from pyrep_mujoco.session.objects import masses
from pyrep_mujoco.session.objects.shapes import set_parts, shape
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import Shape
from pyrep_mujoco.ttm.reading.parts import Part, TextureUse

_FORMS = {0: ("cuboid", "Cuboid"), 1: ("spheroid", "Sphere")}
_FORMS |= {2: ("cylinder", "Cylinder"), 3: ("cone", "Cone")}
_MAX_SIDE = 16384


def new_shape(
    session: Session,
    name: str,
    parts: Sequence[Part],
    *,
    mass: float = 1.0,
    dynamic: bool = False,
    respondable: bool = False,
    T: Floats | None = None,
) -> int:
    """Add a shape; return its handle.

    Args:
        session: the scene.
        name: gets a suffix where it is taken.
        parts: what it consists of, in its frame.
        mass: [kg].
        dynamic: physics moves it.
        respondable: others collide with it.
        T: (4, 4) to the world.
    """
    is_convex = all(part.is_convex for part in parts)
    pose, moments = _inertia(parts, float(mass), is_convex)
    return session.add(
        Shape(
            name=name,
            handle=0,
            parent=None,
            pose=np.eye(4) if T is None else T,
            special=ALL_SPECIAL,
            layers=1,
            parts=list(parts),
            is_compound=len(parts) > 1,
            is_convex=is_convex,
            mass=float(mass),
            inertia_pose=pose,
            principal_moments=moments,
            is_dynamic=dynamic,
            is_respondable=respondable,
        )
    )


def _inertia(parts: Sequence[Part], mass: float, is_full: bool) -> tuple[Floats, Floats]:
    """Return the pose and (3,) moments [kg m^2] of a mass that fills parts, or else their box."""
    whole = masses.filled(parts) if is_full else None
    if whole is None or whole.amount <= 0:
        points = np.concatenate([part.vertices for part in parts])
        low, high = points.min(0), points.max(0)
        second = mass / 12 * (high - low) ** 2
        whole = masses.Mass(mass, (low + high) / 2, np.diag(second.sum() - second))
        return whole.principal()
    return whole.scaled(mass / whole.amount).principal()


def create_primitive(
    session: Session,
    kind: int,
    size: Sequence[float],
    mass: float,
    *,
    dynamic: bool,
    respondable: bool,
) -> int:
    """Add a pure form; `kind` is CoppeliaSim's number, `size` (3,) full sizes [m].

    Raises:
        CallError: the size is not three positive numbers, or the mass is none; what physics does
            not move may have none.
    """
    if not np.isfinite(mass) or mass < 0 or (dynamic and mass == 0):
        raise CallError(f"the mass of a shape must be a positive number, found {mass}")
    word, name = _FORMS[kind]
    part = primitive_part(word, size)
    return new_shape(session, name, [part], mass=mass, dynamic=dynamic, respondable=respondable)


def create_mesh(
    session: Session,
    vertices: npt.ArrayLike,
    indices: npt.ArrayLike,
    *,
    shading_angle: float = SMOOTH,
    culled: bool = False,
) -> int:
    """Add a mesh, its frame in the middle of its box.

    Args:
        session: the scene.
        vertices: (V, 3) or flat, world [m].
        indices: (F, 3) or flat.
        shading_angle: edges sharper than this are drawn sharp [rad].
        culled: it is seen from the outside only.

    Raises:
        CallError: these are no triangles.
    """
    numbers = np.asarray(vertices, float).reshape(-1)
    corners = np.asarray(indices).reshape(-1)
    if len(numbers) % 3 or len(corners) % 3 or not len(corners) or not np.isfinite(numbers).all():
        raise CallError(
            f"a mesh needs x, y, z of each vertex and three numbers of each triangle, found "
            f"{len(numbers)} and {len(corners)} numbers"
        )
    points, faces = numbers.reshape(-1, 3), corners.reshape(-1, 3).astype(np.int32)
    if faces.min() < 0 or faces.max() >= len(points):
        raise CallError(
            f"a triangle names vertex {faces.max() if faces.max() >= len(points) else faces.min()}"
            f"; there are {len(points)}"
        )
    part = mesh_part(points, faces, is_culled=culled, shading_angle=shading_angle)
    return create_centred(session, "Shape", [part])


def create_centred(session: Session, name: str, parts: Sequence[Part], **flags: bool) -> int:
    """Add a shape of parts in world axes; its frame is in the middle of their box."""
    points = np.concatenate([part.vertices for part in parts])
    T = np.eye(4)
    T[:3, 3] = (points.min(0) + points.max(0)) / 2
    back = tf.invert(T)
    return new_shape(session, name, [moved(part, back) for part in parts], T=T, **flags)


def moved(part: Part, T: Floats) -> Part:
    """Return a part moved by a (4, 4) transform."""
    return replace(
        part,
        vertices=tf.transform_points(T, part.vertices),
        normals=part.normals @ T[:3, :3].T,
        pose=T @ part.pose,
    )


# ---- several shapes as one ----------------------------------------------------------------------


def group(session: Session, handles: Sequence[int], *, merge: bool) -> int:
    """Make one shape of several; it keeps the handle, name and place in the tree of the last one.

    Raises:
        CallError: there are no shapes.
    """
    if not handles:
        raise CallError("there is nothing to group: the list of shapes is empty")
    last = handles[-1]
    kept = shape(session, last)
    T = tf.invert(session.document.world(last))
    parts, weights = [], []
    for handle in handles:
        own = shape(session, handle)
        to_kept = T @ session.document.world(handle)
        parts += [moved(part, to_kept) for part in own.parts]
        weights.append(masses.of_shape(own).moved(to_kept))
    whole = masses.together(weights)
    for handle in handles[:-1]:
        session.document.remove(handle)
    kept.mass, kept.is_compound = whole.amount, not merge
    kept.inertia_pose, kept.principal_moments = whole.principal()
    set_parts(session, last, [_one_mesh(parts)] if merge else parts)
    return last


def _one_mesh(parts: Sequence[Part]) -> Part:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=False)]
    vertices = np.concatenate([part.vertices for part in parts])
    triangles = np.concatenate(faces).astype(np.int32)
    return replace(
        parts[0],
        vertices=vertices,
        faces=triangles,
        normals=np.concatenate([part.normals for part in parts]),
        primitive=None,
        texture=None,
        is_convex=False,
    )


def ungroup(session: Session, handle: int) -> list[int]:
    """Make a shape of each part of a shape; the first one keeps the handle.

    Raises:
        CallError: the shape has one part only.
    """
    own = shape(session, handle)
    if len(own.parts) < 2:
        raise CallError(f"{own.name!r} has one part only: it cannot be ungrouped")
    T, parent, parts = session.document.world(handle), own.parent, list(own.parts)
    shares = _shares(parts) * own.mass
    own.mass, own.is_compound = float(shares[0]), False
    own.inertia_pose, own.principal_moments = _inertia(parts[:1], own.mass, parts[0].is_convex)
    set_parts(session, handle, parts[:1])
    out = [handle]
    for part, mass in zip(parts[1:], shares[1:], strict=True):
        new = new_shape(
            session,
            own.name,
            [part],
            mass=float(mass),
            dynamic=own.is_dynamic,
            respondable=own.is_respondable,
            T=T,
        )
        session.hang(new, parent)
        out.append(new)
    return out


def _shares(parts: Sequence[Part]) -> Floats:
    """Return (N,) what of a mass each part has: by the volumes of their boxes, at least a little.

    What each had before it was grouped is not known.
    """
    sizes = [np.prod(part.vertices.max(0) - part.vertices.min(0)) for part in parts]
    volumes = np.maximum(sizes, 1e-3 * max(*sizes, 1e-12))
    out: Floats = volumes / volumes.sum()
    return out


# ---- textures -----------------------------------------------------------------------------------


def read_image(path: Path | str) -> npt.NDArray[np.uint8]:
    """Return an image as (height, width, 3) rgb, bottom row first.

    Raises:
        CallError: the file is missing or holds no image.
    """
    try:
        with Image.open(path) as image:
            if max(image.size) > _MAX_SIDE:
                raise CallError(f"{path}: images of up to {_MAX_SIDE} pixels a side are read")
            pixels = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, struct.error) as error:
        raise CallError(f"{path}: cannot be read as an image: {error}") from error
    return pixels[::-1].copy()


def create_textured_plane(session: Session, path: Path | str, use: TextureUse) -> int:
    """Add a plane of 1 m that shows an image; return its handle.

    Args:
        session: the scene.
        path: of the image.
        use: how it is worn; its image points are those of the plane.
    """
    number = session.document.add_texture(Path(path).name, read_image(path))
    part = primitive_part("plane", (1.0, 1.0, 1.0), replace(GREY, rgb=(1.0, 1.0, 1.0)))
    uv = part.vertices[part.faces][..., :2] + 0.5
    part = replace(part, texture=replace(use, texture_id=number, uv=uv))
    return new_shape(session, "Plane", [part])
