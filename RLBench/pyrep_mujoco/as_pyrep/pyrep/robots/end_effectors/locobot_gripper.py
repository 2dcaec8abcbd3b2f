"""The gripper of a mobile robot, which is refused with its base."""

from pyrep.robots import mobiles  # noqa: F401
