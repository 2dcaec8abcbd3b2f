"""The folder of a raw data set: what it was made with, who writes there, is it still the same.

A run that writes holds a lock on `.lock`: alone, or together with the other shards of the same
work. The file's inode is the folder's identity while the run
lasts: since the file is held open, no other file gets the same one. Whoever writes an episode asks
before and after whether the folder at this path is still that folder, and never makes it.
"""

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from data_generation.RLBench.errors import StoreError, StoreLostError
from data_generation.RLBench.raw.json_files import JsonError, read_json
from data_generation.RLBench.raw.layout import LOCK, MARKER
from pose_obj_3d.common.whole_files import is_temporary, write_first, write_whole

FORMAT = "rlbench raw data"
FORMAT_VERSION = 1
# What a data set was made with when its marker does not say so.
DEFAULTS = {
    "engine": "mujoco",
    "robot_setup": "panda",
    "shadows": False,
    "antialiasing": 0,
}
MAX_MARKER_BYTES = 1 << 20
PATIENCE_S = 5.0  # how long a shard waits for one that is alone: a report is written in less
Identity = tuple[int, int]  # device and inode


class StoreFolder:
    """One data set folder.

    Attributes:
        root: Where it is.
        identity: Which folder is meant while a run writes; None where nobody writes.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.identity: Identity | None = None
        self._lock: BinaryIO | None = None
        self._has_token = False
        self._met = ""

    def check_target(self) -> None:
        """Refuse a folder that is not ours; writes nothing."""
        if not self.root.exists():
            return
        if not self.root.is_dir():
            raise StoreError(f"--path_dataset {self.root} is a file; name a new or empty folder")
        try:
            names = {p.name for p in self.root.iterdir()} - {LOCK}
        except OSError as error:
            raise StoreError(f"--path_dataset {self.root}: cannot be read: {error}") from None
        names = {name for name in names if not is_temporary(name)}
        if names and MARKER not in names:
            raise StoreError(
                f"--path_dataset {self.root} is not empty and not a data set of this program "
                f"(it has {sorted(names)[0]!r} but no {MARKER}); name a new or empty folder"
            )

    def take(self, with_others: bool = False) -> None:
        """Make the folder if it is not there, and keep other writers out.

        Args:
            with_others: Let other processes in that ask for the same, and no more.

        Raises:
            OSError: It cannot be made.
            StoreError: Another process writes there.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        # Both modes of a lock work on a file that is open for reading and writing, on NFS, too.
        self._lock = (self.root / LOCK).open("a+b")
        if not self._is_locked(with_others):
            self.close()
            hint = "" if with_others else " (several at once: --shard I/N for all)"
            raise StoreError(
                f"{self.root}: another generation is writing here; wait for it{hint}"
            ) from None
        if not with_others:
            self._lock.truncate(0)  # a killed run may have left a token
        status = os.fstat(self._lock.fileno())
        self.identity = (status.st_dev, status.st_ino)

    def _is_locked(self, with_others: bool) -> bool:
        assert self._lock is not None
        deadline = time.monotonic() + (PATIENCE_S if with_others else 0.0)
        while True:
            try:
                # A kill frees the lock.
                mode = fcntl.LOCK_SH if with_others else fcntl.LOCK_EX
                fcntl.flock(self._lock, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
            else:
                return True

    def show_token(self) -> str:
        """Write a new name of this folder into its lock file, by which other machines know it.

        Raises:
            StoreError: It cannot be written.
        """
        assert self._lock is not None
        token = uuid.uuid4().hex
        try:
            self._lock.truncate(0)
            self._lock.write(token.encode())
            self._lock.flush()
            os.fsync(self._lock.fileno())
        except OSError as error:
            raise StoreError(f"{self.root / LOCK} cannot be written: {error}") from None
        self._has_token = True
        return token

    def meet(self, token: str) -> Identity | None:
        """Find the folder of this name at this path, on another machine than that of the run.

        Returns:
            Its identity on this machine; None where another folder, or none, is here.
        """
        if self.identity is None or self._met != token:
            self.close()
            with contextlib.suppress(OSError):
                file = (self.root / LOCK).open("rb")
                if file.read(len(token) + 1) == token.encode():
                    status = os.fstat(file.fileno())
                    self._lock, self._met = file, token
                    self.identity = (status.st_dev, status.st_ino)
                else:
                    file.close()
        return self.identity

    def close(self) -> None:
        """Let other runs write into the folder."""
        self.identity = None
        if self._lock is not None:
            if self._has_token:
                with contextlib.suppress(OSError):
                    self._lock.truncate(0)
                self._has_token = False
            self._lock.close()
            self._lock = None

    def check_own(self) -> None:
        """Check that this path still leads to the folder that the run began to fill.

        Raises:
            StoreLostError: It was deleted, renamed, emptied or replaced.
        """
        if self.identity is None:
            return
        try:
            status = (self.root / LOCK).stat()
            is_same = (status.st_dev, status.st_ino) == self.identity and (
                self.root / MARKER
            ).is_file()
        except OSError:
            is_same = False
        if not is_same:
            raise StoreLostError(
                f"{self.root} was deleted, renamed, emptied or replaced while this run wrote there;"
                " nothing more is written: bring it back, or name another --path_dataset, and run"
                " again"
            )

    def make(self, folder: Path) -> None:
        """Make a folder below the root, but never the root itself.

        Raises:
            FileNotFoundError: The root is gone.
        """
        missing = []
        while folder != self.root and not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(exist_ok=True)

    def sign(self, wanted: Mapping[str, object], replace: bool = True) -> None:
        """Write `dataset.json`; one that is there is kept if it must not be replaced."""
        head = {"format": FORMAT, "format_version": FORMAT_VERSION}
        text = json.dumps({**head, **wanted}, indent=1).encode()
        if replace:
            write_whole(self.root / MARKER, text)
        else:
            write_first(self.root / MARKER, text)

    def marker(self) -> dict[str, Any]:
        """Read `dataset.json`."""
        path = self.root / MARKER
        try:
            marker = read_json(path, MAX_MARKER_BYTES)
        except FileNotFoundError:
            raise StoreError(f"{self.root} is not a data set: it has no {MARKER}") from None
        except (OSError, JsonError) as error:
            raise StoreError(f"{path} cannot be read: {error}") from None
        if not isinstance(marker, dict) or marker.get("format") != FORMAT:
            raise StoreError(f"{path} does not belong to a data set of this program")
        if marker.get("format_version") != FORMAT_VERSION:
            found = str(marker.get("format_version"))[:40]
            raise StoreError(f"{path}: format version {found}; this program reads {FORMAT_VERSION}")
        if type(marker.get("seed")) is not int or not isinstance(marker.get("settings"), dict):
            raise StoreError(
                f"{path} is damaged: it must hold a whole number `seed` and an object `settings`"
            )
        return marker

    def compare(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Refuse a folder that was made with other settings.

        Raises:
            StoreError: Names the first setting that differs.
        """
        before = {**DEFAULTS, "seed": found["seed"], **found["settings"]}
        now = {**DEFAULTS, "seed": wanted["seed"], **wanted["settings"]}
        for name, value in now.items():
            if before.get(name) != value:
                raise StoreError(
                    f"{self.root} was made with {name} {str(before.get(name))[:100]}, now it is"
                    f" {value}; name another --path_dataset, or make all anew with --overwrite"
                )
