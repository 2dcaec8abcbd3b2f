"""The older name of `rlbench.checkout`: `from rlbench.compat import enable` works as before."""

from rlbench.checkout import enable

__all__ = ["enable"]
