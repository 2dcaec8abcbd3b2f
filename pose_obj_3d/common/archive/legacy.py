"""The older layout of `sim_all_formal.npz`: one pickled dict, read without Python's unpickler.

`pose["T<task>"]["exemple_<n>"] = [view0, view1, ...]`, each float (frames, keypoints, 8), without
calibration. `python -m pose_obj_3d.formal_legacy` converts a file.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from pose_obj_3d.common.archive.arrays import NUM_CHANNELS, Array
from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.safe_reading import plain_pickle
from pose_obj_3d.common.safe_reading.npy_arrays import MAX_LENGTH, header_text
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.common.whole_files import writing

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


class _Array(plain_pickle.Built):
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


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> _Array:
    array = _Array()
    array.fill(shape, dtype, order == "F", data)
    return array


def _scalar(dtype: object, data: object = b"") -> _Array:
    return _from_buffer(data, dtype, (), "C")


def _not_called(*_: object) -> None:
    raise ArchiveError("makes an array without data")


_CALLS: plain_pickle.Calls = {
    **{(f"{core}.multiarray", "_reconstruct"): _Array for core in _CORE},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORE},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORE},
    ("numpy", "ndarray"): _not_called,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encoded,
}
"""All that such a pickle may call: our own functions, which check their arguments."""


def read_legacy(path: Path) -> dict[int, list[Array]]:
    """Read an older archive.

    Returns:
        Task id -> examples in number order, each float32 (V, T, K, 8).

    Raises:
        FormalError: it is no such archive, or its pickle holds more than data.
    """
    try:
        with Archive(path) as archive:
            pose, size = archive.open("pose", _read_pose)
    except (OSError, ArchiveError) as error:
        raise FormalError(
            f"{path}: not an older archive with a pickled member pose: {error}"
        ) from error
    pose = _plain(pose)
    if not isinstance(pose, dict) or not pose:
        raise FormalError(f"{path}: pose must be a dict of tasks, found {type(pose).__name__}")
    tasks = {_number(path, "T", key): value for key, value in pose.items()}
    pose.clear()
    return {task: _examples(path, f"T{task}", tasks.pop(task), size) for task in list(tasks)}


def _read_pose(file: IO[bytes], size: int) -> tuple[Any, int]:
    text, _ = header_text(file)
    if not _OBJECTS.search(text):
        raise ArchiveError("is no pickled array; archives of this layout hold one dict")
    return plain_pickle.load(file, _CALLS), size


def _plain(value: Any) -> Any:
    """Unpack an array: its one object, the list of its objects, or its numbers; else the value."""
    if not isinstance(value, _Array):
        return value
    is_single = isinstance(value.value, list) and len(value.value) == 1
    return value.value[0] if is_single else value.value  # type: ignore[index]


def _number(path: Path, prefix: str, key: Any) -> int:
    match = re.fullmatch(rf"{prefix}(0|[1-9][0-9]{{0,8}})", str(key)[:40])
    if match is None:
        raise FormalError(f"{path}: key {str(key)[:40]!r} must be {prefix}<number>")
    return int(match.group(1))


def _examples(path: Path, task: str, examples: Any, size: int) -> list[Array]:
    """Return the examples of a task.

    A pickle can name one array many times, so `size` limits the bytes of all examples together.
    """
    examples = _plain(examples)
    if not isinstance(examples, dict) or not examples:
        raise FormalError(f"{path}: {task} must be a dict of examples")
    found = {_number(path, "exemple_", key): views for key, views in examples.items()}
    if sorted(found) != list(range(len(found))):
        raise FormalError(f"{path}: {task} must hold exemple_0 .. exemple_{len(found) - 1}")
    numbered = {n: _views(path, f"{task}/exemple_{n}", views) for n, views in found.items()}
    if sum(view.nbytes for views in numbered.values() for view in views) > size:
        raise FormalError(f"{path}: {task} names the same arrays many times; the file is damaged")
    found.clear()
    examples.clear()
    # Taken out one by one: the numbers are in memory once, not twice.
    return [
        np.stack([view.astype(np.float32) for view in numbered.pop(n)]) for n in sorted(numbered)
    ]


def _views(path: Path, where: str, views: Any) -> list[Array]:
    views = _plain(views)
    if isinstance(views, np.ndarray) and views.ndim == 4:
        views = list(views)
    arrays = [_plain(view) for view in views] if isinstance(views, list | tuple) else []
    ok = bool(arrays) and all(
        isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.ndim == 3 for a in arrays
    )
    if not ok or len({a.shape for a in arrays}) != 1 or arrays[0].shape[-1] != NUM_CHANNELS:
        raise FormalError(f"{path}: {where}: views must all be numbers (frames, keypoints, 8)")
    return arrays


def write_legacy(path: Path, tracks: Mapping[int, Sequence[Array]]) -> None:
    """Write the older layout; calibration and names are lost.

    Args:
        path: where; replaced in one step.
        tracks: task id -> examples, each (V, T, K, 8).
    """
    pose = {
        f"T{task}": {f"exemple_{n}": list(track) for n, track in enumerate(examples)}
        for task, examples in tracks.items()
    }
    holder = np.empty((), object)
    holder[()] = pose
    with writing(path) as stream:
        np.savez_compressed(stream, pose=holder)
