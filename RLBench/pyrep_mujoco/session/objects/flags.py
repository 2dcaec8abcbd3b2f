"""Flags of objects, their models and their boxes."""

import numpy as np

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats, box_corners, invert, transform_points
from pyrep_mujoco.ttm.reading.model import RENDERABLE, Shape


def has(session: Session, handle: int, bits: int) -> bool:
    """Tell whether an object has any of some property bits."""
    return bool(session.need(handle).special & bits)


def give(session: Session, handle: int, bits: int, value: bool) -> None:
    """Give property bits to an object, or take them."""
    obj = session.need(handle)
    before = obj.special
    obj.special = before | bits if value else before & ~bits
    if isinstance(obj, Shape) and (before ^ obj.special) & RENDERABLE:
        session.physics.changed()


def is_model(session: Session, handle: int) -> bool:
    """Tell whether an object is the base of a model."""
    return session.need(handle).is_model_base


def set_model(session: Session, handle: int, value: bool) -> None:
    """Make an object the base of a model, or not."""
    obj = session.need(handle)
    if obj.is_model_base == value:
        return
    obj.is_model_base = value
    if obj.overrides:
        session.physics.changed()


def overrides(session: Session, handle: int) -> int:
    """Return the bits that a model's base switches off in its tree."""
    return session.need(handle).overrides


def set_overrides(session: Session, handle: int, bits: int) -> None:
    """Set the bits that a model's base switches off in its tree."""
    obj = session.need(handle)
    if obj.overrides != bits:
        obj.overrides = bits
        session.physics.changed()


def bounding_box(session: Session, handle: int) -> Floats:
    """Return (6,) xmin xmax ymin ymax zmin zmax of an object in its own frame [m]."""
    obj = session.need(handle)
    if isinstance(obj, Shape):
        return obj.bounding_box.copy()
    half = getattr(obj, "size", 0.01) / 2
    return np.array([-half, half] * 3)


def model_bounding_box(session: Session, handle: int) -> Floats:
    """Return (6,) the box of all shapes of a model, in the frame of its base [m].

    Raises:
        CallError: the object is no model.
    """
    obj = session.need(handle)
    if not obj.is_model_base:
        raise CallError(f"{session.document.label}: {obj.name!r} is no model")
    T = invert(session.document.world(handle))
    points = [
        transform_points(T @ session.document.world(h), box_corners(shape.bounding_box))
        for h in session.document.tree(handle)
        if isinstance(shape := session.need(h), Shape)
    ]
    if not points:
        return np.zeros(6)
    corners = np.concatenate(points)
    return np.stack([corners.min(0), corners.max(0)], axis=1).reshape(6)
