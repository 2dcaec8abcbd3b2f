"""Read what NumPy pickles: arrays of objects, without Python's unpickler.

`np.savez(path, pose=a_dict)` makes such a member. Types, arrays and numbers are built by functions
of our own, which check each shape against its bytes.
"""

import math
import re
from typing import IO, Any

import numpy as np

from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading import plain_pickle
from pose_obj_3d.common.safe_reading.npy_arrays import MAX_LENGTH, Array, header_text

_CORE = ("numpy.core", "numpy._core")
_MAX_AXES = 8
_DTYPE = re.compile(r"[fiu][1248]|b1|O8?|[SU][0-9]{1,6}")
_OBJECTS = re.compile(rb"'descr'\s*:\s*'\|?O8?'")


class _DType(plain_pickle.Built):
    """A pickled type, `numpy.dtype(name, align, copy)`, then its byte order."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise ArchiveError(
                f"has the type {str(name)[:40]!r}; allowed are numbers, truth values, texts and"
                " objects"
            )
        self.name, self.order = name, "="

    def build(self, state: object) -> None:
        """Take the byte order; fields and shapes inside a type are refused."""
        ok = isinstance(state, tuple) and len(state) >= 5 and state[2:5] == (None, None, None)
        if not ok or state[1] not in ("<", ">", "|", "="):  # type: ignore[index]
            raise ArchiveError(f"has a type {self.name} with parts")
        self.order = "=" if state[1] == "|" else state[1]  # type: ignore[index]

    @property
    def is_object(self) -> bool:
        """Whether the elements are objects of the pickle."""
        return self.name.startswith("O")

    def dtype(self) -> np.dtype[Any]:
        """Return NumPy's type."""
        return np.dtype(self.order + self.name)


class PickledArray(plain_pickle.Built):
    """A pickled array.

    Attributes:
        value: Its numbers, or the list of its objects in order; None as long as it is empty.
    """

    def __init__(self, *_: object) -> None:
        self.value: Array | list[Any] | None = None

    def build(self, state: object) -> None:
        """Take (version, shape, type, is Fortran's order, data)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise ArchiveError("has an array without shape, type, order and data")
        self.fill(*state[1:])

    def fill(self, shape: object, dtype: object, fortran: object, data: object) -> None:
        """Take the content, checked against its shape."""
        lengths = _shape(shape)
        if not isinstance(dtype, _DType):
            raise ArchiveError("has an array without a type")
        count = math.prod(lengths)
        if dtype.is_object:
            if type(data) is not list or len(data) != count:
                raise ArchiveError(f"has an array of {count} objects that holds {_length(data)}")
            self.value = data
            return
        raw, kind = _bytes(data), dtype.dtype()
        if len(raw) != count * kind.itemsize or not kind.itemsize:
            raise ArchiveError(
                f"has an array {kind} {lengths} of {len(raw)} bytes, which needs"
                f" {count * kind.itemsize}"
            )
        self.value = np.frombuffer(raw, kind).reshape(lengths, order="F" if fortran else "C")


def _shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(
        type(n) is int and 0 <= n <= MAX_LENGTH for n in shape[: _MAX_AXES + 1]
    ):
        raise ArchiveError("has an array whose shape is no tuple of lengths")
    if len(shape) > _MAX_AXES:
        raise ArchiveError(f"has an array of {len(shape)} axes")
    return shape


def _length(data: object) -> object:
    return len(data) if isinstance(data, list) else type(data).__name__


def _bytes(data: object) -> bytes | bytearray:
    """Return data as bytes; Python 2 pickled them as text."""
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise ArchiveError(f"has {type(data).__name__} where bytes belong")
    return data


def _encoded(text: object, codec: object = "latin1") -> bytes:
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise ArchiveError("has bytes of an unknown codec")
    return text.encode("latin-1")


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> PickledArray:
    array = PickledArray()
    array.fill(shape, dtype, order == "F", data)
    return array


def _scalar(dtype: object, data: object = b"") -> PickledArray:
    return _from_buffer(data, dtype, (), "C")


def _not_called(*_: object) -> None:
    raise ArchiveError("makes an array without data")


NUMPY_CALLS: plain_pickle.Calls = {
    **{(f"{core}.multiarray", "_reconstruct"): PickledArray for core in _CORE},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORE},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORE},
    ("numpy", "ndarray"): _not_called,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encoded,
}
"""All that such a pickle may call: our own functions, which check their arguments."""


def read_objects(file: IO[bytes], size: int) -> tuple[Any, int]:
    """Read a member that is an array of objects.

    Args:
        file: The member, from its beginning.
        size: Its bytes.

    Returns:
        What it holds, to be unpacked by `plain`, and its bytes.

    Raises:
        ArchiveError: It is no such array, or its pickle holds more than data.
    """
    text, _ = header_text(file)
    if not _OBJECTS.search(text):
        raise ArchiveError("is no pickled array; archives of this layout hold one dict")
    return plain_pickle.load(file, NUMPY_CALLS), size


def plain(value: Any) -> Any:
    """Unpack an array: its one object, the list of its objects, or its numbers; else the value."""
    if not isinstance(value, PickledArray):
        return value
    is_single = isinstance(value.value, list) and len(value.value) == 1
    return value.value[0] if is_single else value.value  # type: ignore[index]
