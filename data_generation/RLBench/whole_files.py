"""Files that are either absent, old, or complete."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write under a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
