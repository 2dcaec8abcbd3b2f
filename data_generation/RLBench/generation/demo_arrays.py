"""Turn a demo (a sequence of observations) into the arrays of an episode."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.raw.episode import CameraFilm

Float = npt.NDArray[np.float64]
READINGS = (
    "joint_positions",
    "joint_velocities",
    "joint_forces",
    "gripper_joint_positions",
    "gripper_touch_forces",
    "task_low_dim_state",
)
"""Readings of an observation that are kept as `robot_state`."""


def ee_state(demo: Sequence[Any]) -> Float:
    """Give (T, 8): tip position [m], quaternion xyzw, gripper opening 0 to 1."""
    pose = np.stack([np.asarray(o.gripper_pose, dtype=np.float64) for o in demo])
    return np.concatenate([pose, _opening(demo)], axis=1)


def _opening(demo: Sequence[Any]) -> Float:
    return np.array([[float(o.gripper_open)] for o in demo])


def _joints(demo: Sequence[Any], name: str) -> Float:
    values = np.stack([np.asarray(getattr(o, name), dtype=np.float64) for o in demo])
    return np.concatenate([values, _opening(demo)], axis=1)


def _next(states: Float) -> Float:
    """Shift by one frame: row t is the state after the action of frame t; the last row repeats."""
    return np.concatenate([states[1:], states[-1:]])


def _delta_joint_position(demo: Sequence[Any]) -> Float:
    states = _joints(demo, "joint_positions")
    actions = _next(states)
    actions[:, :-1] -= states[:, :-1]  # all but the gripper; robots have six or seven joints
    return actions


def _delta_ee_pose(demo: Sequence[Any]) -> Float:
    """Give the change of position and rotation from each frame to the next, world axes."""
    states = ee_state(demo)
    actions = _next(states)
    turn = _quat_multiply(actions[:, 3:7], states[:, 3:7] * [-1, -1, -1, 1])
    actions[:, :3] -= states[:, :3]
    actions[:, 3:7] = turn * np.where(turn[:, 3:] < 0, -1.0, 1.0)
    return actions


def _quat_multiply(a: Float, b: Float) -> Float:
    """Multiply (T, 4) quaternions xyzw."""
    vector = a[:, 3:] * b[:, :3] + b[:, 3:] * a[:, :3] + np.cross(a[:, :3], b[:, :3])
    scalar = a[:, 3:] * b[:, 3:] - (a[:, :3] * b[:, :3]).sum(axis=1, keepdims=True)
    return np.concatenate([vector, scalar], axis=1)


ACTIONS: Mapping[str, Callable[[Sequence[Any]], Float]] = {
    "abs_joint_position": lambda demo: _next(_joints(demo, "joint_positions")),
    "abs_joint_velocity": lambda demo: _next(_joints(demo, "joint_velocities")),
    "delta_joint_position": _delta_joint_position,
    "abs_ee_pose": lambda demo: _next(ee_state(demo)),
    "delta_ee_pose": _delta_ee_pose,
}


def robot_state(demo: Sequence[Any]) -> dict[str, Float]:
    """Give the readings of joints, hand and task, (T, n) each; without those that are not there."""
    found = {}
    for name in READINGS:
        values = [getattr(o, name) for o in demo]
        if all(v is not None and np.shape(v) == np.shape(values[0]) != (0,) for v in values):
            found[name] = np.stack([np.asarray(v, dtype=np.float64) for v in values])
    return found


def take_images(observation: Any, films: Mapping[str, CameraFilm]) -> None:
    """Move the images of an observation to the films of their cameras."""
    for cam, film in films.items():
        images = observation.images[cam]
        film.add(images.rgb, images.depth, images.mask, images.point_cloud)
    observation.images = {}


def object_poses(demo: Sequence[Any], with_quaternions: bool) -> list[Any]:
    """Give the object annotations of every frame as plain values."""
    return [_plain(o.obj_annotations, () if with_quaternions else ("quat",)) for o in demo]


def _plain(value: Any, left_out: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v, left_out) for k, v in value.items() if k not in left_out}
    if isinstance(value, list | tuple):
        return [_plain(v, left_out) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
