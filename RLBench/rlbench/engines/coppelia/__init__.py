"""The engine on CoppeliaSim through PyRep."""
