"""RLBench-style robot learning tasks on an embedded simulator (MuJoCo)."""

__version__ = "0.1.0"
