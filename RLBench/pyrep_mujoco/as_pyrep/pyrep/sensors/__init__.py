"""Sensors that are models: accelerometer, gyroscope, camera that sees all around."""
