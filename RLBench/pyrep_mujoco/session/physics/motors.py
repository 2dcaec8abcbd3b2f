"""What drives joints: motors that hold a velocity or go to a position, springs, brakes.

A motor is an ideal one with a greatest force, as in CoppeliaSim. It is MuJoCo's dry friction of the
joint, told to bring it not to rest but to a velocity: the solver finds its force together with all
contacts, so that an arm does not sag, fingers press with all of their force, and no gain must be
tuned.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.physics.building import Built
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.joints import HELD
from pyrep_mujoco.ttm.reading.model import Joint

_LOOP = 0.005
"""Seconds of one turn of CoppeliaSim's position loop: its gains mean that."""
_LOOSE = {"revolute": 1e-3, "prismatic": 1e-2}
"""Dry friction [N m or N] of a joint whose motor is off."""
_HARD = (0.9999, 0.9999, 0.001, 0.5, 2.0)
"""`solimp` of a motor: a softer one creeps."""


@dataclass(frozen=True)
class _Motor:
    """A motor: its joint, its degree of freedom and its address in `qpos`."""

    joint: Joint
    dof: int
    qpos: int


class Motors:
    """Drives the joints of one compiled model.

    Attributes:
        forces: joint -> what its motor did in the last step [N m or N].
    """

    def __init__(self, document: Document, built: Built, forces: dict[int, float]) -> None:
        """Take over the joints of a model; `forces` are of the last step of the one before."""
        self._built = built
        model = built.model
        self._joints: list[_Motor] = []
        self._kinematic: list[_Motor] = []
        for handle, number in built.joints.items():
            joint = document.of_kind(handle, Joint, "joint")
            dof, qpos = int(model.jnt_dofadr[number]), int(model.jnt_qposadr[number])
            motor = _Motor(joint, dof, qpos)
            if joint.kind in _LOOSE:
                (self._joints if handle in built.driven else self._kinematic).append(motor)
        self._dofs = np.array([motor.dof for motor in self._joints], np.int64)
        self._qpos = np.array([motor.qpos for motor in self._joints], np.int64)
        self._wanted = np.zeros(model.nv)
        self._found = np.zeros(model.nv)
        self._damping = model.dof_damping.copy()
        self.forces = dict(forces)

    # ---- before a step ------------------------------------------------------------------

    def prepare(self) -> None:
        """Take over what the joints' motors and springs shall do in the next step."""
        model = self._built.model
        for motor in self._joints:
            joint, dof = motor.joint, motor.dof
            number = model.dof_jntid[dof]
            is_spring = joint.motor_on and joint.position_loop and joint.spring_loop
            model.jnt_stiffness[number] = max(joint.spring[0], 0.0) if is_spring else 0.0
            model.qpos_spring[motor.qpos] = joint.target_position
            damping = max(joint.spring[1], 0.0) if is_spring else 0.0
            model.dof_damping[dof] = max(damping, self._damping[dof])
            is_driven = joint.motor_on and not is_spring
            loss = joint.max_force if is_driven else _LOOSE[joint.kind]
            if is_driven and _is_locked(joint):
                loss = HELD
            model.dof_frictionloss[dof] = max(loss, 0.0)
            model.dof_solimp[dof] = _HARD
            model.dof_solref[dof] = (2 * model.opt.timestep, 1.0)
        for motor in self._kinematic:
            model.dof_frictionloss[motor.dof] = HELD
        joints = [motor.joint for motor in self._joints]
        self._keeps = np.array([j.motor_on and j.position_loop for j in joints], bool)
        self._keeps &= ~np.array([j.spring_loop for j in joints], bool)
        self._is_cyclic = np.array([j.is_cyclic for j in joints], bool)
        self._turns_freely = bool(self._is_cyclic.any())
        turns = [j.motor_on and not j.position_loop for j in joints]
        self._velocity = np.where(turns, [j.target_velocity for j in joints], 0.0)
        self._position = np.array([j.target_position for j in joints], np.float64)
        limits = [j.velocity_limit if j.velocity_limit > 0 else np.inf for j in joints]
        self._limit = np.array(limits, np.float64)
        gains = np.array([j.pid[0] for j in joints], np.float64) / _LOOP
        self._gain = np.minimum(gains, 0.5 / model.opt.timestep)

    # ---- within a step ------------------------------------------------------------------

    def hold_kinematic(self, data: mujoco.MjData) -> None:
        """Keep joints that physics does not move where they are."""
        for motor in self._kinematic:
            data.qpos[motor.qpos] = motor.joint.value
            data.qvel[motor.dof] = 0.0

    def push(self, data: mujoco.MjData) -> None:
        """Tell the motors' velocities to one step of physics, between its two halves."""
        self._wanted[self._dofs] = self._velocities(data)
        rows = self._rows(data)
        # Friction wants -B v: with B w added it wants the velocity w.
        data.efc_aref[rows] += data.efc_KBIP[rows, 1] * self._wanted[data.efc_id[rows]]

    def _rows(self, data: mujoco.MjData) -> slice:
        """Return the rows of the constraints that are dry friction: all of joints."""
        return slice(data.ne, data.ne + data.nf)

    def _velocities(self, data: mujoco.MjData) -> Floats:
        """Return the velocities that the joints shall have now [rad/s or m/s]."""
        missing = self._position - data.qpos[self._qpos]
        if self._turns_freely:
            turned = (missing + np.pi) % (2 * np.pi) - np.pi
            missing = np.where(self._is_cyclic, turned, missing)
        towards = np.minimum(np.maximum(self._gain * missing, -self._limit), self._limit)
        return np.where(self._keeps, towards, self._velocity)

    # ---- after a step -------------------------------------------------------------------

    def read_forces(self, data: mujoco.MjData) -> None:
        """Remember what each motor, or dry friction, did in the last step of physics."""
        rows = self._rows(data)
        self._found[:] = 0.0
        self._found[data.efc_id[rows]] = data.efc_force[rows]
        for motor in self._joints:
            self.forces[motor.joint.handle] = float(self._found[motor.dof])

    def force(self, handle: int) -> float:
        """Return what the motor of a joint did in the last step [N m or N], along the joint."""
        return self.forces.get(handle, 0.0)


def _is_locked(joint: Joint) -> bool:
    """Tell whether a motor locks its joint, whatever its greatest force is."""
    return joint.locks_at_zero and not joint.position_loop and joint.target_velocity == 0.0
