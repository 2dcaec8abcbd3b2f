"""From V-REP / CoppeliaSim's binary files to plain objects."""
