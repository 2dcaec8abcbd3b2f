"""Objects made larger or smaller along their axes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.files.parts_made import flat_normals
from pyrep_mujoco.session.objects import masses
from pyrep_mujoco.session.objects.shapes import set_parts
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import (
    Dummy,
    Joint,
    Path,
    ProximitySensor,
    SceneObject,
    Shape,
    VisionSensor,
)
from pyrep_mujoco.ttm.reading.parts import Part

_ANGLES = ("angle",)
"""Sizes of sensors' volumes that are no lengths."""


def scale(session: Session, handle: int, factors: Sequence[float]) -> None:
    """Scale an object along the axes of its frame; what hangs on it stays as it is.

    Shapes keep their density. Slides, and paths, get longer; sensors, whose volumes keep their
    form, grow by the mean of the factors.

    Raises:
        CallError: the factors are not three positive numbers.
    """
    own, by = session.need(handle), np.asarray(factors, float)
    if by.shape != (3,) or not (np.isfinite(by) & (by > 0)).all():
        raise CallError(f"{own.name!r} is scaled by three positive numbers, found {factors}")
    settings = session.document.settings.setdefault(handle, {})
    settings["size_factor"] = settings.get("size_factor", 1.0) * float(by.prod()) ** (1 / 3)
    if isinstance(own, Shape):
        _scale_shape(session, own, by)
    else:
        _scale_other(own, by)
        session.document.moved()
        session.physics.changed()


def _scale_shape(session: Session, own: Shape, by: Floats) -> None:
    whole = masses.of_shape(own).stretched(by)
    own.mass = whole.amount
    own.inertia_pose, own.principal_moments = whole.principal()
    set_parts(session, own.handle, [_scaled(part, by) for part in own.parts])


def _scaled(part: Part, by: Floats) -> Part:
    vertices = part.vertices * by
    form, pose = part.primitive, part.pose.copy()
    pose[:3, 3] *= by
    is_straight = np.allclose(np.abs(pose[:3, :3]).max(0), 1.0)
    if form is not None and is_straight:
        form = replace(form, size=form.size * np.abs(pose[:3, :3].T @ by))
    elif not np.allclose(by, by[0]):
        form = None
    elif form is not None:
        form = replace(form, size=form.size * by[0])
    normals = flat_normals(vertices, part.faces)
    return replace(part, vertices=vertices, normals=normals, primitive=form, pose=pose)


def _scale_other(own: SceneObject, by: Floats) -> None:
    mean = float(np.cbrt(by.prod()))
    if isinstance(own, Dummy):
        own.size *= mean
    elif isinstance(own, Joint) and own.kind == "prismatic":
        along = float(by[2])
        own.value, own.lower, own.upper = (v * along for v in (own.value, own.lower, own.upper))
        own.target_position *= along
    elif isinstance(own, Path):
        own.points = [
            replace(point, pose=_placed(point.pose, point.pose[:3, 3] * by)) for point in own.points
        ]
        own.angle_factor *= mean
    elif isinstance(own, ProximitySensor):
        own.volume = {k: v if k in _ANGLES else v * mean for k, v in own.volume.items()}
    elif isinstance(own, VisionSensor):
        own.near, own.far, own.ortho_size = (v * mean for v in (own.near, own.far, own.ortho_size))


def _placed(T: Floats, position: Floats) -> Floats:
    out = T.copy()
    out[:3, 3] = position
    return out
