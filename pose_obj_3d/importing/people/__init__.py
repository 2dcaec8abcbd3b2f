"""People: json folders of OpenPose and Pose2Sim, and the data sets of VideoPose3D."""
