"""The gripper BaxterGripper."""

from pyrep.robots.end_effectors.gripper import Gripper


class BaxterGripper(Gripper):
    """A gripper of 2 joints."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `Gripper`."""
        super().__init__(
            count,
            "BaxterGripper",
            [
                "BaxterGripper_leftJoint",
                "BaxterGripper_rightJoint",
            ],
        )
