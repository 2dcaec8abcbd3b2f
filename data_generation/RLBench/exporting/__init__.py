"""Data sets in the formats of other projects, made of raw data."""
