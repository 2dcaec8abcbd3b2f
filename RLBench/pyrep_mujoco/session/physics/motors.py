"""What drives joints: motors that hold a velocity or go to a position, springs, brakes.

A motor is an ideal one with a greatest force, as in CoppeliaSim: it does what is needed to have the
wanted velocity after the next step of physics, weight and contacts included, as far as its force
goes. At a wanted velocity of zero it is a brake, which is dry friction.
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


@dataclass(frozen=True)
class _Motor:
    """A motor at work: its joint, its degree of freedom and its address in `qpos`."""

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
        self._working: list[_Motor] = []
        self.forces = dict(forces)

    # ---- before a step ------------------------------------------------------------------

    def prepare(self) -> None:
        """Set brakes and springs for the next step, and choose the motors that work in it."""
        model = self._built.model
        self._working = []
        for motor in self._joints:
            joint, dof = motor.joint, motor.dof
            number = model.dof_jntid[dof]
            is_spring = joint.motor_on and joint.position_loop and joint.spring_loop
            model.jnt_stiffness[number] = max(joint.spring[0], 0.0) if is_spring else 0.0
            model.qpos_spring[motor.qpos] = joint.target_position
            loss = _LOOSE[joint.kind]
            if joint.motor_on and not is_spring:
                if self._is_braking(joint):
                    loss = joint.max_force
                else:
                    loss = 0.0
                    self._working.append(motor)
            model.dof_frictionloss[dof] = max(loss, 0.0)
        for motor in self._kinematic:
            model.dof_frictionloss[motor.dof] = HELD

    def _is_braking(self, joint: Joint) -> bool:
        return not joint.position_loop and joint.target_velocity == 0.0

    # ---- within a step ------------------------------------------------------------------

    def hold_kinematic(self, data: mujoco.MjData) -> None:
        """Keep joints that physics does not move where they are."""
        for motor in self._kinematic:
            data.qpos[motor.qpos] = motor.joint.value
            data.qvel[motor.dof] = 0.0

    def push(self, data: mujoco.MjData) -> None:
        """Write the motors' forces for one step of physics, between its two halves."""
        data.qfrc_applied[:] = 0.0
        if not self._working:
            return
        model = self._built.model
        dofs = np.array([motor.dof for motor in self._working])
        wanted = np.array([self._velocity(motor, data) for motor in self._working])
        rows = np.zeros((len(dofs) + 1, model.nv))
        rows[np.arange(len(dofs)), dofs] = 1.0
        rows[-1] = data.qfrc_passive - data.qfrc_bias + data.qfrc_constraint
        solved = np.zeros_like(rows)
        mujoco.mj_solveM(model, data, solved, rows)
        mobility = solved[:-1][:, dofs]
        change = (wanted - data.qvel[dofs]) / model.opt.timestep - solved[-1][dofs]
        force: Floats = np.linalg.solve(mobility, change)
        limits = np.array([motor.joint.max_force for motor in self._working])
        force = np.clip(force, -limits, limits)
        data.qfrc_applied[dofs] = force

    def _velocity(self, motor: _Motor, data: mujoco.MjData) -> float:
        """Return the velocity that a motor shall bring about [rad/s or m/s]."""
        joint = motor.joint
        if not joint.position_loop:
            return joint.target_velocity
        error = joint.target_position - data.qpos[motor.qpos]
        if joint.is_cyclic:
            error = (error + np.pi) % (2 * np.pi) - np.pi
        gain = min(joint.pid[0] / _LOOP, 0.5 / self._built.model.opt.timestep)
        limit = joint.velocity_limit if joint.velocity_limit > 0 else np.inf
        return float(np.clip(gain * error, -limit, limit))

    # ---- after a step -------------------------------------------------------------------

    def read_forces(self, data: mujoco.MjData) -> None:
        """Remember what each motor did in the last step of physics."""
        braking = self._brakes(data)
        working = {motor.dof for motor in self._working}
        for motor in self._joints:
            applied = data.qfrc_applied[motor.dof] if motor.dof in working else 0.0
            self.forces[motor.joint.handle] = float(applied + braking.get(motor.dof, 0.0))

    def _brakes(self, data: mujoco.MjData) -> dict[int, float]:
        """Return the dry friction of each degree of freedom that has some."""
        friction = data.efc_type == mujoco.mjtConstraint.mjCNSTR_FRICTION_DOF
        rows = np.flatnonzero(friction)
        return {int(data.efc_id[row]): float(data.efc_force[row]) for row in rows}

    def force(self, handle: int) -> float:
        """Return what the motor of a joint did in the last step [N m or N], along the joint."""
        return self.forces.get(handle, 0.0)
