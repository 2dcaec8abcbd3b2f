"""The multi-hypothesis transformer."""
