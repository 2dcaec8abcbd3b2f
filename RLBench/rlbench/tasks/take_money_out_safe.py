"""Take the money of one shelf out of an open safe. Scene: task_mjcf/take_money_out_safe.xml."""

import numpy as np

from rlbench.backend.conditions import ConditionSet, DetectedCondition, NothingGrasped
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task

SHELVES = ("bottom", "middle", "top")
PLACEMENT_TURN = float(np.deg2rad(15))
MONEY_TURN = float(np.deg2rad(18))


class TakeMoneyOutSafe(Task):
    """Grasp the stack of notes on the named shelf and put it on the table.

    Variations: the shelf (bottom, middle, top).
    Randomised: place and yaw (within 90 degrees) of the safe; the stack to take, on its shelf;
        where it is to be put down.
    Success: the stack is detected by `success_detector`, on the table, and nothing is held.
    Keypoints: waypoint0 before the stack, waypoint1 where it is grasped, waypoint2 out of the
        safe, waypoint3 where it is put down.
    """

    def init_task(self) -> None:
        self.stacks = [self.shape(f"dollar_stack{i}") for i in range(len(SHELVES))]
        self.grasp_frames = [self.dummy(f"dummy_shelf{i}") for i in range(len(SHELVES))]
        self.grasp_waypoint = self.dummy("waypoint1")
        self.put_waypoint = self.dummy("waypoint3")
        self.goal = self.sensor("success_detector")
        self.money_boundary = SpawnBoundary([self.shape("money_boundary")], self.rng)
        self.placement_boundary = SpawnBoundary([self.shape("placement_boundary")], self.rng)
        self.register_graspable_objects(self.stacks)

    def init_episode(self, index: int) -> list[str]:
        stack, shelf = self.stacks[index], SHELVES[index]
        self.placement_boundary.clear()
        self.placement_boundary.sample(
            self.put_waypoint,
            min_rotation=(0.0, 0.0, -PLACEMENT_TURN),
            max_rotation=(0.0, 0.0, PLACEMENT_TURN),
        )
        self.money_boundary.clear()
        self.money_boundary.sample(
            stack, min_rotation=(0.0, 0.0, -MONEY_TURN), max_rotation=(0.0, 0.0, 0.0)
        )
        # The frame of the grasp lies on the stack; waypoint0 and waypoint2 come along.
        self.grasp_waypoint.set_pose(list(self.grasp_frames[index].get_pose()))
        put_down = DetectedCondition(stack, self.goal)
        released = NothingGrasped(self.robot.gripper)
        self.register_success_conditions([ConditionSet([put_down, released])])
        return [
            f"take the money out of the {shelf} shelf and place it on the table",
            f"take the stack of money out of the {shelf} shelf and place it on the table",
            f"take one of the stacks of money out of the safe, the one on the {shelf} shelf",
            f"grasp the money on the {shelf} shelf of the safe, take it out and put it down",
        ]

    def variation_count(self) -> int:
        return len(SHELVES)

    def base_rotation_bounds(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return (0.0, 0.0, -np.pi / 2), (0.0, 0.0, np.pi / 2)
