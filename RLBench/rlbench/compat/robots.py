"""PyRep's classes of robots: the robot of the current scene."""

from typing import Any

from rlbench.compat.current import current_robot


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


class Panda(Arm):
    """The same: a Panda's arm."""


class PandaGripper(Gripper):
    """The same: a Panda's gripper."""


class ArmConfigurationPath:
    """A way of the arm; for annotations."""
