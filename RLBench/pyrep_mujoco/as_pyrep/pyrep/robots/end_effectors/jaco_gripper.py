"""The gripper JacoGripper."""

from pyrep.robots.end_effectors.gripper import Gripper


class JacoGripper(Gripper):
    """A gripper of 3 joints."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `Gripper`."""
        super().__init__(
            count,
            "JacoHand",
            [
                "JacoHand_joint1_finger1",
                "JacoHand_joint1_finger2",
                "JacoHand_joint1_finger3",
            ],
        )
