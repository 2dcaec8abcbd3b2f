"""Read `.npz` and `.npy` files of unknown origin: plain arrays, or one short reason why not.

The one owner of this. Nothing is unpickled, evaluated or allocated before it is checked: first the
archive's directory, then a member's header against the size that the directory states, then its
bytes in pieces. So the size of the file limits time and memory.
"""

import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ArchiveError

MAX_DIRECTORY = 2**24  # bytes of an archive's directory: 200,000 members
MAX_HEADER = 10_000  # bytes of an array's header, as NumPy allows
MAX_AXES, MAX_LENGTH = 32, 2**40
FREE_CONTENT, MAX_RATIO = (
    2**26,
    50,
)  # more than this, and more than so many times the file, no honest tracks unpack to
_DEFLATE_RATIO = 1040  # what deflate can do at best
OBJECT_ARRAY = "is a pickled object array"
SINGLE_ARRAY = "a single array"
_PIECE = 2**20  # bytes unpacked at once
_SUFFIX = ".npy"
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
_ENCRYPTED = 0x1  # flag of a member
_KEY = re.compile(
    r"\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^'\\]{1,40})'|(True|False)|\(([\dL,"
    r" ]{0,500})\))\s*(,|\})",
    re.ASCII,
)
_LENGTH = re.compile(r"\s*(\d{1,15})L?\s*", re.ASCII)  # L: Python 2
_DTYPE = re.compile(r"[<>|=]?(?:[fiuc]\d{1,2}|b1|[US]\d{1,8}|\?)", re.ASCII)
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

Array = npt.NDArray[Any]
R = TypeVar("R")


@dataclass(frozen=True)
class Header:
    """What an array says of itself.

    Attributes:
        dtype: Its type: a number, a truth value or a text of fixed length.
        shape: Its lengths.
        fortran: Whether its first axis varies fastest.
        length: Bytes of the header itself.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    length: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return self.count * self.dtype.itemsize


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


def read_npy(path: Path) -> Array:
    """Read a `.npy` file.

    Raises:
        ArchiveError: It is damaged, or no plain array.
        OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        try:
            return read_array(file, size)
        except MemoryError as error:
            raise ArchiveError(_cause(error)) from error


def read_array(file: IO[bytes], size: int, check: Callable[[Header], None] | None = None) -> Array:
    """Read an array of `size` bytes, its header included; `check` looks at the header first.

    Raises:
        ArchiveError: It is damaged, or no plain array.
    """
    header = read_header(file, size)
    if check:
        check(header)
    if header.size == 0:
        return np.empty(header.shape, header.dtype)
    flat = filled(file, header.size).view(header.dtype)
    if header.dtype.kind == "U":
        _check_text(flat)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def filled(file: IO[bytes], size: int) -> npt.NDArray[np.uint8]:
    """Read exactly so many bytes, (size,).

    Raises:
        ArchiveError: There are fewer.
    """
    buffer = np.empty(size, np.uint8)
    view, done = buffer.data, 0
    while done < size:
        piece = file.read(min(_PIECE, size - done))
        if not piece:
            raise ArchiveError(f"ends after {done} of {size} bytes")
        view[done : done + len(piece)] = piece
        done += len(piece)
    return buffer


def _check_text(flat: Array) -> None:
    codes = flat.view(flat.dtype.byteorder + "u4" if flat.dtype.byteorder in "<>" else "u4")
    if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes < 0xE000)).any():
        raise ArchiveError("holds text that is not Unicode")


def read_header(file: IO[bytes], size: int) -> Header:
    """Read an array's header, checked against the `size` of header and data.

    Raises:
        ArchiveError: It is damaged, describes no plain array, or another number of bytes.
    """
    header = parse_header(*header_text(file))
    if header.length + header.size != size:
        raise ArchiveError(
            f"has {size} bytes, but {header.dtype} {header.shape} needs"
            f" {header.length + header.size}"
        )
    return header


def header_text(file: IO[bytes]) -> tuple[bytes, int]:
    """Read the text of an array's header, and the number of all bytes before the data.

    Raises:
        ArchiveError: It is no array.
    """
    magic = file.read(8)
    if magic[:6] != b"\x93NUMPY" or len(magic) < 8:
        raise ArchiveError("is no array (it does not begin as one)")
    if magic[6] not in (1, 2, 3) or magic[7]:
        raise ArchiveError(f"has the array format {magic[6]}.{magic[7]}; known are 1.0, 2.0, 3.0")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > MAX_HEADER:
        raise ArchiveError(f"has a header of {length} bytes; at most {MAX_HEADER} are read")
    return file.read(length), 8 + width + length


def parse_header(raw: bytes, length: int) -> Header:
    """Parse the text of an array's header without evaluating it.

    Args:
        raw: The text.
        length: Bytes of the file before the array's numbers.
    """
    text = raw.decode("latin-1")
    stripped = text.strip()
    found: dict[str, tuple[str, str, str]] = {}
    place = 1 if stripped.startswith("{") else len(stripped)
    end = ","
    while end == "," and (match := _KEY.match(stripped, place)):
        found[match[1]] = (
            match[2] or "",
            match[3] or "",
            match[4] if match[4] is not None else "none",
        )
        place, end = match.end(), match[5]
    is_whole = end == "}" or (end == "," and stripped[place:].strip() == "}")
    if not is_whole or stripped[place:].strip(" }") or len(found) != 3:
        if "'|O" in text or "'O" in text:
            raise ArchiveError(OBJECT_ARRAY)
        what = "a structured type" if "'descr': [" in text else "a damaged header"
        raise ArchiveError(f"has {what}: {text[:80]!r}")
    return Header(
        _dtype(found["descr"][0]),
        _shape(found["shape"][2]),
        found["fortran_order"][1] == "True",
        length,
    )


def _dtype(text: str) -> np.dtype[Any]:
    if text.strip("<>|=")[:1] == "O":
        raise ArchiveError(OBJECT_ARRAY)
    try:
        if not _DTYPE.fullmatch(text):
            raise ValueError
        return np.dtype(text)
    except (TypeError, ValueError):
        raise ArchiveError(
            f"has type {text!r}; allowed are numbers, truth values and texts"
        ) from None


def _shape(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not parts[-1].strip():
        parts.pop()
    matches = [_LENGTH.fullmatch(part) for part in parts]
    shape = tuple(int(match[1]) for match in matches if match)
    if (
        len(shape) != len(matches)
        or len(shape) > MAX_AXES
        or max(shape, default=0) > MAX_LENGTH
        or (shape and "," not in text)
    ):
        raise ArchiveError(f"has the shape ({text[:80]}), which no array has")
    return shape
