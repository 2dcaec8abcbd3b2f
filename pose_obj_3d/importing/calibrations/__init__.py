"""Cameras from the calibration files of other tools."""
