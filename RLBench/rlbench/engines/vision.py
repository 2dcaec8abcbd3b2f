"""Whether windows and images can be made in this process, and how well a camera sees a point."""

from pyrep_mujoco.vision.display import has_display
from pyrep_mujoco.vision.forks import check_not_forked
from pyrep_mujoco.vision.visibility import HIDDEN, OUTSIDE, OWN_REACH, SEEN

__all__ = ["HIDDEN", "OUTSIDE", "OWN_REACH", "SEEN", "check_not_forked", "has_display"]
