"""Lift the block of the named colour. Scene: task_mjcf/pick_and_lift.xml."""

import numpy as np
import numpy.typing as npt

from rlbench.backend.conditions import ConditionSet, DetectedCondition, GraspedCondition
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task
from rlbench.const import colors

NO_TURN = (0.0, 0.0, 0.0)


class PickAndLift(Task):
    """Pick one of three blocks and lift it into the target volume.

    Variations: colour of the block to lift (one per entry of `colors`).
    Randomised: target position; block poses, yaw only, >= 0.1 m apart; distractor colours.
    Success: the block is held and inside `pick_and_lift_success`.
    Keypoints: waypoint0-2 on the block, waypoint3 at the target.
    Low-dimensional state: the positions of block and target volume.
    """

    def init_task(self) -> None:
        self.block = self.shape("pick_and_lift_target")
        self.distractors = [self.shape(f"stack_blocks_distractor{i}") for i in range(2)]
        self.goal = self.sensor("pick_and_lift_success")
        self.boundary = SpawnBoundary([self.shape("pick_and_lift_boundary")], self.rng)
        self.register_graspable_objects([self.block])
        held = GraspedCondition(self.robot.gripper, self.block)
        lifted = DetectedCondition(self.block, self.goal)
        self.register_success_conditions([ConditionSet([held, lifted])])
        self.register_turns_alike(self.block, 4)  # a cube of one colour
        self.register_turns_alike(self.goal, None)  # drawn as a ball

    def init_episode(self, index: int) -> list[str]:
        name, rgb = colors[index]
        self.block.set_color(rgb)
        others = [c for i, c in enumerate(colors) if i != index]
        picks = self.rng.choice(len(others), size=len(self.distractors), replace=False)
        for block, i in zip(self.distractors, picks, strict=True):
            block.set_color(others[i][1])
        self.boundary.clear()
        self.boundary.sample(self.goal, min_rotation=NO_TURN, max_rotation=NO_TURN)
        for block in (self.block, *self.distractors):
            self.boundary.sample(block, min_distance=0.1)
        return [
            f"pick up the {name} block and lift it up to the target",
            f"lift the {name} block up to the target",
            f"grasp the {name} block to the target",
        ]

    def get_low_dim_state(self) -> npt.NDArray[np.float64]:
        return np.concatenate([self.block.get_position(), self.goal.get_position()])

    def variation_count(self) -> int:
        return len(colors)
