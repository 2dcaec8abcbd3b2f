"""Lift multi-view 2D keypoint tracks to 3D: data format, geometry, models, training, evaluation."""
