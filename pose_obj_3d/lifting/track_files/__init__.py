"""Read what a user has recorded: `tracks.npz`, or the same as arrays."""
