"""Joints of a MuJoCo scene: their motors, locks and forces. PyRep's names."""

from typing import TYPE_CHECKING

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.objects.shape import Drive, ObjectProperties

if TYPE_CHECKING:
    from pyrep_mujoco.simulation import MujocoEngine

_LOCKED = 1000.0
"""Dry friction [N m or N] of a joint that is locked."""
_HARD = (0.9999, 0.9999, 0.001, 0.5, 2.0)
"""`solimp` of such friction: a softer one creeps."""


class JointProperties(ObjectProperties):
    """What joints have beside."""

    joint: int
    _qpos: int
    _dof: int

    def get_type(self) -> ObjectType:
        """Return `ObjectType.JOINT`."""
        return ObjectType.JOINT

    def remove(self) -> None:
        """Refuse: a joint cannot be taken out.

        Raises:
            SceneError: always.
        """
        raise SceneError(f"joint {self._name} cannot be removed from a scene")

    def get_joint_velocity(self) -> float:
        """Return the velocity [rad/s or m/s]."""
        return float(self._engine.data.qvel[self._dof])

    def get_joint_force(self) -> float:
        """Return what motors and limits do to the joint [N m or N]."""
        data = self._engine.data
        force = data.qfrc_applied + data.qfrc_actuator + data.qfrc_constraint
        return float(force[self._dof])

    def is_motor_locked_at_zero_velocity(self) -> bool:
        """Tell whether the joint is locked."""
        return bool(self._engine.model.dof_frictionloss[self._dof] >= _LOCKED)

    def set_motor_locked_at_zero_velocity(self, value: bool) -> None:
        """Lock the joint where it is, or let it move again against its motor's dry friction."""
        loss = self._engine.scene_value("dof_frictionloss")[self._dof]
        free = loss if loss < _LOCKED else 0.0
        model = self._engine.model
        model.dof_frictionloss[self._dof] = _LOCKED if value else free
        scene = self._engine.scene_value("dof_solimp")[self._dof]
        model.dof_solimp[self._dof] = _HARD if value else scene

    # ---- motor --------------------------------------------------------------------------

    def _drive(self) -> Drive:
        return self._engine.changes.drives.setdefault(self._name, Drive())

    def get_joint_target_velocity(self) -> float:
        """Return the motor's wanted velocity [rad/s or m/s], 0 when there is none."""
        return self._drive().velocity or 0.0

    def set_joint_target_velocity(self, velocity: float) -> None:
        """Let the motor turn the joint at a velocity [rad/s or m/s]."""
        drive = self._drive()
        drive.velocity, drive.position = float(velocity), None

    def get_joint_target_position(self) -> float:
        """Return the motor's wanted position [rad or m], the present when there is none."""
        position = self._drive().position
        return float(self._engine.data.qpos[self._qpos]) if position is None else position

    def set_joint_target_position(self, position: float) -> None:
        """Let the motor bring the joint to a position [rad or m]."""
        drive = self._drive()
        drive.position, drive.velocity = float(position), None

    def set_joint_force(self, force: float) -> None:
        """Set the motor's greatest force [N m or N]."""
        self._drive().force = float(force)

    def is_motor_enabled(self) -> bool:
        """Tell whether the motor works."""
        return self._drive().is_on

    def set_motor_enabled(self, value: bool) -> None:
        """Switch the motor, and the dry friction that a resting motor is, on or off."""
        self._drive().is_on = bool(value)
        loss = self._engine.scene_value("dof_frictionloss")[self._dof]
        self._engine.model.dof_frictionloss[self._dof] = loss if value else 0.0

    def is_control_loop_enabled(self) -> bool:
        """Tell whether the motor keeps a position."""
        return self._drive().position is not None

    def set_control_loop_enabled(self, value: bool) -> None:
        """Let the motor keep the present position, or a velocity of zero."""
        drive = self._drive()
        here = float(self._engine.data.qpos[self._qpos])
        drive.position, drive.velocity = (here, None) if value else (None, 0.0)

    def push(self, drive: Drive) -> None:
        """Let the motor act in the next step of physics, at most with its force."""
        data, model = self._engine.data, self._engine.model
        data.qfrc_applied[self._dof] = 0.0
        if not drive.is_on or (drive.velocity is None and drive.position is None):
            return
        # Half of what would change the velocity within one step keeps the step stable.
        gain = 0.5 / (model.dof_invweight0[self._dof] * model.opt.timestep)
        wanted = drive.velocity
        if wanted is None:
            assert drive.position is not None
            wanted = (drive.position - data.qpos[self._qpos]) / (20 * model.opt.timestep)
        push = gain * (wanted - data.qvel[self._dof])
        data.qfrc_applied[self._dof] = np.clip(push, -drive.force, drive.force)


def frame_force(engine: "MujocoEngine", body: int) -> tuple[list[float], list[float]]:
    """Return the force [N] and torque [N m] that a body takes from its parent, in its frame."""
    model, data = engine.model, engine.data
    mujoco.mj_rnePostConstraint(model, data)
    wrench = data.cfrc_int[body]
    T = engine.world_transform(body)
    lever = T[:3, 3] - data.subtree_com[model.body_rootid[body]]
    torque = wrench[:3] - np.cross(lever, wrench[3:])
    R = tf.invert(T)[:3, :3]
    return list(R @ wrench[3:]), list(R @ torque)
