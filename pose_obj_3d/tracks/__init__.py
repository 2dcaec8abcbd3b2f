"""Tracks as tensors: types, windows, loading."""
