"""Adjust cameras together with what they see: bundle adjustment."""
