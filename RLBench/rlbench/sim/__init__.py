"""Simulation engines behind the protocols of `rlbench.sim.base`."""
