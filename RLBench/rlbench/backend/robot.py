"""The robot as tasks and scenes see it, under RLBench's path."""

from rlbench.engines.robot_protocols import Robot

__all__ = ["Robot"]
