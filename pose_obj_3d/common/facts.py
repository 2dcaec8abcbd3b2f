"""Numbers that several packages must agree on."""

MOVING_M_PER_S = 0.005
"""A keypoint above this speed is moving."""
DETECTION_GRID_PX = 1 / 16
"""Detections are rounded to this grid, so that they compress; even exact data is no better."""
NOISE_RATIO = 0.00504
"""Standard deviation of a detection around the exact 2D [image widths], unless asked otherwise."""
KEYPOINT_GROUPS = ("waypoints", "objects", "boxes", "robot", "frames")
"""Groups of keypoints that can be recorded; their names begin with "<group>/"."""
FRAME_AXIS_M = 0.08
"""The points x and y of a keypoint frame (group `frames`) lie so far from its origin."""
FRAME_POINTS = ("origin", "x", "y")
"""The points of a keypoint frame."""
WHITE_SHARE = 0.075
"""Share of the square error of a simulated detector whose errors last, beside its constant part,
that is independent in each frame."""
MAKE_DETECTED = "data_generation/RLBench/make_detected_data.sh"
"""Script that makes an archive with detections, from demonstrations with pictures on."""
