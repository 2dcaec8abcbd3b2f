"""Facts that the parts of this package share."""

STEP = 0.05
"""Seconds that one step of a simulation takes, as in RLBench's scenes for CoppeliaSim."""
