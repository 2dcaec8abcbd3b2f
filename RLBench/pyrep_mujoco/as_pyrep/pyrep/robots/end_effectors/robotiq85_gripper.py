"""The gripper Robotiq 85."""

import numpy as np

from pyrep.objects.joint import Joint
from pyrep.robots.end_effectors.gripper import Gripper

POSITION_ERROR = 0.00001
"""A drive that has moved less in a step stands still [m]."""


class Robotiq85Gripper(Gripper):
    """A gripper of two fingers on bars; two drives push them, which are not their joints."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `Gripper`."""
        super().__init__(count, "ROBOTIQ_85", ["ROBOTIQ_85_active1", "ROBOTIQ_85_active2"])
        self._open_amount_query_joints = [
            Joint(name + self._suffix) for name in ("ROBOTIQ_85_Rjoint1", "ROBOTIQ_85_Ljoint1")
        ]

    def actuate(self, amount: float, velocity: float) -> bool:
        """Command one more step; as `Gripper.actuate`, but only for 0 and 1.

        Raises:
            ValueError: the amount is another.
        """
        if amount not in (0.0, 1.0):
            raise ValueError("This gripper currently only supports fully open or closed.")
        wanted = velocity if amount == 1.0 else -velocity
        here, is_done = self.get_joint_positions(), True
        for joint, now, before in zip(self.joints, here, self._prev_positions, strict=True):
            if before is not None and abs(now - before) < POSITION_ERROR:
                joint.set_joint_target_velocity(0.0)
                continue
            is_done = False
            joint.set_joint_target_velocity(wanted)
        self._prev_positions = list(here)
        if is_done:
            self._rest()
        return is_done

    def get_open_amount(self) -> list[float]:
        """Return how far each finger is open, 0 to 1."""
        joints = self._open_amount_query_joints
        lower, span = np.array([joint.get_joint_interval()[1] for joint in joints]).T
        closed = (np.array([joint.get_joint_position() for joint in joints]) - lower) / span
        return [float(1.0 - share) for share in np.clip(closed, 0.0, 1.0)]
