"""What a command does before it imports anything large."""

from pyrep_mujoco.process_start import prepare

__all__ = ["prepare"]
