"""Pictures of detections: on the frames, as charts of their errors, and as a video."""
