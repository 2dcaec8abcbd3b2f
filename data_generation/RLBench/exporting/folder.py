"""The folder that an export writes: what it was made of, who writes there, what a kill left.

`export.json` names the data set, the format and the settings. A run with the same ones goes on
where the last one was killed; any other run is refused, unless it may overwrite.
"""

import fcntl
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from data_generation.RLBench.errors import ConfigError, StoreError
from data_generation.RLBench.raw.json_files import JsonError, read_json
from pose_obj_3d.common.whole_files import is_temporary, write_whole

MARKER = "export.json"
FORMAT = "export of demonstrations"
FORMAT_VERSION = 1
LOCK = ".lock"
STAGING = ".staging"
MAX_MARKER_BYTES = 64 << 20


class ExportFolder:
    """One export on disk.

    Attributes:
        root: The folder.
        wanted: What it is made of, plain values; other values are another export.
    """

    def __init__(self, root: Path, wanted: Mapping[str, Any]) -> None:
        self.root = root
        self.wanted = {"format": FORMAT, "format_version": FORMAT_VERSION, **wanted}
        self._names: list[str] = []
        self._lock: IO[str] | None = None

    def open(self, names: Sequence[str], overwrite: bool) -> bool:
        """Make the folder, or go on with it; return whether all of it is there already.

        Args:
            names: What the export writes into the folder, beside its own files.
            overwrite: Remove what an export of other data, or with other settings, wrote.

        Raises:
            ConfigError: It is a file, or holds something else.
            StoreError: It is another export, or another process writes there.
        """
        found = self._found()
        self._names = list(names)
        self._take()
        if found is not None:
            is_same = all(found.get(k) == v for k, v in self.wanted.items())
            if not is_same and not overwrite:
                raise StoreError(self._difference(found))
            if is_same and not overwrite:
                if found.get("is_complete") is True:
                    self._release()
                    return True
                return False
            self._clear(found)
        foreign = [n for n in names if (self.root / n).exists()]
        if foreign:
            raise ConfigError(f"--output {self.root / foreign[0]} was not exported; move it away")
        self._sign(is_complete=False)
        return False

    def _found(self) -> dict[str, Any] | None:
        """Read what the folder was made of; None where it is new or empty."""
        if not self.root.exists():
            return None
        if not self.root.is_dir():
            raise ConfigError(f"--output {self.root} is a file; name a new or empty folder")
        names = sorted(
            p.name for p in self.root.iterdir() if p.name != LOCK and not is_temporary(p.name)
        )
        if not names:
            return None
        other = f"--output {self.root} is not empty and no export"
        try:
            found = read_json(self.root / MARKER, MAX_MARKER_BYTES)
        except FileNotFoundError:
            raise ConfigError(
                f"{other} (it has {names[0]!r} but no {MARKER}); name a new or empty folder"
            ) from None
        except (OSError, JsonError) as error:
            raise StoreError(f"{self.root / MARKER} cannot be read: {error}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ConfigError(f"{other} ({MARKER} is of another program); name a new folder")
        return found

    def _difference(self, found: Mapping[str, Any]) -> str:
        """Say what an export that is there was made of."""
        remedy = "name another --output, or make all anew with --overwrite"
        kind = "" if found.get("is_complete") is True else "unfinished "
        version = found.get("format_version")
        if version != FORMAT_VERSION:
            return (
                f"{self.root} holds an {kind}export of version {str(version)[:20]}, this program"
                f" writes version {FORMAT_VERSION}; {remedy}"
            )
        name = next(k for k, v in self.wanted.items() if found.get(k) != v)
        if name == "source_digest":
            return (
                f"{self.root} holds an {kind}export of other demonstrations than those now chosen"
                f" from {self.wanted['source']}; {remedy}"
            )
        before, now = (str(x)[:100] for x in (found.get(name), self.wanted[name]))
        if name == "to":
            return f"{self.root} holds an {kind}export --to {before}, not --to {now}; {remedy}"
        return f"{self.root} holds an {kind}export with {name} {before}, now it is {now}; {remedy}"

    def _take(self) -> None:
        """Keep other processes out; a kill lets them in."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock = (self.root / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StoreError(f"{self.root}: another export is writing here; wait for it") from None

    def close(self) -> None:
        """Let other processes write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _sign(self, is_complete: bool) -> None:
        text = json.dumps(
            {**self.wanted, "names": self._names, "is_complete": is_complete}, indent=1
        )
        write_whole(self.root / MARKER, f"{text}\n".encode())

    def _clear(self, found: Mapping[str, Any]) -> None:
        """Remove what an older export wrote, and nothing else."""
        self._sign_unfinished(found)
        listed = found.get("names")
        names = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
        for name in [n for n in names if n not in ("", "..") and Path(n).name == n] + [STAGING]:
            path = self.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _sign_unfinished(self, found: Mapping[str, Any]) -> None:
        text = json.dumps({**found, "is_complete": False}, indent=1)
        write_whole(self.root / MARKER, text.encode())

    @property
    def staging(self) -> Path:
        """Folder of what is not yet in its place."""
        return self.root / STAGING

    def empty_folder(self) -> Path:
        """Give an empty folder to fill, which is then moved to its place."""
        path = self.staging / "making"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def finish(self) -> None:
        """Say that all is there, and remove what is no longer needed."""
        self._sign(is_complete=True)
        shutil.rmtree(self.staging, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        (self.root / LOCK).unlink(missing_ok=True)
        self.close()
