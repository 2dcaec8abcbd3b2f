"""Data sets that ship: their card, and packing."""
