"""Find keypoints in pictures: pictures to 2D detections with claims of their error."""
