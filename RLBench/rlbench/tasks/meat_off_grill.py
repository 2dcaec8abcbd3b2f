"""Take a piece of meat off the fire. Scene: task_mjcf/meat_off_grill.xml."""

import numpy as np

from rlbench.backend.conditions import DetectedCondition, NothingGrasped
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task
from rlbench.engines.protocols import SceneObject

MEAT = ("chicken", "steak")
GRASP = (
    (0.0288, 0.0050, 0.0008, 1.0, 0.0, 0.0, 0.0),
    (-0.0128, -0.0045, -0.0046, 0.0, 1.0, 0.0, 0.0),
)
"""Pose of the tip in the frame of each piece, position and quaternion xyzw."""
MEAT_TURN = float(np.deg2rad(20))
RACK_RISE = 0.0235
"""Height of the side rack over the fire's bars, and 1.5 mm to let go above it [m]."""


class MeatOffGrill(Task):
    """Take the chicken or the steak off the fire and lay it on the side rack.

    Variations: chicken, steak.
    Randomised: place and yaw (within 45 degrees) of the grill; which piece lies on which half of
        the fire; where on it, and its yaw (within 20 degrees).
    Success: the named piece is inside `success`, over the side rack, and nothing is held.
    Keypoints: waypoint1 in the named piece as it lies at the start, waypoint0 and 2 above it;
        waypoint4 where the piece is let go, waypoint3 and 5 above it. None of them moves.
    """

    def init_task(self) -> None:
        self.meat = [self.shape(name) for name in MEAT]
        self.rack = self.sensor("success")
        self.grill = self.shape("grill")
        self.grasp = self.dummy("waypoint1")
        self.put = self.dummy("waypoint4")
        halves = [self.shape(f"meat_boundary{i}") for i in range(2)]
        self.boundary = SpawnBoundary(halves, self.rng)
        self.register_graspable_objects(self.meat)

    def init_episode(self, index: int) -> list[str]:
        name, meat = MEAT[index], self.meat[index]
        self.boundary.clear()
        turn = (0.0, 0.0, MEAT_TURN)
        for piece in self.meat:
            # Two pieces on one half would be nearer than the middles of the halves are.
            self.boundary.sample(
                piece, min_rotation=(0.0, 0.0, -MEAT_TURN), max_rotation=turn, min_distance=0.1
            )
        self.grasp.set_pose(GRASP[index], relative_to=meat)
        x, y, _ = self.put.get_position(self.grill)
        height = self.grasp.get_position(self.grill)[2] + RACK_RISE
        self.put.set_position([x, y, height], self.grill)
        on_rack = DetectedCondition(meat, self.rack)
        self.register_success_conditions([on_rack, NothingGrasped(self.robot.gripper)])
        return [
            f"take the {name} off the grill",
            f"pick up the {name} and place it next to the grill",
            f"remove the {name} from the grill and set it down to the side",
        ]

    def variation_count(self) -> int:
        return len(MEAT)

    def boundary_root(self) -> SceneObject:
        return self.shape("grill_root")

    def base_rotation_bounds(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return (0.0, 0.0, -np.pi / 4), (0.0, 0.0, np.pi / 4)
