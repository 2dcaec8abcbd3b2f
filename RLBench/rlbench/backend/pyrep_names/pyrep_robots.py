"""PyRep's classes of robots: the robot of the current scene."""

from typing import Any

from rlbench.backend.pyrep_names.scene_context import current_robot
from rlbench.engines.robots import joint_counts


class _Part(type):
    part: str

    def __call__(cls, *_: Any, **__: Any) -> Any:
        return getattr(current_robot(), cls.part)

    def __instancecheck__(cls, instance: object) -> bool:
        marks = {"arm": "get_tip", "gripper": "actuate"}
        return hasattr(instance, marks[cls.part])


class Arm(metaclass=_Part):
    """The arm of the current scene's robot."""

    part = "arm"


class Gripper(metaclass=_Part):
    """The gripper of the current scene's robot."""

    part = "gripper"


def _named(names: str, base: type) -> dict[str, type]:
    return {name: _Part(name, (base,), {"__doc__": base.__doc__}) for name in names.split()}


ARMS = _named("Jaco Mico Panda Sawyer UR3 UR5 UR10", Arm)
GRIPPERS = _named("BaxterGripper JacoGripper MicoGripper PandaGripper Robotiq85Gripper", Gripper)
"""Robots by PyRep's classes: whichever is named, it is the one in the current scene."""

_CLASSES = {
    "panda": ("Panda", "PandaGripper"),
    "jaco": ("Jaco", "JacoGripper"),
    "mico": ("Mico", "MicoGripper"),
    "sawyer": ("Sawyer", "BaxterGripper"),
    "ur5": ("UR5", "Robotiq85Gripper"),
}
SUPPORTED_ROBOTS: dict[str, tuple[type, type, int]] = {
    name: (ARMS[arm], GRIPPERS[gripper], joint_counts()[name])
    for name, (arm, gripper) in _CLASSES.items()
}
"""Values of `robot_setup` -> classes of the arm and of the gripper, and the arm's joints."""


class ArmConfigurationPath:
    """A way of the arm; for annotations."""
