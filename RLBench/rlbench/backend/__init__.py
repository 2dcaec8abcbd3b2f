"""Engine-neutral logic: tasks, conditions, waypoints, placement, demonstrations."""
