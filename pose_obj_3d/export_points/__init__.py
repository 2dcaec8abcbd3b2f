"""The command `python -m pose_obj_3d.export_points`."""
