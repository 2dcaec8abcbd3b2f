"""Calls by CoppeliaSim's names, as far as they have a counterpart; any other one says so.

Numbers by name are those of `simConst`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from pyrep.backend._sim_cffi import ffi, lib  # noqa: F401 - PyRep has them here, too
from pyrep.backend.simConst import *  # noqa: F403 - PyRep has its numbers under both names
from pyrep.errors import PyRepError
from pyrep.objects.object import Object
from pyrep.objects.vision_sensor import VisionSensor
from pyrep_mujoco import transforms as tf
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.kinds import type_number
from pyrep_mujoco.session.objects import joints
from pyrep_mujoco.transforms import Floats

_WORLD = -1


def _check_return(ret: int) -> None:
    """Raise RuntimeError for a number by which a call of CoppeliaSim says that it failed."""
    if ret < 0:
        raise RuntimeError(f"the call failed: it returned {ret}")


def _frame(handle: int) -> int | None:
    return None if handle == _WORLD else handle


def _matrix(rows: Sequence[float]) -> Floats:
    T = np.eye(4)
    T[:3] = np.reshape(rows, (3, 4))
    return T


# ---- objects ------------------------------------------------------------------------------


def simGetObjectHandle(objectName: str) -> int:
    """Return the handle of a name."""
    return current().handle(objectName)


def simGetObjectName(objectHandle: int) -> str:
    """Return the name of a handle."""
    return current().need(objectHandle).name


def simGetObjectType(objectHandle: int) -> int:
    """Return the number of an object's kind."""
    return type_number(current().need(objectHandle))


def simGetObjectParent(childObjectHandle: int) -> int:
    """Return the handle of what an object hangs on, -1 at the top."""
    parent = current().need(childObjectHandle).parent
    return _WORLD if parent is None else parent


def simSetObjectParent(
    objectHandle: int, parentObjectHandle: int, keepInPlace: bool = True
) -> None:
    """Hang an object on another, on nothing with -1."""
    current().hang(objectHandle, _frame(parentObjectHandle), keepInPlace)


def simGetObjectPosition(objectHandle: int, relativeToObjectHandle: int) -> list[float]:
    """Return (3,) position [m]; relative to the world with -1."""
    T = current().matrix(objectHandle, _frame(relativeToObjectHandle))
    return [float(v) for v in T[:3, 3]]


def simSetObjectPosition(
    objectHandle: int, relativeToObjectHandle: int, position: Sequence[float]
) -> None:
    """Move an object to (3,) [m]."""
    current().set_position(objectHandle, np.asarray(position), _frame(relativeToObjectHandle))


def simGetObjectOrientation(objectHandle: int, relativeToObjectHandle: int) -> list[float]:
    """Return (3,) Euler angles [rad]."""
    T = current().matrix(objectHandle, _frame(relativeToObjectHandle))
    return [float(v) for v in tf.matrix_to_euler(T[:3, :3])]


def simSetObjectOrientation(
    objectHandle: int, relativeToObjectHandle: int, eulerAngles: Sequence[float]
) -> None:
    """Turn an object to (3,) Euler angles [rad]."""
    R = tf.euler_to_matrix(np.asarray(eulerAngles))
    current().set_rotation(objectHandle, R, _frame(relativeToObjectHandle))


def simGetObjectQuaternion(objectHandle: int, relativeToObjectHandle: int) -> list[float]:
    """Return (4,) quaternion x, y, z, w."""
    T = current().matrix(objectHandle, _frame(relativeToObjectHandle))
    return [float(v) for v in tf.transform_to_pose(T)[3:]]


def simGetObjectMatrix(objectHandle: int, relativeToObjectHandle: int) -> list[float]:
    """Return (12,) the first three rows of the transform."""
    T = current().matrix(objectHandle, _frame(relativeToObjectHandle))
    return [float(v) for v in T[:3].ravel()]


def simSetObjectMatrix(
    objectHandle: int, relativeToObjectHandle: int, matrix: Sequence[float]
) -> None:
    """Put an object at a transform of which (12,) the first three rows are given."""
    current().set_matrix(objectHandle, _matrix(matrix), _frame(relativeToObjectHandle))


def simRemoveObject(objectHandle: int) -> None:
    """Take an object out."""
    Object.get_object(objectHandle).remove()


def simGetObjectsInTree(root: int, objectType: int, options: int) -> list[int]:
    """Return handles of a tree; options: 1 leaves the root out, 2 takes its own children only."""
    session = current()
    found = session.in_tree(
        None if root < 0 else root,
        exclude_base=bool(options & 1),
        first_generation_only=bool(options & 2),
    )
    every = objectType < 0
    return [h for h in found if every or type_number(session.need(h)) == objectType]


# ---- joints -------------------------------------------------------------------------------


def simGetJointPosition(jointHandle: int) -> float:
    """Return a joint's value [rad or m]."""
    return joints.position(current(), jointHandle)


def simSetJointPosition(jointHandle: int, position: float) -> None:
    """Set a joint's value [rad or m] at once."""
    joints.set_position(current(), jointHandle, position)


def simGetJointTargetPosition(jointHandle: int) -> float:
    """Return what a joint's motor goes to [rad or m]."""
    return float(joints.joint(current(), jointHandle).target_position)


def simSetJointTargetPosition(objectHandle: int, targetPosition: float) -> None:
    """Let a joint's motor go to a value [rad or m]."""
    joints.set_target(current(), objectHandle, targetPosition)


def simGetJointTargetVelocity(jointHandle: int) -> float:
    """Return the velocity that a joint's motor keeps [rad/s or m/s]."""
    return float(joints.joint(current(), jointHandle).target_velocity)


def simSetJointTargetVelocity(objectHandle: int, targetVelocity: float) -> None:
    """Let a joint's motor keep a velocity [rad/s or m/s]."""
    joints.joint(current(), objectHandle).target_velocity = float(targetVelocity)


def simGetJointForce(jointHandle: int) -> float:
    """Return the force at a joint [N m or N]."""
    return joints.force(current(), jointHandle)


# ---- time and pictures --------------------------------------------------------------------


def simGetSimulationTime() -> float:
    """Return the time simulated [s]."""
    return current().physics.time


def simGetSimulationTimeStep() -> float:
    """Return the duration of a step [s]."""
    return current().physics.step_seconds


def simExtStep(stepIfRunning: bool = True) -> None:
    """Make a step, where the simulation runs."""
    if stepIfRunning:
        current().step()


def simGetVisionSensorImage(sensorHandle: int, resolution: Sequence[int]) -> Any:
    """Return (height, width, 3) colours in [0, 1]; the resolution is the sensor's own."""
    return VisionSensor(sensorHandle).capture_rgb()


def simGetVisionSensorDepthBuffer(
    sensorHandle: int, resolution: Sequence[int], in_meters: bool
) -> Any:
    """Return (height, width) distances; the resolution is the sensor's own."""
    return VisionSensor(sensorHandle).capture_depth(in_meters)


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Return, for a call that has no counterpart, one that says so."""
    if not name.startswith("sim"):
        raise AttributeError(f"module 'pyrep.backend.sim' has no attribute {name!r}")
    if name.startswith("sim_"):
        raise AttributeError(f"pyrep.backend.sim: the number {name} is not known here")

    def refuse(*_: object, **__: object) -> NoReturn:
        raise PyRepError(f"sim.{name}: this call of CoppeliaSim has no counterpart on MuJoCo")

    return refuse
