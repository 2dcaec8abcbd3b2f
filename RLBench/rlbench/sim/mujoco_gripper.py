"""The gripper on MuJoCo."""

import mujoco
import numpy as np

from rlbench.sim.mujoco_engine import MujocoEngine
from rlbench.sim.mujoco_objects import MujocoShape
from rlbench.transforms import Floats

FINGER_TOLERANCE = 5e-4
STALL = 1e-4
STALL_STEPS = 3
"""Fingers that move less than `STALL` [m] in each of so many steps are stalled."""
MAX_FINGER_LAG = 0.01
"""Set points run ahead of blocked fingers by at most this [m]; their full force is 0.01."""


class Gripper:
    """Two fingers; what they hold is welded to the hand."""

    def __init__(self, engine: MujocoEngine) -> None:
        model, robot = engine.model, engine.robot
        self._engine = engine
        self._range = robot.finger_range
        self.qpos_ids = np.array([model.joint(j).qposadr[0] for j in robot.finger_joints])
        self.actuators = np.array([model.actuator(j).id for j in robot.finger_joints])
        self.body = model.body(robot.hand).id
        self.sensor = engine.sensor(robot.sensor)
        self.fingers = [model.body(name).id for name in robot.fingers]
        self._grasped: list[MujocoShape] = []
        self._last: Floats | None = None
        self._stalled = 0

    def reset(self) -> None:
        """Open fully and forget what was held."""
        data = self._engine.data
        data.qpos[self.qpos_ids] = self._range
        data.ctrl[self.actuators] = self._range
        self._grasped = []
        self._last, self._stalled = None, 0
        self._engine.refresh()

    def get_joint_positions(self) -> Floats:
        """Return (2,) finger travel [m]."""
        return self._engine.data.qpos[self.qpos_ids].copy()

    def get_open_amount(self) -> Floats:
        """Return (2,) openings in [0, 1]."""
        return np.clip(self.get_joint_positions() / self._range, 0.0, 1.0)

    def get_touch_sensor_forces(self) -> Floats:
        """Return (6,) contact force on each finger, world frame [N]."""
        data, model = self._engine.data, self._engine.model
        forces = np.zeros((2, 3))
        wrench = np.zeros(6)
        for i in range(data.ncon):
            contact = data.contact[i]
            bodies = model.geom_bodyid[contact.geom]
            for side, finger in enumerate(self.fingers):
                if finger in bodies:
                    mujoco.mj_contactForce(model, data, i, wrench)
                    sign = -1.0 if bodies[0] == finger else 1.0
                    forces[side] += sign * contact.frame.reshape(3, 3).T @ wrench[:3]
        return forces.reshape(6)

    def actuate(self, amount: float, velocity: float) -> bool:
        """Move one observation step towards an opening in [0, 1]; True when done or stalled."""
        engine = self._engine
        here = self.get_joint_positions()
        if np.abs(here - amount * self._range).max() < FINGER_TOLERANCE:
            self.set_target(np.full(2, amount * self._range))
            self._last = None
            return True
        if self._last is not None and np.abs(here - self._last).max() < STALL:
            self._stalled += 1
            if self._stalled >= STALL_STEPS:
                self._last, self._stalled = None, 0
                return True
        else:
            self._stalled = 0
        self._last = here
        goal = np.full(2, amount * self._range)
        start = self.get_target()
        if engine.robot.is_careful:  # else fingers that press on something count as stalled
            start = np.where(goal > here, np.maximum(start, here), np.minimum(start, here))
        travel = velocity * engine.model.opt.timestep * np.arange(1, engine.substeps + 1)
        rows = start + np.clip(goal - start, -travel[:, None], travel[:, None])
        engine.control_rows()[:, self.actuators] = rows
        return False

    def servo_to(self, travel: Floats, velocity: float) -> None:
        """Move the fingers' set points within one step to (2,) [m], at most at `velocity` [m/s]."""
        engine = self._engine
        here = self.get_joint_positions()
        start = np.clip(self.get_target(), here - MAX_FINGER_LAG, here + MAX_FINGER_LAG)
        reach = velocity * engine.model.opt.timestep * engine.substeps
        goal = start + np.clip(np.clip(travel, 0.0, self._range) - start, -reach, reach)
        ramp = np.linspace(0.0, 1.0, engine.substeps + 1)[1:, None]
        engine.control_rows()[:, self.actuators] = start + ramp * (goal - start)

    def get_range(self) -> float:
        """Return a finger's travel from closed to open [m]."""
        return self._range

    def set_target(self, travel: Floats) -> None:
        """Set the fingers' servo targets [m]."""
        self._engine.data.ctrl[self.actuators] = travel

    def get_target(self) -> Floats:
        """Return the fingers' servo targets [m]."""
        return self._engine.data.ctrl[self.actuators].copy()

    def get_grasped_objects(self) -> list[MujocoShape]:
        """Return the shapes that are welded to the hand."""
        return list(self._grasped)

    def grasp(self, shape: MujocoShape) -> bool:
        """Weld `shape` to the hand if the hand's sensor sees it; tell whether it is held."""
        if shape in self._grasped:
            return True
        if not self.sensor.is_detected(shape):
            return False
        self._engine.attach(shape.body, self.body)
        self._grasped.append(shape)
        # Fingers no longer touch the object: hold them where they are.
        self.set_target(self.get_joint_positions())
        return True

    def release(self) -> None:
        """Let everything go."""
        for shape in self._grasped:
            self._engine.detach(shape.body)
        self._grasped = []
