"""Open a box and put two shoes into it. Scene: task_mjcf/put_shoes_in_box.xml."""

import numpy as np

from rlbench.backend.conditions import (
    ConditionSet,
    DetectedSeveralCondition,
    NothingGrasped,
)
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task

NO_TURN = (0.0, 0.0, 0.0)
SHOE_TURN = float(np.deg2rad(20))
SHOE_DISTANCE = 0.12
"""Between the shoes' middles [m], so that the open hand fits between them."""


class PutShoesInBox(Task):
    """Push the lid of a box open, then put both shoes into the box.

    Variations: one.
    Randomised: place of box and shoes together; places of the shoes beside the box, yaw within
        20 degrees.
    Success: both shoes are inside `success`, at the bottom of the box, and nothing is held.
    Keypoints: waypoint0 before the gap under the lid, waypoint1 where the push begins, waypoint2
        off the open lid; waypoint3 and 4 above and on shoe1, 7 and 8 on shoe2; waypoint5 and 9
        above the box, 6 and 10 where a shoe is let go, 11 above it.
    """

    def init_task(self) -> None:
        self.shoes = [self.shape("shoe1"), self.shape("shoe2")]
        self.boundary = SpawnBoundary([self.shape("shoe_boundary")], self.rng)
        self.register_graspable_objects(self.shoes)
        inside = DetectedSeveralCondition(self.shoes, self.sensor("success"), len(self.shoes))
        free = NothingGrasped(self.robot.gripper)
        self.register_success_conditions([ConditionSet([inside, free])])

    def init_episode(self, index: int) -> list[str]:
        self.boundary.clear()
        low, high = (0.0, 0.0, -SHOE_TURN), (0.0, 0.0, SHOE_TURN)
        for shoe in self.shoes:
            self.boundary.sample(
                shoe, min_rotation=low, max_rotation=high, min_distance=SHOE_DISTANCE
            )
        return [
            "put the shoes in the box",
            "open the box and place the shoes inside",
            "lift the lid of the box and put both shoes away",
        ]

    def variation_count(self) -> int:
        return 1

    def base_rotation_bounds(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return NO_TURN, NO_TURN
