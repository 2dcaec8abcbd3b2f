"""The suction cup DobotSuctionCup."""

from pyrep.robots.end_effectors.suction_cup import SuctionCup


class DobotSuctionCup(SuctionCup):
    """A suction cup."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `SuctionCup`."""
        super().__init__(count, "Dobot_suctionCup")
