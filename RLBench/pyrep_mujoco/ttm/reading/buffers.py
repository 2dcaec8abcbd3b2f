"""The mesh buffers that the shapes of a file share."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.chunks import Chunk, Fields

Indices = npt.NDArray[np.int64]

KNOWN = frozenset({"Ver", "Ind", "In2", "Nor", "No2", "Ved"})
_BIAS = np.array([31, 8191, 2097151, 536870911])
"""What is taken off a difference of 1, 2, 3 or 4 bytes."""
_BLOCK = 1 << 16
_LEVELS = 6


class MeshBuffers:
    """Vertices, corners and normals by number; decoded when first asked for."""

    def __init__(self, fields: list[Fields]) -> None:
        """Take the content of all `VIN` containers."""
        self._vertices = _Numbered("vertices", fields, ("Ver",), _vertices)
        self._corners = _Numbered("triangles", fields, ("Ind", "In2"), _corners)
        self._normals = _Numbered("normals", fields, ("Nor", "No2"), _normals)

    def vertices(self, number: Chunk) -> Floats:
        """Return the (V, 3) vertices [m] whose number a chunk holds."""
        return self._vertices.look_up(number)

    def corners(self, number: Chunk) -> Indices:
        """Return the (F, 3) vertex numbers whose number a chunk holds."""
        return self._corners.look_up(number)

    def normals(self, number: Chunk) -> Floats:
        """Return the (F, 3, 3) normals of corners, of any length, whose number a chunk holds."""
        return self._normals.look_up(number)


Numbers = TypeVar("Numbers", Floats, Indices)


class _Numbered(Generic[Numbers]):
    """Buffers of one kind."""

    def __init__(
        self,
        kind: str,
        fields: list[Fields],
        tags: tuple[str, ...],
        decode: Callable[[Chunk], Numbers],
    ) -> None:
        self._kind = kind
        self._chunks = [chunk for f in fields for chunk in f.all(*tags)]
        self._decode: Callable[[Chunk], Numbers] = decode
        self._kept: dict[int, Numbers] = {}

    def look_up(self, number: Chunk) -> Numbers:
        place = number.integer()
        if not 0 <= place < len(self._chunks):
            raise number.error(f"names {self._kind} {place}; the file has {len(self._chunks)}")
        if place not in self._kept:
            self._kept[place] = self._decode(self._chunks[place])
        return self._kept[place]


def _triples(chunk: Chunk, size: int) -> int:
    """Return how many triples of items of `size` bytes a chunk holds."""
    if len(chunk.data) % (3 * size):
        raise chunk.error(f"{len(chunk.data)} bytes are no triples of {size} bytes each")
    return len(chunk.data) // (3 * size)


def _vertices(chunk: Chunk) -> Floats:
    count = _triples(chunk, 4)
    return chunk.floats(3 * count).reshape(count, 3)


def _corners(chunk: Chunk) -> Indices:
    if chunk.path.endswith("/Ind"):
        values = np.frombuffer(chunk.data, "<i4", 3 * _triples(chunk, 4)).astype(np.int64)
    else:
        values = _differences(chunk).cumsum()
    if len(values) % 3:
        raise chunk.error(f"{len(values)} corners are no triangles")
    return values.reshape(-1, 3)


def _differences(chunk: Chunk) -> Indices:
    """Decode numbers of 1 to 4 bytes; the top two bits of the first byte say how many follow."""
    count = chunk.integer()
    raw = np.frombuffer(chunk.data, np.uint8, offset=4)
    if not 0 <= count <= len(raw):
        raise chunk.error(f"claims {count} corners in {len(raw)} bytes")
    more = raw >> np.uint8(6)
    starts = _starts((more + 1).astype(np.uint8), count)
    if len(starts) < count or (count and starts[-1] + more[starts[-1]] >= len(raw)):
        raise chunk.error(f"ends before its {count} corners do")
    padded = np.concatenate([raw, np.zeros(3, np.uint8)]).astype(np.int64)
    follow = more[starts].astype(np.int64)
    values = padded[starts] & 63
    for place, shift in ((1, 6), (2, 14), (3, 22)):
        values += np.where(follow >= place, padded[starts + place] << shift, 0)
    out: Indices = values - _BIAS[follow]
    return out


def _starts(lengths: npt.NDArray[np.uint8], count: int) -> Indices:
    """Return where up to `count` items start that follow each other, given the length at any byte.

    Jumps over 64 items are made of jumps over 32 and so on, for all bytes at once; then only every
    64th start is found one by one.
    """
    found: list[Indices] = []
    at = total = 0
    while at < len(lengths) and total < count:
        size = min(_BLOCK, len(lengths) - at)
        # Behind the block all jumps stay where they are.
        jump = np.arange(size + 4)
        jump[:size] += lengths[at : at + size]
        jumps = [jump]
        for _ in range(_LEVELS):
            jumps.append(jumps[-1][jumps[-1]])
        coarse = []
        far, place = jumps.pop().tolist(), 0
        while place < size:
            coarse.append(place)
            place = far[place]
        starts = np.array(coarse)
        for jump in reversed(jumps):
            starts = np.stack([starts, jump[starts]], axis=1).ravel()
        starts = starts[starts < size]
        found.append(starts + at)
        total += len(starts)
        at += int(starts[-1] + lengths[at + starts[-1]])
    return np.concatenate(found)[:count] if found else np.empty(0, np.int64)


def _normals(chunk: Chunk) -> Floats:
    if chunk.path.endswith("/Nor"):
        return chunk.floats(3 * _triples(chunk, 4)).reshape(-1, 3, 3)
    packed = np.frombuffer(chunk.data, "<u2", 3 * (_triples(chunk, 2))).astype(np.int64)
    parts = [(packed >> shift) & 31 for shift in (0, 5, 10)]
    return np.stack(parts, axis=1).reshape(-1, 3, 3) - 15.0
