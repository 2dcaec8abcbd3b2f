"""LeRobot's format: parquet files, videos, statistics."""
