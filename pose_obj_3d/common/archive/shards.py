"""An archive in one file, or in shards `<name>-00000-of-00016.npz`, read as if it were one file.

Each shard holds some of the examples, with the numbers they have in the whole, and the member
`shard`: JSON with its number (`index`), the number of shards (`of`), the digest of what they
belong to (`whole`) and, where it is known, the digest of what all examples are made from
(`inputs`). The first one also holds `meta` and the calibration.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.safe_reading.npy_arrays import Array, Header
from pose_obj_3d.common.safe_reading.safe_npz import Archive

SHARD = "shard"
"""Member of each shard that says where it belongs."""
MAX_SHARDS = 10_000
_NAME = re.compile(r"(?P<stem>.+)-(?P<index>[0-9]{5})-of-(?P<of>[0-9]{5})\.npz", re.DOTALL)
_MAX_TEXT = 1000
_MAX_OPEN = 64  # shards whose files are open at once


def shard_path(whole: Path, index: int, of: int) -> Path:
    """Name a shard of the archive `whole`."""
    return whole.with_name(f"{whole.stem}-{index:05d}-of-{of:05d}.npz")


def shard_names(whole: Path, of: int) -> Path:
    """Give the pattern of the names of `of` shards; of 0, the name of the whole."""
    return whole.with_name(f"{whole.stem}-?????-of-{of:05d}.npz") if of else whole


def whole_path(path: Path) -> Path:
    """Name the archive that a file is a shard of; any other file is its own."""
    match = _NAME.fullmatch(path.name)
    return path.with_name(f"{match['stem']}.npz") if match else path


def shards_beside(whole: Path) -> list[Path]:
    """List the files that are named as shards of an archive, by name."""
    if not whole.parent.is_dir():
        return []
    start = f"{whole.stem}-"
    named = [p for p in whole.parent.iterdir() if p.name.startswith(start)]
    return sorted(p for p in named if _NAME.fullmatch(p.name) and whole_path(p) == whole)


def is_there(path: Path) -> bool:
    """Tell whether an archive is there, in one file or in shards (not whether it is sound)."""
    return path.is_file() or bool(shards_beside(whole_path(path)))


def archive_files(path: Path) -> list[Path]:
    """List the files of an archive: itself, or all of its shards in order.

    Args:
        path: The name of the whole, or of any of its shards.

    Raises:
        FormalError: A shard is missing, or files of several archives lie there under one name.
    """
    whole = whole_path(path)
    shards = shards_beside(whole)
    if not shards:
        return [path]
    if whole.is_file():
        raise FormalError(
            f"{whole}: it is there in one file and in shards ({shards[0].name}); remove the one"
            " that is not wanted"
        )
    counts = sorted({int(m["of"]) for p in shards if (m := _NAME.fullmatch(p.name))})
    if len(counts) > 1:
        raise FormalError(
            f"{whole}: shards of {' and of '.join(map(str, counts[:3]))} lie there under one name;"
            " remove those that are not wanted"
        )
    if not 1 <= counts[0] <= MAX_SHARDS:
        raise FormalError(f"{shards[0]}: {counts[0]} shards; from 1 to {MAX_SHARDS} are possible")
    wanted = [shard_path(whole, i, counts[0]) for i in range(counts[0])]
    there = set(shards)
    missing = [p.name for p in wanted if p not in there]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FormalError(
            f"{whole}: shard {missing[0]} is missing{more}, {len(shards)} of {counts[0]} are there;"
            " copy it too, or convert the data again"
        )
    return wanted


def archive_sha256(path: Path) -> str:
    """Return the hash of an archive's bytes; of shards, the hash of their hashes."""
    digests = []
    for part in archive_files(path):
        with part.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def shard_text(index: int, of: int, whole: str, inputs: str = "") -> str:
    """Give the text of the member `shard`.

    Args:
        index: Its number.
        of: The number of shards.
        whole: Digest of what all shards belong to.
        inputs: Digest of what all examples are made from, where it is known.
    """
    said = {"index": index, "of": of, "whole": whole}
    return json.dumps({**said, "inputs": inputs} if inputs else said)


def is_finished(path: Path, text: str, members: Sequence[str]) -> bool:
    """Tell whether a shard with this text and these members is there, undamaged."""
    if not path.is_file():
        return False
    try:
        archive = Archive(path)
        try:
            if sorted(archive.names) != sorted(members) or str(archive.read(SHARD)) != text:
                return False
            for name in members:
                archive.read(name)  # it has a checksum
        finally:
            archive.close()
    except (OSError, ArchiveError):
        return False
    return True


class OpenArchive:
    """An archive, in one file or in shards, whose members are read one by one.

    Usable after a fork too: the new process opens the files anew.

    Attributes:
        names: The members, without `.npy`; those of the shards one after the other.
        content: Bytes that the members unpack to.
    """

    def __init__(self, path: Path) -> None:
        """Read and check the directories, and that the shards belong together.

        Raises:
            ArchiveError: It is no archive, or a damaged or hostile one.
            FormalError: A shard is missing, or is one of another archive.
            OSError: A file cannot be read.
        """
        self._files = archive_files(path)
        self._pid = os.getpid()
        self._open: dict[int, Archive] = {}
        self._place: dict[str, int] = {}
        self.content = 0
        whole = ""
        try:
            for number, file in enumerate(self._files):
                archive = self._archive(number)
                names = list(archive.names)
                self.content += archive.content
                if len(self._files) > 1 or SHARD in names:
                    found = _read_shard(file, archive, number, len(self._files))
                    whole = whole or found
                    if found != whole:
                        raise FormalError(
                            f"{file}: it belongs to another archive than {self._files[0].name};"
                            " copy the right one, or convert the data again"
                        )
                    names = [name for name in names if name != SHARD]
                twice = next((name for name in names if name in self._place), None)
                if twice is not None:
                    raise FormalError(
                        f"{file}: member {twice[:80]!r} is in another shard too; convert the data"
                        " again"
                    )
                self._place.update(dict.fromkeys(names, number))
        except BaseException:
            self.close()
            raise
        self.names = list(self._place)

    def _archive(self, number: int) -> Archive:
        if self._pid != os.getpid():  # a copy in a forked process shares the files' positions
            self._open, self._pid = {}, os.getpid()
        archive = self._open.get(number)
        if archive is None:
            while len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open))).close()
            archive = self._open[number] = Archive(self._files[number])
        return archive

    def _of(self, name: str) -> Archive:
        return self._archive(self._place.get(name, 0))

    def header(self, name: str) -> Header:
        """Read what a member says of itself, as `Archive.header`."""
        return self._of(name).header(name)

    def read(self, name: str, check: Callable[[Header], None] | None = None) -> Array:
        """Read a member's array, as `Archive.read`."""
        return self._of(name).read(name, check)

    def close(self) -> None:
        """Close the files."""
        for archive in self._open.values():
            archive.close()
        self._open = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _read_shard(path: Path, archive: Archive, index: int, of: int) -> str:
    """Check what a shard says of itself; return the digest of the whole."""
    if SHARD not in archive.names:
        raise FormalError(
            f"{path}: it is no shard (member 'shard' is missing); copy the right one, or convert"
            " the data again"
        )
    header = archive.header(SHARD)
    if header.dtype.kind != "U" or header.shape != () or header.size > 4 * _MAX_TEXT:
        raise FormalError(f"{path}: member 'shard' must be one short text; convert the data again")
    try:
        said = json.loads(str(archive.read(SHARD)))
    except (ValueError, RecursionError):
        said = None
    is_sound = isinstance(said, dict) and isinstance(said.get("whole"), str)
    if not is_sound or (said.get("index"), said.get("of")) != (index, of):
        raise FormalError(
            f"{path}: by its content it is not shard {index} of {of}; do not rename shards: copy"
            " the right one, or convert the data again"
        )
    return str(said["whole"])


def parts_of(count: int, shards: int) -> list[range]:
    """Divide `count` examples, in their order, into `shards` parts of nearly equal size."""
    return [range(i * count // shards, (i + 1) * count // shards) for i in range(shards)]


def remove_others(path: Path, kept: Sequence[Path]) -> None:
    """Remove what an older archive of the same name left: another number of shards, or one file."""
    whole = whole_path(path)
    for old in {whole, *shards_beside(whole)} - set(kept):
        old.unlink(missing_ok=True)
