"""Arms, each by the names of its model file."""
