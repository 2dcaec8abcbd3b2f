"""Reads what MJCF cannot say about objects: `<custom><text name="<kind>:<object>" data="..."/>`."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import Notes


def _rotation(joint: str, text: str) -> Floats:
    """Return (3, 3) the axes of a joint in the frame of the body that it moves."""
    quat_xyzw = _numbers(text)
    if quat_xyzw.shape != (4,) or not quat_xyzw.any():
        raise SceneError(f"custom text frame:{joint} = {text}: it must be a quaternion qx qy qz qw")
    return tf.quat_wxyz_to_matrix(tf.xyzw_to_wxyz(quat_xyzw))


def _value(joint: str, text: str) -> float:
    """Return the value that a joint starts with [rad or m]."""
    value = _numbers(text)
    if value.shape != (1,) or not np.isfinite(value).all():
        raise SceneError(f"custom text qpos:{joint} = {text}: it must be one number")
    return float(value[0])


def _box(shape: str, text: str) -> Floats:
    """Return (6,) xmin xmax ymin ymax zmin zmax of a shape in its own frame [m]."""
    box = _numbers(text)
    if box.shape != (6,) or not np.all(box[::2] <= box[1::2]):
        raise SceneError(
            f"custom text box:{shape} = {text}: it must be xmin xmax ymin ymax zmin zmax"
        )
    return box


def _numbers(text: str) -> Floats:
    """Return the numbers of a text, none when something else is in it."""
    try:
        return np.array([float(v) for v in text.split()])
    except ValueError:
        return np.zeros(0)


_Reader = Callable[[str, str], Any]
_KINDS: dict[str, tuple[str, _Reader]] = {
    "parent": ("parents", lambda _, data: data),
    "ext": ("extensions", lambda _, data: data),
    "sensor": ("sensors", lambda _, data: data),
    "flags": ("flags", lambda _, data: frozenset(data.split())),
    "qpos": ("joint_values", _value),
    "frame": ("joint_frames", _rotation),
    "path": ("paths", lambda _, data: data),
    "kind": ("kinds", lambda _, data: data),
    "friction": ("frictions", lambda _, data: data),
    "box": ("boxes", _box),
}
"""Kind of text -> field of `Notes`, and what it holds of an object's name and the text."""


def read_notes(spec: mujoco.MjSpec) -> Notes:
    """Read the annotations of all objects of a scene.

    Raises:
        SceneError: an annotation is of an unknown kind, or says something that cannot be.
    """
    out = Notes()
    for text in spec.texts:
        kind, _, name = text.name.partition(":")
        if kind not in _KINDS:
            raise SceneError(
                f"custom text {text.name!r} is unknown; allowed are "
                f"{', '.join(f'{known}:' for known in _KINDS)} followed by an object's name"
            )
        field_name, read = _KINDS[kind]
        getattr(out, field_name)[name] = read(name, text.data)
    return out
