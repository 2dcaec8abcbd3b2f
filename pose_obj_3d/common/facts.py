"""Numbers that several packages must agree on."""

MOVING_M_PER_S = 0.005
"""A keypoint above this speed is moving."""
DETECTION_GRID_PX = 1 / 16
"""Detections are rounded to this grid, so that they compress; even exact data is no better."""
