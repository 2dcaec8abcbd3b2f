"""What is loaded where RLBench's base scene is missing.

`task_design.ttt` is large, and copies of RLBench that pass through mirrors, archives or shallow
tools may lack it, while the robot's model beside it is there.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

BASE_SCENE = "task_design.ttt"
"""RLBench's name of the scene that every task is loaded into."""
_OURS = Path(__file__).with_name("task_design.xml")
_ROBOT = Path("robot_ttms") / "panda.ttm"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StandIn:
    """What takes the place of a missing scene.

    Attributes:
        scene: MJCF file to load.
        model: `.ttm` file of the robot, to be imported after it.
    """

    scene: Path
    model: Path


def stand_in_for(missing: Path) -> StandIn | None:
    """Return what takes the place of a scene file that is not there; None where nothing can.

    One line is logged when something does.

    Args:
        missing: the file that was asked for.
    """
    robot = missing.parent / _ROBOT
    if missing.name != BASE_SCENE or not robot.is_file():
        return None
    logger.warning(
        "%s is missing; a scene with the same names, cameras, table and walls stands in for it, "
        "with the robot of %s",
        missing,
        robot,
    )
    return StandIn(_OURS, robot)
