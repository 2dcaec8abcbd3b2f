"""Writing files: whole or not at all, and images as PNG."""

from pyrep_mujoco.png import png_bytes
from pyrep_mujoco.whole_files import write_whole, writing

__all__ = ["png_bytes", "write_whole", "writing"]
