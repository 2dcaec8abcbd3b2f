"""The arm XArm7."""

from pyrep.robots.arms.arm import Arm


class XArm7(Arm):
    """An arm of 7 joints."""

    def __init__(
        self, count: int = 0, max_velocity: float = 1.0, max_acceleration: float = 4.0
    ) -> None:
        """Find it in the scene; see `Arm`."""
        super().__init__(
            count,
            "xarm",
            7,
            max_velocity=max_velocity,
            max_acceleration=max_acceleration,
        )
