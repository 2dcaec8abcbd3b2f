"""A gripper of two or three fingers; what it holds is welded to the hand."""

import mujoco
import numpy as np

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.scene_object import Frame
from pyrep_mujoco.objects.shape import MujocoShape
from pyrep_mujoco.robots.hand import HandState
from pyrep_mujoco.robots.robot_scene import RobotScene
from pyrep_mujoco.transforms import Floats

FINGER_TOLERANCE = 5e-4
STALL = 1e-4
STALL_STEPS = 3
"""Fingers that move less than `STALL` [m] in each of so many steps are stalled."""
MAX_FINGER_LAG = 0.01
"""Set points run ahead of blocked fingers by at most this [m]; their full force is 0.01."""
FULL_TRAVEL = 0.04
"""Of the fingers [m] that these lengths and all speeds are meant for; others in proportion."""


class Gripper:
    """N fingers and what they hold.

    Attributes:
        qpos_ids: (N,) where the fingers' positions are.
        actuators: (N,) ids of the fingers' servos.
        body: id of the hand's body.
        sensor: tells what can be held.
        fingers: ids of the fingers' bodies.
    """

    def __init__(self, scene: RobotScene) -> None:
        """Take what the gripper needs from a scene: its fingers, its sensor, its welds."""
        world, robot = scene.world, scene.robot
        model = world.model
        self._world, self._controls, self._welds = world, scene.controls, scene.welds
        self._turns_back_at_once = robot.is_careful
        self._range = np.full(len(robot.finger_joints), robot.finger_range)
        self._scale = self._range / FULL_TRAVEL
        self.qpos_ids = np.array([model.joint(j).qposadr[0] for j in robot.finger_joints])
        self.actuators = np.array([model.actuator(j).id for j in robot.finger_joints])
        self.body = model.body(robot.hand).id
        self.sensor = scene.sensor(robot.sensor)
        self.fingers = [model.body(name).id for name in robot.fingers]
        self._grasped: list[MujocoShape] = []
        self._last: Floats | None = None
        self._stalled = 0
        self._state = HandState()

    def reset(self) -> None:
        """Open fully and forget what was held."""
        data = self._world.data
        data.qpos[self.qpos_ids] = self._range
        data.ctrl[self.actuators] = self._range
        self._grasped = []
        self._last, self._stalled = None, 0
        self._state.reset()
        self._world.refresh()

    def get_joint_positions(self) -> Floats:
        """Return (N,) finger travel [m], of hinges [rad]."""
        return np.array(self._world.data.qpos[self.qpos_ids])

    def get_open_amount(self) -> Floats:
        """Return (N,) openings in [0, 1]."""
        opening: Floats = np.clip(self.get_joint_positions() / self._range, 0.0, 1.0)
        return opening

    def is_open(self) -> bool:
        """Tell whether the hand is open: fingers apart, not closed on anything, holding nothing."""
        return self._state.is_open(self.get_open_amount(), bool(self._grasped))

    def get_touch_sensor_forces(self) -> Floats:
        """Return (3 N,) contact force on each finger, world frame [N]."""
        data, model = self._world.data, self._world.model
        forces = np.zeros((len(self.fingers), 3))
        wrench = np.zeros(6)
        for i in range(data.ncon):
            contact = data.contact[i]
            bodies = model.geom_bodyid[contact.geom]
            for side, finger in enumerate(self.fingers):
                if finger in bodies:
                    mujoco.mj_contactForce(model, data, i, wrench)
                    sign = -1.0 if bodies[0] == finger else 1.0
                    forces[side] += sign * contact.frame.reshape(3, 3).T @ wrench[:3]
        return forces.ravel()

    def actuate(self, amount: float, velocity: float) -> bool:
        """Move one observation step towards an opening in [0, 1]; True when done or stalled."""
        is_done = self._move_towards(amount, velocity)
        self._state.was_told(amount, is_done)
        return is_done

    def _move_towards(self, amount: float, velocity: float) -> bool:
        here = self.get_joint_positions()
        goal = amount * self._range
        if (np.abs(here - goal) < FINGER_TOLERANCE * self._scale).all():
            self.set_target(goal)
            self._last = None
            return True
        if self._last is not None and (np.abs(here - self._last) < STALL * self._scale).all():
            self._stalled += 1
            if self._stalled >= STALL_STEPS:
                self._last, self._stalled = None, 0
                return True
        else:
            self._stalled = 0
        self._last = here
        start = self.get_target()
        if self._turns_back_at_once:  # else fingers that press on something count as stalled
            start = np.where(goal > here, np.maximum(start, here), np.minimum(start, here))
        timestep = self._world.model.opt.timestep
        travel = velocity * timestep * np.arange(1, self._controls.substeps + 1)
        travel = travel[:, None] * self._scale
        rows = start + np.clip(goal - start, -travel, travel)
        self._controls.rows()[:, self.actuators] = rows
        return False

    def servo_to(self, travel: Floats, velocity: float) -> None:
        """Move the fingers' set points within one step to (N,) [m], at most at `velocity` [m/s]."""
        here, lag = self.get_joint_positions(), MAX_FINGER_LAG * self._scale
        amount = float(np.mean(travel / self._range))
        self._state.was_led(amount, here, np.asarray(STALL * self._scale))
        start = np.clip(self.get_target(), here - lag, here + lag)
        timestep, substeps = self._world.model.opt.timestep, self._controls.substeps
        reach = velocity * timestep * substeps * self._scale
        goal = start + np.clip(np.clip(travel, 0.0, self._range) - start, -reach, reach)
        ramp = np.linspace(0.0, 1.0, substeps + 1)[1:, None]
        self._controls.rows()[:, self.actuators] = start + ramp * (goal - start)

    def get_range(self) -> Floats:
        """Return the fingers' (N,) travel from closed to open [m], of hinges [rad]."""
        return self._range.copy()

    def set_target(self, travel: Floats) -> None:
        """Set the fingers' servo targets [m]."""
        self._controls.hold(self.actuators, travel)

    def get_target(self) -> Floats:
        """Return the fingers' servo targets [m]."""
        return np.array(self._world.data.ctrl[self.actuators])

    def get_grasped_objects(self) -> list[MujocoShape]:
        """Return the shapes that are welded to the hand."""
        return list(self._grasped)

    def grasp(self, shape: Frame) -> bool:
        """Weld `shape` to the hand if the hand's sensor sees it; tell whether it is held.

        Raises:
            SceneError: it is no shape of a MuJoCo scene.
        """
        if not isinstance(shape, MujocoShape):
            raise SceneError(f"{shape} is no shape: it cannot be grasped")
        if shape in self._grasped:
            return True
        if not self.sensor.is_detected(shape):
            return False
        self._welds.attach(shape.body, self.body)
        self._grasped.append(shape)
        # Fingers no longer touch the object: hold them where they are.
        self.set_target(self.get_joint_positions())
        return True

    def release(self) -> None:
        """Let everything go."""
        for shape in self._grasped:
            self._welds.detach(shape.body)
        self._grasped = []
