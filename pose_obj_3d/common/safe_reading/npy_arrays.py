"""Read one array of unknown origin: a `.npy` file, or a member of an archive.

The header is parsed, never evaluated, and compared with the number of bytes before anything is
allocated.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ArchiveError

MAX_HEADER = 10_000  # bytes of an array's header, as NumPy allows
MAX_AXES, MAX_LENGTH = 32, 2**40
OBJECT_ARRAY = "is a pickled object array"
_PIECE = 2**20  # bytes read at once
_KEY = re.compile(
    r"\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^'\\]{1,40})'|(True|False)|\(([\dL,"
    r" ]{0,500})\))\s*(,|\})",
    re.ASCII,
)
_LENGTH = re.compile(r"\s*(\d{1,15})L?\s*", re.ASCII)  # L: Python 2
_DTYPE = re.compile(r"[<>|=]?(?:[fiuc]\d{1,2}|b1|[US]\d{1,8}|\?)", re.ASCII)

Array = npt.NDArray[Any]


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
            raise ArchiveError("it does not fit into the memory") from error


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
