"""A detector that learns: network, losses, claims, batches, training."""
