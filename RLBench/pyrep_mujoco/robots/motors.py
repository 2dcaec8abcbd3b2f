"""Motors of joints as CoppeliaSim has them: they keep a velocity, with at most a given force.

A motor is MuJoCo's dry friction of the joint, told to bring it not to rest but to a velocity: the
solver finds its force together with all contacts, so that an arm does not sag, fingers press with
all of their force, and no gain must be tuned.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import Ints

_HARD = (0.9999, 0.9999, 0.001, 0.5, 2.0)
"""`solimp` of a motor: a softer one creeps."""
LOOP_SECONDS = 0.005
"""CoppeliaSim's position loop acts once in so many seconds; gains of files are meant for it."""
_LEAST_FORCE = 1e-9
_FRICTION = int(mujoco.mjtConstraint.mjCNSTR_FRICTION_DOF)


@dataclass
class Motor:
    """What a joint's motor shall do.

    Attributes:
        is_on: it works; else the joint moves freely against its dry friction.
        keeps_position: it goes to `position`, else it turns at `velocity`.
        position: wanted [rad or m].
        velocity: wanted [rad/s or m/s].
        force: greatest [N m or N].
        gain: share of what is missing to the position that is made up for in `LOOP_SECONDS`.
        velocity_limit: of the way to a position [rad/s or m/s].
        is_cyclic: goes the shorter way round.
    """

    is_on: bool = True
    keeps_position: bool = True
    position: float = 0.0
    velocity: float = 0.0
    force: float = 10.0
    gain: float = 0.1
    velocity_limit: float = 10.0
    is_cyclic: bool = False


class Motors:
    """The motors of a model's joints.

    Attributes:
        motors: by joint id; what they shall do may be changed between steps, followed by `tell`.
    """

    def __init__(self, model: mujoco.MjModel, motors: Mapping[int, Motor]) -> None:
        """Take over a model's hinges and slides.

        Args:
            model: the dry friction of joints with motors is changed in it.
            motors: by joint id.
        """
        self._model = model
        self.motors = dict(sorted(motors.items()))
        self._joints = np.array(list(self.motors), np.int64)
        self._dofs: Ints = model.jnt_dofadr[self._joints].astype(np.int64)
        self._qpos: Ints = model.jnt_qposadr[self._joints].astype(np.int64)
        self._before = (
            model.dof_frictionloss[self._dofs].copy(),
            model.dof_solimp[self._dofs].copy(),
            model.dof_solref[self._dofs].copy(),
        )
        self._wanted = np.zeros(model.nv)
        self._forces = np.zeros(model.nv)
        self.tell()

    def tell(self) -> None:
        """Take over what the motors shall do now."""
        every = list(self.motors.values())
        self._is_on = np.array([m.is_on for m in every], bool)
        self._keeps = np.array([m.keeps_position for m in every], bool)
        self._is_cyclic = np.array([m.is_cyclic for m in every], bool)
        numbers = np.array(
            [(m.position, m.velocity, m.gain / LOOP_SECONDS, m.velocity_limit) for m in every]
        ).reshape(-1, 4)
        self._position, self._velocity, self._gain, self._limit = numbers.T
        force = np.array([max(m.force, _LEAST_FORCE) for m in every])
        model, on, dofs = self._model, self._is_on, self._dofs
        loss, solimp, solref = self._before
        model.dof_frictionloss[dofs] = np.where(on, force, loss)
        model.dof_solimp[dofs] = np.where(on[:, None], _HARD, solimp)
        quick = (2 * model.opt.timestep, 1.0)
        model.dof_solref[dofs] = np.where(on[:, None], quick, solref)

    def velocities(self, data: mujoco.MjData) -> Floats:
        """Return the (motors,) velocities that the joints shall have now [rad/s or m/s]."""
        missing = self._position - data.qpos[self._qpos]
        turn = 2 * np.pi
        missing = np.where(self._is_cyclic, (missing + np.pi) % turn - np.pi, missing)
        towards = np.clip(self._gain * missing, -self._limit, self._limit)
        return np.where(self._keeps, towards, self._velocity)

    def step(self, data: mujoco.MjData) -> None:
        """Advance physics by one step."""
        mujoco.mj_step1(self._model, data)
        first, last = data.ne, data.ne + data.nf
        rows = np.flatnonzero(data.efc_type[first:last] == _FRICTION) + first
        dofs = data.efc_id[rows]
        self._wanted[self._dofs] = np.where(self._is_on, self.velocities(data), 0.0)
        # Friction wants -B v: with B w added it wants the velocity w.
        data.efc_aref[rows] += data.efc_KBIP[rows, 1] * self._wanted[dofs]
        mujoco.mj_step2(self._model, data)
        self._forces[:] = 0.0
        self._forces[dofs] = data.efc_force[rows]

    def force(self, joint: int) -> float:
        """Return what a motor, or dry friction, did to its joint in the last step [N m or N]."""
        return float(self._forces[self._model.jnt_dofadr[joint]])
