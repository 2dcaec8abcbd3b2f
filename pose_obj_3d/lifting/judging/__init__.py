"""What left-out detections say about results."""
