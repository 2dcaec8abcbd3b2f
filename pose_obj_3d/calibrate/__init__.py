"""Calibrate cameras with a board that they see: `python -m pose_obj_3d.calibrate`."""
