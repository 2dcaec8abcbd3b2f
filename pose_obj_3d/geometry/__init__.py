"""Many views of one frame: projection, triangulation, lenses, noise of detectors."""
