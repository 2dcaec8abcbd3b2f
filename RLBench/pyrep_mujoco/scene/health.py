"""Refuses numbers that are not finite, or huge.

MuJoCo goes on with them, or starts the scene anew, and tells nobody.
"""

import mujoco
import numpy as np

from pyrep_mujoco.constants import UNSTABLE
from pyrep_mujoco.errors import RunError, SceneError
from pyrep_mujoco.transforms import Floats

HUGE = 1e10
"""From here on MuJoCo takes a number for too large."""
_FIELDS = (
    "qpos0",
    "body_pos",
    "body_quat",
    "body_ipos",
    "body_iquat",
    "body_mass",
    "body_inertia",
    "geom_pos",
    "geom_quat",
    "geom_size",
    "geom_friction",
    "site_pos",
    "site_quat",
    "jnt_pos",
    "jnt_axis",
    "jnt_range",
    "dof_damping",
    "dof_armature",
    "dof_frictionloss",
    "actuator_gainprm",
    "actuator_biasprm",
    "mesh_vert",
)
_OWNERS = {"body": "body", "geom": "geom", "site": "site", "jnt": "joint", "actuator": "actuator"}
_WARNINGS = {
    mujoco.mjtWarning.mjWARN_BADQPOS: "positions",
    mujoco.mjtWarning.mjWARN_BADQVEL: "velocities",
    mujoco.mjtWarning.mjWARN_BADQACC: "accelerations",
    mujoco.mjtWarning.mjWARN_BADCTRL: "controls",
}


def check_model(model: mujoco.MjModel, scene: object) -> None:
    """Refuse a compiled scene that holds numbers which are not finite, or huge.

    Raises:
        SceneError: names the field and its owner.
    """
    for name in _FIELDS:
        values = getattr(model, name)
        is_bad = ~(np.abs(values) < HUGE)  # NaN compares with nothing
        if is_bad.any():
            row = int(np.argwhere(is_bad)[0, 0])
            kind = _OWNERS.get(name.partition("_")[0], "")
            owner = f" of {kind} {getattr(model, kind)(row).name!r}" if kind else ""
            raise SceneError(
                f"scene file {scene}: {name}{owner} holds {values[is_bad][0]}; numbers must be"
                f" finite, and below {HUGE:g}"
            )


def check_motion(data: mujoco.MjData, label: str) -> None:
    """Refuse a simulation that MuJoCo has reset by itself, because its numbers went wrong.

    Raises:
        RunError: (cause `UNSTABLE`).
    """
    for warning, what in _WARNINGS.items():
        if data.warning[warning].number:
            raise RunError(
                f"{label}: the simulation became unstable: {what} that are not finite, or huge",
                UNSTABLE,
            )


def check_pose(name: str, T: Floats) -> None:
    """Refuse a (4, 4) pose whose numbers are not finite, or huge.

    Raises:
        SceneError: names the object.
    """
    if not (np.abs(T) < HUGE).all():
        raise SceneError(
            f"{name} cannot be put at {T[:3, 3].tolist()}: its pose must be finite numbers"
        )


def check_value(name: str, value: float) -> None:
    """Refuse a value of a joint that is not finite, or huge.

    Raises:
        SceneError: names the joint.
    """
    if not abs(value) < HUGE:
        raise SceneError(f"joint {name} cannot be set to {value}: it must be a finite number")
