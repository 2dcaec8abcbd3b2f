"""RLBench's binary scenes (V-REP / CoppeliaSim, serialisation 18 to 23): reader and converter to MJCF."""
