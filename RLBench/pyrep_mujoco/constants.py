"""Facts that the parts of this package share."""

SCENE_FILE = "scene.xml"
"""What a converted scene's MJCF is called: its folder has the scene's name."""

STEP = 0.05
"""Seconds that one step of a simulation takes, as in RLBench's scenes for CoppeliaSim."""

UNSTABLE = "unstable_physics"
"""Cause of a run that failed because numbers of the simulation became infinite or none."""
