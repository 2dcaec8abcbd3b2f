"""The arm UR3."""

from pyrep.robots.arms.arm import Arm


class UR3(Arm):
    """An arm of 6 joints."""

    def __init__(
        self, count: int = 0, max_velocity: float = 1.0, max_acceleration: float = 4.0
    ) -> None:
        """Find it in the scene; see `Arm`."""
        super().__init__(
            count,
            "UR3",
            6,
            max_velocity=max_velocity,
            max_acceleration=max_acceleration,
        )
