"""Tracks in the files of other tools, read and joined to what a `tracks.npz` holds."""
