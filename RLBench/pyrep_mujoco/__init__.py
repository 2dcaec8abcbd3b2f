"""PyRep's interface on MuJoCo: scenes, objects, robots, motion, vision. Knows no task and no demonstration."""
