"""The gripper MicoGripper."""

from pyrep.robots.end_effectors.gripper import Gripper


class MicoGripper(Gripper):
    """A gripper of 2 joints."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `Gripper`."""
        super().__init__(
            count,
            "MicoHand",
            [
                "MicoHand_joint1_finger1",
                "MicoHand_joint1_finger3",
            ],
        )
