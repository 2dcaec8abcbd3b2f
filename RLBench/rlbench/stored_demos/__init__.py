"""Demonstrations that RLBench has stored on disk."""

from rlbench.stored_demos.reading import get_stored_demos, require_dataset_root

__all__ = ["get_stored_demos", "require_dataset_root"]
