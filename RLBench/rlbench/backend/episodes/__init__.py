"""How an episode of a task is placed and demonstrated."""
