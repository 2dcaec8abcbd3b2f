"""Kinematics, planning and timing; knows numbers of robots, no engine."""
