"""The robots that there are: our own Panda, and those of a checkout of RLBench."""

from pyrep_mujoco.robots.hand import OPEN
from pyrep_mujoco.robots.robot_model import PANDA
from pyrep_mujoco.ttm.robot_files import ROBOTS

__all__ = ["OPEN", "PANDA", "joint_counts"]


def joint_counts() -> dict[str, int]:
    """Return the name that `robot_setup` takes -> number of joints of the arm."""
    return {name: len(robot.model.joints) for name, robot in ROBOTS.items()}
