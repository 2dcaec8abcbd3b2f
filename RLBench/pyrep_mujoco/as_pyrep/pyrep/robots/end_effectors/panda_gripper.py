"""The gripper PandaGripper."""

from pyrep.robots.end_effectors.gripper import Gripper


class PandaGripper(Gripper):
    """A gripper of 2 joints."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `Gripper`."""
        super().__init__(
            count,
            "Panda_gripper",
            [
                "Panda_gripper_joint1",
                "Panda_gripper_joint2",
            ],
        )
