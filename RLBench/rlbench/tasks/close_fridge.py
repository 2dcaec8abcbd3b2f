"""Push the fridge's upper door shut. Scene: task_mjcf/close_fridge.xml."""

import numpy as np

from rlbench.backend.conditions import JointCondition
from rlbench.backend.task import Task
from rlbench.engines.protocols import SceneObject

CLOSING = float(np.deg2rad(30))


class CloseFridge(Task):
    """Swing the open upper door of a fridge towards its frame.

    Variations: one.
    Randomised: place and yaw (within 45 degrees) of the fridge.
    Success: `top_joint` has turned by more than 30 degrees since the start.
    Keypoints: waypoint0 in front of the door, waypoint1 where the push ends.
    """

    def init_task(self) -> None:
        self.register_success_conditions([JointCondition(self.joint("top_joint"), CLOSING)])

    def init_episode(self, index: int) -> list[str]:
        return ["close fridge", "close the fridge door", "push the fridge door shut"]

    def variation_count(self) -> int:
        return 1

    def boundary_root(self) -> SceneObject:
        return self.shape("fridge_root")

    def base_rotation_bounds(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return (0.0, 0.0, -np.pi / 4), (0.0, 0.0, np.pi / 4)
