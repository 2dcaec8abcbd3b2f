"""PyRep's interface on MuJoCo: scenes, objects, robots, motion, vision. It knows no task."""
