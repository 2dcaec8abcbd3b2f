"""Paths of mobile robots, which are refused."""

from pyrep.robots import mobiles  # noqa: F401
