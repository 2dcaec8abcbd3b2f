"""What detectors whose errors last need: whole scenes estimated at once, and blind views."""
