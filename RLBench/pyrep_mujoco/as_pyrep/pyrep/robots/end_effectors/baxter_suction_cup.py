"""The suction cup BaxterSuctionCup."""

from pyrep.robots.end_effectors.suction_cup import SuctionCup


class BaxterSuctionCup(SuctionCup):
    """A suction cup."""

    def __init__(self, count: int = 0) -> None:
        """Find it in the scene; see `SuctionCup`."""
        super().__init__(count, "BaxterSuctionCup")
