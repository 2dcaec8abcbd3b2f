"""Grippers and suction cups."""
