"""Lifting users' own tracks."""
