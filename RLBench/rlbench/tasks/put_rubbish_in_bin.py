"""Throw the rubbish away. Scene: task_mjcf/put_rubbish_in_bin.xml."""

from rlbench.backend.conditions import DetectedCondition
from rlbench.backend.task import Task
from rlbench.engines.protocols import Shape


class PutRubbishInBin(Task):
    """Pick a ball of paper up between two tomatoes and drop it into a basket.

    Variations: one.
    Randomised: place and yaw of the whole scene; the rubbish stays, or changes places with one
        of the tomatoes (equally likely).
    Success: the rubbish is at the bottom of the bin, where `success` detects it.
    Keypoints: waypoint0-2 above and on the rubbish, waypoint3 above the bin.
    """

    def init_task(self) -> None:
        self.rubbish = self.shape("rubbish")
        self.tomatoes = [self.shape("tomato1"), self.shape("tomato2")]
        self.register_graspable_objects([self.rubbish])
        in_bin = DetectedCondition(self.rubbish, self.sensor("success"))
        self.register_success_conditions([in_bin])

    def init_episode(self, index: int) -> list[str]:
        choice = int(self.rng.integers(len(self.tomatoes) + 1))
        if choice < len(self.tomatoes):
            _swap_places(self.rubbish, self.tomatoes[choice])
        return [
            "put the rubbish in the bin",
            "drop the rubbish into the bin",
            "pick up the rubbish and leave it in the bin",
            "throw the rubbish away, leave the tomatoes alone",
        ]

    def variation_count(self) -> int:
        return 1


def _swap_places(a: Shape, b: Shape) -> None:
    """Exchange where two shapes stand on the table; each keeps its own height."""
    (xa, ya, za), (xb, yb, zb) = a.get_position(), b.get_position()
    a.set_position([xb, yb, za])
    b.set_position([xa, ya, zb])
