"""Reader of V-REP's and CoppeliaSim's binary scenes (serialisation 18 to 23), and MJCF of them."""
