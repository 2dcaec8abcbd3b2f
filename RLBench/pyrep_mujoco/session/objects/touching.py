"""What touches what: collisions by geometry, distances, and contacts of the last step."""

from typing import TypedDict

import mujoco
import numpy as np

from pyrep_mujoco.session.objects.triangles import nearest_points
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats, transform_points
from pyrep_mujoco.ttm.reading.model import COLLIDABLE, Shape
from pyrep_mujoco.world import Ints

FAR = 1e3
"""Distances are measured up to here [m]."""


class Contact(TypedDict):
    """One contact: (9,) point [m], force [N] and normal, world; and the two handles."""

    contact: list[float]
    contact_handles: list[int]


def geoms_of(session: Session, handle: int) -> Ints:
    """Return the ids of the geoms of a shape: the solid ones where it has some."""
    built = session.built
    geoms = np.flatnonzero(built.geom_handles == handle)
    solid = geoms[(built.model.geom_contype[geoms] | built.model.geom_conaffinity[geoms]) != 0]
    return solid if len(solid) else geoms


def check_collision(session: Session, first: int, second: int | None) -> bool:
    """Tell whether a shape intersects another, or any other collidable one.

    Flags do not matter between two shapes that are named. A shape does not intersect itself.
    """
    session.need(first)
    if second is not None:
        session.need(second)
        return first != second and _intersect(session, first, second)
    others = [
        obj.handle
        for obj in session.document
        if isinstance(obj, Shape) and obj.handle != first and is_collidable(session, obj)
    ]
    return any(_intersect(session, first, other) for other in others)


def is_collidable(session: Session, shape: Shape) -> bool:
    """Tell whether a shape is collidable, by its own flag and by its models'."""
    from_models = session.document.overrides(shape.handle)
    return bool(shape.special & COLLIDABLE) and not from_models & COLLIDABLE


def _intersect(session: Session, first: int, second: int) -> bool:
    model, data = session.model, session.data
    own, others = geoms_of(session, first), geoms_of(session, second)
    gaps = np.linalg.norm(data.geom_xpos[own][:, None] - data.geom_xpos[others], axis=2)
    near = gaps <= model.geom_rbound[own][:, None] + model.geom_rbound[others]
    return any(
        mujoco.mj_geomDistance(model, data, own[i], others[j], 1.0, None) <= 0
        for i, j in np.argwhere(near)
    )


def distance(session: Session, first: int, second: int) -> float:
    """Return the distance of two objects [m], 0 where they intersect.

    What is no shape is the point at its origin.
    """
    one, two = session.need(first), session.need(second)
    if isinstance(one, Shape) and isinstance(two, Shape):
        model, data = session.model, session.data
        found = [
            mujoco.mj_geomDistance(model, data, g, h, FAR, None)
            for g in geoms_of(session, first)
            for h in geoms_of(session, second)
        ]
        return max(float(min(found)), 0.0)
    points = [session.document.world(h)[:3, 3] for h in (first, second)]
    if isinstance(one, Shape):
        return _to_surface(session, one, points[1])
    if isinstance(two, Shape):
        return _to_surface(session, two, points[0])
    return float(np.linalg.norm(points[0] - points[1]))


def _to_surface(session: Session, shape: Shape, point: Floats) -> float:
    """Return the distance of a (3,) point from the surface of a shape [m]."""
    T = session.document.world(shape.handle)
    corners = [transform_points(T, part.vertices)[part.faces] for part in shape.parts]
    nearest = nearest_points(point, np.concatenate(corners))
    return float(np.linalg.norm(nearest - point, axis=1).min())


def contacts(session: Session, handle: int) -> list[Contact]:
    """Return the contacts of a shape in the last step of physics; force and normal act on it."""
    session.need(handle)
    built, data = session.built, session.data
    wrench = np.zeros(6)
    out: list[Contact] = []
    for number, contact in enumerate(data.contact):
        pair = [int(built.geom_handles[g]) for g in contact.geom]
        if handle not in pair or contact.efc_address < 0:
            continue
        mujoco.mj_contactForce(built.model, data, number, wrench)
        frame = contact.frame.reshape(3, 3)
        # MuJoCo's normal points from the first geom to the second, its force acts on the second.
        sign = 1.0 if pair[1] == handle else -1.0
        force, normal = sign * (frame.T @ wrench[:3]), sign * frame[0]
        numbers = [*contact.pos, *force, *normal]
        out.append({"contact": [float(v) for v in numbers], "contact_handles": pair})
    return out
