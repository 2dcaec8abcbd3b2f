"""Touch the sphere of the named colour. Scene: task_mjcf/reach_target.xml."""

import numpy as np
import numpy.typing as npt

from rlbench.backend.conditions import DetectedCondition
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task
from rlbench.const import colors

NO_TURN = (0.0, 0.0, 0.0)


class ReachTarget(Task):
    """Bring the tip to one of three floating spheres.

    Variations: colour of the target (one per entry of `colors`).
    Randomised: positions of target and distractors, >= 0.2 m apart; distractor colours.
    Success: the tip is inside `success`.
    Keypoints: waypoint0, the target's centre.
    Low-dimensional state: the target's position. Shaped reward: minus the tip's distance from it.
    """

    def init_task(self) -> None:
        self.target = self.shape("target")
        self.distractors = [self.shape(f"distractor{i}") for i in range(2)]
        self.boundary = SpawnBoundary([self.shape("boundary")], self.rng)
        tip = self.robot.arm.get_tip()
        self.register_success_conditions([DetectedCondition(tip, self.sensor("success"))])

    def init_episode(self, index: int) -> list[str]:
        name, rgb = colors[index]
        self.target.set_color(rgb)
        others = [c for i, c in enumerate(colors) if i != index]
        picks = self.rng.choice(len(others), size=len(self.distractors), replace=False)
        for ball, i in zip(self.distractors, picks, strict=True):
            ball.set_color(others[i][1])
        self.boundary.clear()
        for ball in (self.target, *self.distractors):
            self.boundary.sample(ball, min_rotation=NO_TURN, max_rotation=NO_TURN, min_distance=0.2)
        return [
            f"reach the {name} target",
            f"touch the {name} ball with the panda gripper",
            f"reach the {name} sphere",
        ]

    def reward(self) -> float:
        tip = self.robot.arm.get_tip().get_position()
        return -float(np.linalg.norm(self.target.get_position() - tip))

    def get_low_dim_state(self) -> npt.NDArray[np.float64]:
        return self.target.get_position()

    def variation_count(self) -> int:
        return len(colors)

    def base_rotation_bounds(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return NO_TURN, NO_TURN

    def is_static_workspace(self) -> bool:
        return True
