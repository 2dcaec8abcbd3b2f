"""The most probable whole track, given every detection of it: a maximum a posteriori estimate."""
