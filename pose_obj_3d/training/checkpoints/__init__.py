"""Checkpoints: their file, what their state must hold, and where runs keep them."""
