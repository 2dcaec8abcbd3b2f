"""Simulation engines behind the protocols of `rlbench.engines.protocols`."""
