"""Data sets that do not fit into memory: what of them is loaded, and when."""
