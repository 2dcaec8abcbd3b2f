"""Adjust cameras by the tracks themselves, where the views disagree: `lift --refine`."""
