"""Read `.npz` archives of unknown origin: plain arrays, or one short reason why not.

Nothing is unpickled, evaluated or allocated before it is checked: first the
archive's directory, then a member's header against the size that the directory states, then its
bytes in pieces. So the size of the file limits time and memory.
"""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading.npy_arrays import (
    Array,
    Header,
    filled,
    read_array,
    read_header,
)

MAX_DIRECTORY = 2**24  # bytes of an archive's directory: 200,000 members
# Content of more bytes than this, and of more than so many times the file, is no sound archive.
FREE_CONTENT, MAX_RATIO = 2**26, 50
_DEFLATE_RATIO = 1040  # what deflate can do at best
SINGLE_ARRAY = "a single array"
_SUFFIX = ".npy"
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
_ENCRYPTED = 0x1  # flag of a member
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What zipfile raises for a file that is broken."""

R = TypeVar("R")


class _Bounded:
    """A file that returns at most `MAX_DIRECTORY` bytes at once; zipfile may ask for more."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def read(self, n: int = -1) -> bytes:
        rest = max(self._size - self._file.tell(), 0)
        n = min(n, rest) if n >= 0 else rest
        if n > MAX_DIRECTORY:
            raise ArchiveError(f"its directory takes more than {MAX_DIRECTORY >> 20} MiB")
        return self._file.read(n)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Archive:
    """An open npz archive, whose members are read one by one.

    Attributes:
        names: The members, without `.npy`, in the archive's order.
        content: Bytes that the members unpack to.
    """

    def __init__(self, path: Path) -> None:
        """Read and check the directory.

        Raises:
            ArchiveError: It is no archive, or a damaged or hostile one.
        """
        self._size = path.stat().st_size
        self._file = path.open("rb")
        try:
            # zipfile reads members through the same object, never more than a piece at once.
            self._zip = zipfile.ZipFile(_Bounded(self._file, self._size))
            self._members = self._checked()
        except ZIP_ERRORS as error:
            reason = (
                _what_it_is(self._file, self._size) or f"its directory is damaged: {_cause(error)}"
            )
            self._file.close()
            raise ArchiveError(reason) from error
        except ArchiveError:
            self._file.close()
            raise
        self.names = list(self._members)
        self.content = sum(info.file_size for info in self._members.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        """Check the members against the file, not yet their content."""
        infos = self._zip.infolist()
        members = {info.filename.removesuffix(_SUFFIX): info for info in infos}
        if len(members) != len(infos):
            ((twice, _),) = Counter(
                info.filename.removesuffix(_SUFFIX) for info in infos
            ).most_common(1)
            raise ArchiveError(f"member {twice[:80]!r} is in it twice")
        end = 0
        for info in sorted(infos, key=lambda i: i.header_offset):
            if info.header_offset < end:
                raise ArchiveError(f"member {info.filename[:80]!r} lies inside another")
            end = (
                info.header_offset + 30 + info.compress_size
            )  # 30: a member's own header, without its name
        if end > self._size:
            raise ArchiveError(
                f"its members take {end} bytes, the file has {self._size}: an incomplete download"
                " or copy?"
            )
        self.check_content(sum(info.file_size for info in infos))
        return members

    def file_name(self, name: str) -> str:
        """Return the name of a member's file in the archive."""
        return self._members[name].filename

    def check_content(self, size: int) -> None:
        """Refuse content that is too large for this file: it would fill the memory with zeros."""
        if size > FREE_CONTENT + MAX_RATIO * self._size:
            raise ArchiveError(
                f"its {self._size} bytes unpack to {size / 2**20:.0f} MiB; beyond"
                f" {FREE_CONTENT >> 20} MiB, more than {MAX_RATIO} times the file is no data"
            )

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self._members.get(name)
        if info is None:
            raise ArchiveError(f"member {name[:80]!r} is missing")
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError(f"member {name[:80]!r} is encrypted; write it without a password")
        if info.compress_type not in _METHODS:
            method = zipfile.compressor_names.get(info.compress_type, "unknown")  # type: ignore[attr-defined]
            raise ArchiveError(
                f"member {name[:80]!r} is compressed by {method}; np.savez_compressed uses deflate"
            )
        most = info.compress_size * (
            1 if info.compress_type == zipfile.ZIP_STORED else _DEFLATE_RATIO
        )
        if info.file_size > most:
            raise ArchiveError(
                f"member {name[:80]!r} claims {info.file_size} bytes, which its"
                f" {info.compress_size} cannot hold"
            )
        return info

    def header(self, name: str) -> Header:
        """Read what a member says of itself, checked against its size in the directory.

        Raises:
            ArchiveError: It is damaged, or no plain array.
        """
        return self.open(name, read_header)

    def read(self, name: str, check: Callable[[Header], None] | None = None) -> Array:
        """Read a member's array; texts are valid Unicode.

        Args:
            name: The member.
            check: May refuse the array by its header, before its numbers are unpacked.

        Raises:
            ArchiveError: It is damaged, or no plain array.
        """
        if not self._info(name).filename.endswith(_SUFFIX):
            raise ArchiveError(
                f"member {name[:80]!r} is no array (its name does not end in {_SUFFIX})"
            )
        return self.open(name, partial(read_array, check=check))

    def raw(self, name: str) -> bytes:
        """Read a member's bytes, whatever they are.

        Raises:
            ArchiveError: It is damaged.
        """
        return self.open(name, lambda file, size: filled(file, size).tobytes())

    def open(self, name: str, reader: Callable[[IO[bytes], int], R]) -> R:
        """Give a member's stream and its size to a reader; return what that returns.

        Raises:
            ArchiveError: The member is damaged, or the reader refuses it.
        """
        info = self._info(name)
        try:
            with self._zip.open(info) as file:
                return reader(file, info.file_size)
        except ArchiveError as error:
            raise ArchiveError(f"member {name[:80]!r} {error}") from error
        except ZIP_ERRORS as error:
            raise ArchiveError(f"member {name[:80]!r} is damaged: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it does not fit into the memory"
    return str(error) or type(error).__name__


def _what_it_is(file: IO[bytes], size: int) -> str:
    """Say what a file that is no archive looks like; empty where it is unknown."""
    try:
        file.seek(0)
        start = file.read(64)
    except OSError:
        return ""
    text = start.lstrip().lower()
    kinds = (
        (not start, "it is empty"),
        (start[:6] == b"\x93NUMPY", SINGLE_ARRAY),
        (
            start[:2] == b"PK",
            (
                "it begins as an archive, but its end is missing or damaged: an incomplete download"
                " or copy?"
            ),
        ),
        (
            text.startswith((b"<!doctype", b"<html", b"<?xml")),
            "a web page, not the file behind it; download it again",
        ),
        (
            start.startswith(b"version https://git-lfs"),
            "a pointer of Git LFS, not the file behind it; run git lfs pull",
        ),
        (start[:2] == b"\x1f\x8b", "a gzip file"),
        (not any(start), f"{size} bytes that begin with zeros"),
    )
    return next((kind for holds, kind in kinds if holds), "no zip file")
