"""Observations and keypoints of a scene."""
