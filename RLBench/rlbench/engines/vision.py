"""Whether this process can open windows and make images; the numbers of visibility."""

from pyrep_mujoco.vision.display import has_display
from pyrep_mujoco.vision.forks import check_not_forked
from pyrep_mujoco.vision.visibility import HIDDEN, OUTSIDE, OWN_REACH, SEEN

__all__ = ["HIDDEN", "OUTSIDE", "OWN_REACH", "SEEN", "check_not_forked", "has_display"]
