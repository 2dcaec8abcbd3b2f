"""Reads the pickle of a stored demonstration without running anything that is in it.

RLBench stores all but the images of a demonstration as a pickle. Here it is interpreted by Python's
own slow unpickler, which keeps no tables of sizes that a file claims; the few classes that may
appear stand for themselves as records, and arrays are built from their checked parts.
"""

import io
import math
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlbench.backend.exceptions import TaskEnvironmentError

LARGEST_FILE = 2**25
"""Bytes; a thousand moments take three million."""
DEEPEST = 20
"""Containers within containers."""
MOST_VALUES = 100_000
"""Numbers, texts, arrays and containers that one attribute may stand for."""
_NUMBERS = re.compile(r"b1|[iu][1248]|f[248]")
_Parts = tuple[Any, ...]


class Record:
    """An object of a class of rlbench: its attributes, not yet looked at."""

    def __init__(self, *_: Any) -> None:
        """Take no notice of arguments."""
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        """Take the attributes."""
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise ValueError("the state of an object is no dictionary of names")
        self.attributes = state


class StoredDemo(Record):
    """A `rlbench.demo.Demo`."""


class StoredObservation(Record):
    """A `rlbench.backend.observation.Observation`."""


class _Type:
    """A NumPy type of numbers."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not _NUMBERS.fullmatch(name.lstrip("<>|=")):
            raise ValueError(f"arrays of type {str(name)[:20]!r} are not read")
        self.value = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in {"<", ">", "|", "="}:
            raise ValueError("a type of numbers is damaged")
        if order in {"<", ">"}:
            self.value = self.value.newbyteorder(order)


class _Array:
    """A NumPy array; its content comes after it was made."""

    def __init__(self, *_: Any) -> None:
        self.value: npt.NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, raw = state
        self.value = _built(raw, kind, shape, "F" if is_fortran else "C")


def _built(raw: Any, kind: Any, shape: Any, order: Any = "C") -> npt.NDArray[Any]:
    """Return an array of bytes, if they are exactly as many as it has."""
    if (
        not isinstance(kind, _Type)
        or not isinstance(raw, bytes | bytearray)
        or order not in {"C", "F"}
    ):
        raise ValueError("an array is damaged")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("the shape of an array is damaged")
    if math.prod(shape) * kind.value.itemsize != len(raw):
        raise ValueError(f"an array of shape {str(shape)[:40]} has {len(raw)} bytes")
    flat = np.frombuffer(raw, kind.value)
    return flat.astype(kind.value.newbyteorder("=")).reshape(
        shape, order="F" if order == "F" else "C"
    )


def _from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.value = _built(raw, kind, shape, order)
    return array


def _scalar(kind: Any, raw: Any) -> Any:
    return _built(raw, kind, ()).item()


def _encoded(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise ValueError("bytes are damaged")
    return text.encode("latin1")


def _made(cls: Any, *_: Any) -> Any:
    if not (isinstance(cls, type) and issubclass(cls, Record)):
        raise ValueError("an object is of no known class")
    return cls()


class Images(Record):
    """A `rlbench.backend.observation.CameraImages`; images are in files of their own."""


_KNOWN: dict[str, Callable[..., Any]] = {
    "rlbench.demo.Demo": StoredDemo,
    "rlbench.backend.observation.Observation": StoredObservation,
    "rlbench.backend.observation.CameraImages": Images,
    "numpy.dtype": _Type,
    "numpy.ndarray": _Array,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "_codecs.encode": _encoded,
    "copyreg._reconstructor": _made,
    "copy_reg._reconstructor": _made,
    "builtins.object": Record,
    "__builtin__.object": Record,
}


class _Reader(pickle._Unpickler):
    """Python's own unpickler: the faster one makes room for as many objects as a file claims."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function."""
        whole = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if whole not in _KNOWN:
            raise pickle.UnpicklingError(f"{whole[:80]} has no place in a demonstration")
        return _KNOWN[whole]


def plain(value: Any) -> Any:
    """Return containers with arrays in the place of what stands for them.

    Raises:
        ValueError: they are too deep or too large, or hold what is no number, text, array or
            container.
    """
    return _plain(value, DEEPEST, iter(range(MOST_VALUES)))


def _plain(value: Any, depth: int, left: Iterator[int]) -> Any:
    """Do as `plain`: `depth` containers may lie within each other, `left` counts the values down.

    A container that stands in many places counts in each: few bytes can stand for endless lists.
    """
    if depth < 0:
        raise ValueError("containers lie too deep within each other")
    if next(left, None) is None:
        raise ValueError(f"it stands for more than {MOST_VALUES} values")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("an array has no content")
        return value.value
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, depth - 1, left) for item in value)
    if isinstance(value, dict):
        return {
            _plain(k, depth - 1, left): _plain(item, depth - 1, left) for k, item in value.items()
        }
    raise ValueError(f"a {type(value).__name__} has no place in it")


def read_record(path: Path) -> StoredDemo:
    """Return what a stored demonstration says, `plain` yet to be called on its attributes.

    Raises:
        TaskEnvironmentError: the file cannot be read, or holds anything else.
    """
    record = _unpickled(path, "stored demonstration")
    if isinstance(record, list):  # older versions stored the observations alone
        demo = StoredDemo()
        demo.attributes = {"_observations": record}
        return demo
    if not isinstance(record, StoredDemo):
        raise TaskEnvironmentError(f"{path} is no stored demonstration: it holds something else")
    return record


def read_plain(path: Path) -> Any:
    """Return the content of a pickle that holds numbers, texts, arrays and containers alone.

    Raises:
        TaskEnvironmentError: the file cannot be read, or holds anything else.
    """
    try:
        return plain(_unpickled(path, "pickle of plain values"))
    except ValueError as error:
        raise TaskEnvironmentError(f"{path} is no pickle of plain values: {error}") from None


def _unpickled(path: Path, what: str) -> Any:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise TaskEnvironmentError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(content) > LARGEST_FILE:
        raise TaskEnvironmentError(f"{path} is larger than the {LARGEST_FILE} bytes that are read")
    try:
        return _Reader(io.BytesIO(content)).load()
    except Exception as error:  # noqa: BLE001 - damaged pickles raise whatever comes
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise TaskEnvironmentError(f"{path} is no {what}: {why}") from None
