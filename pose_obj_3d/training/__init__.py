"""Training: config, loop, losses, checkpoints, logs."""
