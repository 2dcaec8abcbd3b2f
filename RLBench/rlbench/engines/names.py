"""How messages name what is there, in the words of the simulators."""

from pyrep_mujoco.near_names import LISTED, near_names, nearest

__all__ = ["LISTED", "near_names", "nearest"]
