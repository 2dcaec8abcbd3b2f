"""2D tracks of keypoints: the simulated detector and its statistics."""
