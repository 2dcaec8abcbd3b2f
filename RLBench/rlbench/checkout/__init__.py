"""Runs RLBench's own task files: their imports, names and habits, on this package's engines.

`enable()` lets scripts write `from pyrep.objects.shape import Shape`; tasks loaded from a checkout
need no call.
"""

from rlbench.checkout.stand_in import enable, stand_in

__all__ = ["enable", "stand_in"]
