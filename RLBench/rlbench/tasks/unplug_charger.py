"""Pull a charger out of a socket on a wall. Scene: task_mjcf/unplug_charger.xml."""

import numpy as np

from rlbench.backend.conditions import DetectedCondition
from rlbench.backend.exceptions import ConfigurationPathError, DemoError
from rlbench.backend.task import Task
from rlbench.backend.waypoints import Waypoint


class UnplugCharger(Task):
    """Grasp the charger and pull its two prongs straight out of the socket.

    Variations: one.
    Randomised: place and yaw (within 45 degrees) of the wall with socket and charger.
    Success: the charger is inside `charger_success`, a hand's breadth in front of the socket.
    Keypoints: waypoint0 on the charger, waypoint1 where the pull ends.
    """

    def init_task(self) -> None:
        charger = self.shape("charger")
        self.register_graspable_objects([charger])
        out = DetectedCondition(charger, self.sensor("charger_success"))
        self.register_success_conditions([out])
        self.register_waypoint_ability_start(1, self._require_straight_pull)

    def init_episode(self, index: int) -> list[str]:
        return [
            "unplug charger",
            "unplug the charger from the wall",
            "grasp the charger and pull it out of the socket",
        ]

    def variation_count(self) -> int:
        return 1

    def base_rotation_bounds(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return (0.0, 0.0, -np.pi / 4), (0.0, 0.0, np.pi / 4)

    def _require_straight_pull(self, waypoint: Waypoint) -> None:
        """Give up where the arm can only swing to `waypoint`: that would wrench the prongs."""
        goal = waypoint.dummy.get_matrix()
        try:
            self.robot.arm.plan(goal, self.rng, ignore_collisions=True, linear_only=True)
        except ConfigurationPathError as error:
            raise DemoError(
                f"{self.name}: the charger cannot be pulled straight: {error}",
                cause="no_straight_pull",
            ) from error
