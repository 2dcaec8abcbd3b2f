"""What may be wrong with calibration and tracks, and how it is found."""
