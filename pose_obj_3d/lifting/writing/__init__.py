"""Lifted points in the formats of other tools."""
