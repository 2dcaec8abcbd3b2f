"""The file of a checkpoint: what `torch.save` writes, with two checksums, read without trust.

`torch.load` runs native code on what a file claims. Here the directory, the pickle and every
tensor's place in its storage are checked first, and tensors are made from checked bytes. Two
checksums are written: one of the state's values (`CHECKSUM` in the state), and one of the file's
bytes, as the comment of the zip archive.
"""

import hashlib
import io
import math
import re
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading import plain_pickle
from pose_obj_3d.common.safe_reading.npy_arrays import MAX_LENGTH, filled
from pose_obj_3d.common.safe_reading.safe_npz import Archive

CHECKSUM = "checksum"
MAX_DEPTH, MAX_VALUES, MAX_NUMBER = 20, 1_000_000, 2**64
_PREFIX = b"sha256:"
_COMMENT = len(_PREFIX) + 64
_RECORD = re.compile(
    r"[^/\\]{1,200}/(data\.pkl|data/[0-9]{1,9}|\.data/serialization_id|\.format_version|\.storage_alignment|byteorder|version)"
)
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
State = dict[str, Any]


def checksum(value: object) -> str:
    """Return the hash of a state's structure and values, without the hash that it holds itself."""
    digest = hashlib.sha256()
    parts = {k: v for k, v in value.items() if k != CHECKSUM} if isinstance(value, dict) else value
    _add(digest, parts)
    return digest.hexdigest()


def _add(digest: Any, value: object) -> None:
    if isinstance(value, dict):
        digest.update(f"dict {len(value)};".encode())
        for key, part in value.items():
            _add(digest, key)
            _add(digest, part)
    elif isinstance(value, list | tuple):
        digest.update(f"list {len(value)};".encode())
        for part in value:
            _add(digest, part)
    elif isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(f"tensor {value.dtype} {tuple(value.shape)};".encode())
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    else:
        text = repr(value).encode("utf-8", "backslashreplace")
        digest.update(f"{type(value).__name__} {len(text)};".encode() + text)


def to_bytes(state: State) -> bytes:
    """Return the file of a state: the checksum of its values in it, that of its bytes behind it."""
    buffer = io.BytesIO()
    torch.save({**state, CHECKSUM: checksum(state)}, buffer)
    raw = bytearray(buffer.getvalue())
    raw[-2:] = struct.pack("<H", _COMMENT)  # the archive's last field: the length of its comment
    return bytes(raw) + _PREFIX + hashlib.sha256(raw).hexdigest().encode()


def read(path: Path) -> tuple[State, bool]:
    """Read a checkpoint's state.

    Returns:
        The state, and whether it has the checksums, which then are right; older checkpoints have
        none.

    Raises:
        ArchiveError: It is no checkpoint, or a damaged or hostile one.
        OSError: It cannot be read.
    """
    has_file_sum = _check_bytes(path)
    with Archive(path) as archive:
        state = _read_state(archive)
    if not isinstance(state, dict):
        raise ArchiveError(f"it holds {type(state).__name__}, not the state of a training")
    has_sum = CHECKSUM in state
    if has_sum and state[CHECKSUM] != checksum(state):
        raise ArchiveError(
            "its values are not those that were saved (wrong checksum): it is damaged"
        )
    return state, has_sum or has_file_sum


def _check_bytes(path: Path) -> bool:
    """Compare the file's bytes with the checksum behind them; False where there is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _COMMENT, 0))
        comment = file.read(_COMMENT)
        if not comment.startswith(_PREFIX):
            return False
        file.seek(0)
        digest, rest = hashlib.sha256(), size - _COMMENT
        while rest > 0 and (piece := file.read(min(2**20, rest))):
            digest.update(piece)
            rest -= len(piece)
    if comment != _PREFIX + digest.hexdigest().encode():
        raise ArchiveError(
            "its bytes are not those that were saved (wrong checksum): it is damaged; copy or"
            " download it again"
        )
    return True


class _Ordered(plain_pickle.Built, OrderedDict[str, Any]):
    """The ordered dict of a model's tensors; an attribute holds the versions of its modules."""

    def build(self, state: object) -> None:
        """Take the versions."""
        if (
            not isinstance(state, dict)
            or set(state) != {"_metadata"}
            or not isinstance(state["_metadata"], dict)
        ):
            raise ArchiveError("has an ordered dict with unknown parts")
        self.versions = state["_metadata"]


class _Storages:
    """The numbers of all tensors, read when the first tensor asks for them."""

    def __init__(self, archive: Archive, root: str) -> None:
        self.archive, self.root = archive, root
        self.read: dict[str, Tensor] = {}

    def find(self, reference: object) -> Tensor:
        """Return the storage (n,) that a pickle refers to."""
        if not isinstance(reference, tuple) or len(reference) != 5:
            raise ArchiveError("has a tensor without a storage")
        word, kind, key, _, count = reference
        dtype = _DTYPES.get(kind.name) if isinstance(kind, plain_pickle.Named) else None
        if word != "storage" or dtype is None or not isinstance(key, str) or type(count) is not int:
            raise ArchiveError("has a tensor of an unknown kind")
        if key not in self.read:
            self.read[key] = torch.from_numpy(
                self.archive.open(f"{self.root}/data/{key[:20]}", filled)
            )
        found = self.read[key]
        if not 0 <= count <= MAX_LENGTH or count * dtype.itemsize != len(found):
            raise ArchiveError(f"has a storage of {str(count)[:20]} {dtype} in {len(found)} bytes")
        return found.view(dtype) if len(found) else torch.zeros(0, dtype=dtype)


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """Build a tensor that lies inside its storage."""
    if (
        not isinstance(storage, Tensor)
        or type(offset) is not int
        or not isinstance(size, tuple)
        or not isinstance(stride, tuple)
    ):
        raise ArchiveError("has a tensor without storage, offset, size and strides")
    if (
        len(size) != len(stride)
        or len(size) > 16
        or not all(type(n) is int and 0 <= n <= MAX_LENGTH for n in (offset, *size, *stride))
    ):
        raise ArchiveError("has a tensor of impossible size")
    count = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if count else offset
    if count > len(storage) or (count and last >= len(storage)):
        raise ArchiveError(
            f"has a tensor of {count} numbers that reaches beyond its storage of {len(storage)}"
        )
    return torch.as_strided(storage, size, stride, offset)


def _ordered(*parts: object) -> _Ordered:
    if parts:
        raise ArchiveError("has an ordered dict that is not filled item by item")
    return _Ordered()


def _refused(*_: object) -> None:
    raise ArchiveError("makes a storage of its own")


_CALLS: plain_pickle.Calls = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): _ordered,
    **{("torch", name): _refused for name in _DTYPES},
}


def _read_state(archive: Archive) -> Any:
    strange = [name for name in archive.names if not _RECORD.fullmatch(name)]
    roots = {name.split("/", 1)[0] for name in archive.names}
    if strange or len(roots) != 1:
        what = f"member {strange[0][:80]!r}" if strange else f"{len(roots)} folders"
        raise ArchiveError(f"it has {what}, which no checkpoint has")
    (root,) = roots
    if f"{root}/byteorder" in archive.names and archive.raw(f"{root}/byteorder") != b"little":
        raise ArchiveError("it was written on a computer of another byte order")
    storages = _Storages(archive, root)
    found = archive.open(f"{root}/data.pkl", lambda file, _: _whole_pickle(file, storages))
    used = {f"{root}/data/{key}" for key in storages.read}
    for name in archive.names:
        if name not in used:
            archive.raw(name)  # damage shows by its checksum
    return _Plain().of(found, 0)


def _whole_pickle(file: Any, storages: _Storages) -> Any:
    found = plain_pickle.load(file, _CALLS, storages.find)
    if file.read(1):
        raise ArchiveError("is damaged: something follows its end")
    return found


class _Plain:
    """Turns what the pickle left into plain values, each part counted as often as it is named."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, value: Any, depth: int) -> Any:
        """Return a value of dicts, lists, tuples, tensors, texts and numbers."""
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_VALUES:
            raise ArchiveError(
                f"it nests more than {MAX_DEPTH} levels, or has more than {MAX_VALUES} values"
            )
        if isinstance(value, _Ordered):
            ordered = OrderedDict((key, self.of(part, depth + 1)) for key, part in value.items())
            if hasattr(value, "versions"):
                ordered._metadata = self.of(value.versions, depth + 1)  # type: ignore[attr-defined]
            return ordered
        if isinstance(value, dict):
            return {key: self.of(part, depth + 1) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.of(part, depth + 1) for part in value)
        is_huge = isinstance(value, int) and not -MAX_NUMBER < value < MAX_NUMBER
        if is_huge or not (value is None or isinstance(value, bool | int | float | str | Tensor)):
            raise ArchiveError(
                f"it holds {'a huge number' if is_huge else type(value).__name__}, which no"
                " checkpoint has"
            )
        return value
