"""Grippers: hands whose fingers open and close."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrep.objects.force_sensor import ForceSensor
from pyrep.objects.object import Object
from pyrep.objects.proximity_sensor import ProximitySensor
from pyrep.robots.end_effectors.holding import Holding
from pyrep.robots.robot_component import RobotComponent

POSITION_ERROR = 0.001
"""A finger that is nearer to its goal, or has moved less in a step, has arrived [rad or m]."""
HELD_OPEN = 0.9
"""A finger is open no further than this share while the gripper holds something."""


class Gripper(RobotComponent):
    """A gripper: its fingers, what it detects, what hangs on it, what it feels."""

    def __init__(self, count: int, name: str, joint_names: Sequence[str]) -> None:
        """Find a gripper in the scene.

        Args:
            count: which of several copies, 0 for the first.
            name: its sensor is `<name>_attachProxSensor`, what it holds hangs on
                `<name>_attachPoint`, it feels with `<name>_touchSensor0` ...
            joint_names: of its fingers.
        """
        super().__init__(count, name, joint_names)
        self._proximity_sensor = ProximitySensor(f"{name}_attachProxSensor{self._suffix}")
        self._attach_point = ForceSensor(f"{name}_attachPoint{self._suffix}")
        self._holding = Holding(self._proximity_sensor, self._attach_point)
        self._prev_positions: list[float | None] = [None] * len(joint_names)
        self._prev_vels: list[float | None] = [None] * len(joint_names)
        self._touch_sensors: list[ForceSensor] = []
        while ForceSensor.exists(sensor := self._touch_name(name)):
            self._touch_sensors.append(ForceSensor(sensor))

    def _touch_name(self, name: str) -> str:
        return f"{name}_touchSensor{len(self._touch_sensors)}{self._suffix}"

    def grasp(self, obj: Object) -> bool:
        """Hold an object if it is detected, without moving the fingers; tell whether it is."""
        return self._holding.grasp(obj)

    def release(self) -> None:
        """Let all that is held go, without moving the fingers."""
        self._holding.release()

    def get_grasped_objects(self) -> list[Object]:
        """Return what is held."""
        return self._holding.objects()

    def actuate(self, amount: float, velocity: float) -> bool:
        """Command one more step towards an opening; to be called until it returns True.

        Args:
            amount: 0 closed to 1 open.
            velocity: of the fingers [rad/s or m/s].

        Returns:
            Whether all fingers have arrived, or are stopped by something.

        Raises:
            ValueError: the amount is not in [0, 1].
        """
        if not 0.0 <= amount <= 1.0:
            raise ValueError(f"'open_amount' should be between 0 and 1, got {amount}")
        lower, span = self._travel()
        goals = lower + span * amount
        here, is_done = self.get_joint_positions(), True
        for i, joint in enumerate(self.joints):
            missing, before = float(goals[i]) - here[i], self._prev_positions[i]
            wanted = -velocity if missing < 0 else velocity
            is_still = before is not None and abs(here[i] - before) < POSITION_ERROR
            turns_back = self._prev_vels[i] is not None and wanted != self._prev_vels[i]
            if is_still or turns_back or abs(missing) < POSITION_ERROR:
                joint.set_joint_target_velocity(0.0)
                continue
            is_done, self._prev_vels[i] = False, wanted
            joint.set_joint_target_velocity(wanted)
        self._prev_positions = list(here)
        if is_done:
            self._rest()
        return is_done

    def _rest(self) -> None:
        """Forget the command that is done, and let the fingers stand still."""
        self._prev_positions = [None] * self._num_joints
        self._prev_vels = [None] * self._num_joints
        self.set_joint_target_velocities([0.0] * self._num_joints)

    def _travel(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return (fingers,) the least values and the spans [rad or m] from closed to open."""
        intervals = np.array(self.get_joint_intervals()[1], np.float64)
        return intervals[:, 0], intervals[:, 1]

    def get_open_amount(self) -> list[float]:
        """Return how far each finger is open, 0 to 1; at most `HELD_OPEN` while it holds something.

        In CoppeliaSim fingers sink into what they hold. RLBench counts on that: above 0.9 a hand is
        open, even one that holds a jar's lid as wide as itself, and is not opened any more.
        """
        lower, span = self._travel()
        shares = (np.array(self.get_joint_positions()) - lower) / span
        highest = HELD_OPEN if self.get_grasped_objects() else 1.0
        return [float(share) for share in np.clip(shares, 0.0, highest)]

    def get_touch_sensor_forces(self) -> list[list[float]]:
        """Return (3,) what presses on each touch sensor [N], in its frame.

        Raises:
            NotImplementedError: the gripper has none.
        """
        if not self._touch_sensors:
            raise NotImplementedError(f"{self.get_name()} has no touch sensors")
        return [sensor.read()[0] for sensor in self._touch_sensors]
