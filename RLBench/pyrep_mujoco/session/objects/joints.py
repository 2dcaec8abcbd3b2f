"""Joints: values, limits, motors."""

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
    """Set the value [rad or m] at once; the joint stands still.

    Raises:
        SceneError: the value is not finite.
        CallError: the joint is a spherical one.
    """
    own = _one_axis(session, handle)
    check_value(own.name, value)
    own.value = float(value)
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
    """Set the limits: `lower` and `lower + span` [rad or m]; a cyclic joint has none."""
    own = joint(session, handle)
    own.is_cyclic, own.lower, own.upper = bool(cyclic), float(lower), float(lower + span)
    session.physics.changed()
