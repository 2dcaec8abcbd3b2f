"""Size and digest of files of unknown origin: only regular files count."""

import hashlib
import stat
from pathlib import Path


def regular_size(path: Path) -> int | None:
    """Give the size of a regular file, None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def sha256_of(path: Path) -> str:
    """Give a file's digest, nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
