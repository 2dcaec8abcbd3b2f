"""Joints: values, limits, motors."""

import numpy as np

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.scene.health import check_value
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.ttm.reading.model import Joint

MODES = {0: "passive", 2: "ik", 4: "dependent", 5: "dynamic"}
"""Modes by CoppeliaSim's numbers."""
KINDS = {"revolute": 10, "prismatic": 11, "spherical": 12}
"""CoppeliaSim's numbers of kinds."""


def joint(session: Session, handle: int) -> Joint:
    """Return the joint of a handle."""
    return session.document.of_kind(handle, Joint, "joint")


def _one_axis(session: Session, handle: int) -> Joint:
    own = joint(session, handle)
    if own.kind == "spherical":
        raise CallError(
            f"{session.document.label}: {own.name!r} is a spherical joint, which has no one value"
        )
    return own


def position(session: Session, handle: int) -> float:
    """Return the value [rad or m]; 0 of a spherical joint, as CoppeliaSim does."""
    return float(joint(session, handle).value)


def set_position(session: Session, handle: int, value: float) -> None:
    """Set the value [rad or m] at once, but not beyond the limits; the joint stands still.

    Raises:
        SceneError: the value is not finite.
        CallError: the joint is a spherical one.
    """
    own = _one_axis(session, handle)
    check_value(own.name, value)
    own.value = own.allowed(float(value))
    session.physics.stop(handle)
    session.document.moved(handle)
    session.physics.moved(handle)


def velocity(session: Session, handle: int) -> float:
    """Return the velocity [rad/s or m/s]."""
    _one_axis(session, handle)
    built = session.built
    if handle not in built.joints:
        return 0.0
    return float(session.data.qvel[built.model.jnt_dofadr[built.joints[handle]]])


def force(session: Session, handle: int) -> float:
    """Return what the motor held against in the last step [N m or N], as CoppeliaSim counts it.

    That is the opposite of the motor's own force, whatever velocity it was told.
    """
    _one_axis(session, handle)
    return -session.physics.motors.force(handle)


def set_mode(session: Session, handle: int, number: int) -> None:
    """Set the mode by CoppeliaSim's number.

    Raises:
        CallError: there is no such mode.
    """
    own = joint(session, handle)
    mode = MODES.get({1: 0, 3: 2}.get(number, number))
    if mode is None:
        raise CallError(
            f"{session.document.label}: {own.name!r}: no joint mode has number {number}"
        )
    if own.mode != mode:
        own.mode = mode
        session.physics.changed()


def set_interval(session: Session, handle: int, cyclic: bool, lower: float, span: float) -> None:
    """Set the limits: `lower` and `lower + span` [rad or m]; a cyclic joint has none.

    A joint that is beyond them moves to the nearest.

    Raises:
        CallError: they are no limits.
    """
    own = joint(session, handle)
    if not (np.isfinite(lower) and np.isfinite(span) and span >= 0):
        raise CallError(
            f"{session.document.label}: {own.name!r}: the interval of a joint is its least value "
            f"and its range, which is not negative; found [{lower}, {span}]"
        )
    own.is_cyclic, own.lower, own.upper = bool(cyclic), float(lower), float(lower + span)
    session.physics.changed()
    if own.kind != "spherical" and own.allowed(own.value) != own.value:
        set_position(session, handle, own.value)


def set_target(session: Session, handle: int, value: float) -> None:
    """Set the value [rad or m] that the motor goes to, which may be beyond the limits.

    Raises:
        SceneError: it is not finite.
    """
    own = joint(session, handle)
    check_value(own.name, value)
    own.target_position = own.wrapped(float(value))
