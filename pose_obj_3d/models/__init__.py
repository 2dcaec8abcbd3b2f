"""Models: (windows of tracks, cameras) -> 3D points. They know no config file and no training."""
