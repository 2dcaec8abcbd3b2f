"""Arms and grippers."""
