"""What is already detected: a file for each demo, next to the result.

An interrupted run continues from them, and several processes share the demos: each demo is claimed
by a lock, which a killed process loses.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading.npy_arrays import read_npy
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.detector.types import Floats

PARTS_SUFFIX = ".parts"
USERS = "users"  # file that every process locks as long as it needs the folder


@dataclass
class Parts:
    """A folder with the detections of single demos.

    Attributes:
        folder: The folder; made when it is needed.
        reused: Demos that were there already.
    """

    folder: Path
    reused: int = field(default=0, init=False)
    _users: int | None = field(default=None, init=False)

    @classmethod
    def of(cls, out: Path) -> "Parts":
        """Give those of a result."""
        return cls(out.with_name(f"{out.name}{PARTS_SUFFIX}"))

    def read(self, key: str, shape: tuple[int, ...]) -> Floats | None:
        """Read the detections of a demo; None where there are none, or where they are damaged."""
        try:
            part = read_npy(self._path(key))
        except (OSError, ArchiveError):
            return None
        return part if part.shape == shape and part.dtype == np.float32 else None

    def write(self, key: str, part: Floats) -> None:
        """Keep the detections of a demo."""
        with writing(self._path(key)) as file:
            np.save(file, part, allow_pickle=False)

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Claim a demo for this process; false where another one has it."""
        self._use()
        lock = os.open(self.folder / f"{key}.lock", os.O_RDWR | os.O_CREAT)
        try:
            yield _is_locked(lock, fcntl.LOCK_EX)
        finally:
            os.close(lock)

    def remove(self) -> None:
        """Remove all, once the result is written; the last process that needs it does so."""
        if self._users is not None and _is_locked(self._users, fcntl.LOCK_EX):
            shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Say that this process no longer needs the folder."""
        if self._users is not None:
            os.close(self._users)
            self._users = None

    def _use(self) -> None:
        if self._users is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._users = os.open(self.folder / USERS, os.O_RDWR | os.O_CREAT)
            _is_locked(self._users, fcntl.LOCK_SH)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"


def _is_locked(descriptor: int, kind: int) -> bool:
    """Lock an open file without waiting; say whether that worked."""
    with suppress(OSError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    return False
