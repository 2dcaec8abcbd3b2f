"""Tagged chunks: three letters, a size, and that many bytes; containers hold chunks in turn.

A container's sequence of chunks finishes with a bare end tag. Whatever does not fit is refused with
the file, the object, the path of tags and the place in the unpacked payload.
"""

import struct
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from pyrep_mujoco.errors import TtmError
from pyrep_mujoco.transforms import Floats, quat_wxyz_to_matrix, transform

_HEAD = struct.Struct("<3si")
"""A tag and a size."""
MAX_CHUNKS = 1_000_000
"""Of one file; RLBench's largest holds some ten thousand."""


@cache
def _layout(layout: str) -> struct.Struct:
    return struct.Struct("<" + layout)


@dataclass
class Origin:
    """What chunks of one file share: where they come from, and what was passed over.

    Attributes:
        source: file name.
        name: of the object that is being read, empty outside of objects.
        skipped: chunks that nobody knows, `<container>/<tag>` -> how many.
        missing: what was not found or not understood: (object, what) -> how often.
        pending: the same by what alone, until `settle`: an object's name may come late.
        count: of chunks so far.
    """

    source: str
    name: str = ""
    skipped: Counter[str] = field(default_factory=Counter)
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)
    count: int = 0

    def settle(self) -> None:
        """Count all that is pending to the object that is being read, or to none."""
        for what, count in self.pending.items():
            self.missing[self.name, what] += count
        self.pending.clear()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A tag and its bytes.

    Attributes:
        path: tags from the outermost container to this chunk, split by slashes.
        data: its content.
        offset: of the content in the unpacked payload [bytes].
        origin: of the file.
    """

    path: str
    data: memoryview
    offset: int
    origin: Origin

    def error(self, text: str) -> TtmError:
        """Return the error that says `text` of this chunk."""
        owner = f" of {self.origin.name!r}" if self.origin.name else ""
        path = self.path or "payload"
        return TtmError(f"{self.origin.source}: {path}{owner} at byte {self.offset}: {text}")

    def unpack(self, layout: str) -> tuple[int, ...]:
        """Return integers by a `struct` layout without byte order; bytes after them are left.

        Raises:
            TtmError: the chunk is too short.
        """
        packed = _layout(layout)
        if len(self.data) < packed.size:
            raise self.error(f"holds {len(self.data)} bytes, needs {packed.size}")
        return packed.unpack_from(self.data)

    def integer(self, layout: str = "i") -> int:
        """Return the first integer."""
        return self.unpack(layout)[0]

    def floats(self, count: int, start: int = 0) -> Floats:
        """Return (count,) single precision numbers from byte `start` on.

        Raises:
            TtmError: the chunk is too short, or one is infinite or no number.
        """
        if len(self.data) < start + 4 * count:
            raise self.error(f"holds {len(self.data)} bytes, needs {start + 4 * count}")
        values = np.frombuffer(self.data, "<f4", count, start)
        # Looked at before the cast, which warns of some of them.
        if not np.isfinite(values).all():
            raise self.error("holds numbers that are not finite")
        return values.astype(np.float64)

    def number(self) -> float:
        """Return the first number; see `floats`."""
        return float(self.floats(1)[0])

    def text(self) -> str:
        """Return a string that is stored after its length.

        Raises:
            TtmError: it is longer than the chunk.
        """
        size = self.integer()
        if not 0 <= size <= len(self.data) - 4:
            raise self.error(f"claims a text of {size} bytes in {len(self.data) - 4}")
        raw = bytes(self.data[4 : 4 + size])
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def pose(self, start: int = 0, *, position_first: bool, lenient: bool = False) -> Floats:
        """Return the (4, 4) pose at byte `start`.

        Args:
            start: first byte.
            position_first: position and quaternion wxyz, rather than quaternion and position.
            lenient: a quaternion of zeros is no rotation rather than an error.
        """
        values = self.floats(7, start)
        position, quat = (values[:3], values[3:]) if position_first else (values[4:], values[:4])
        if np.linalg.norm(quat) < 1e-6:
            if not lenient:
                raise self.error(f"holds a pose whose quaternion is {quat.tolist()}")
            quat = np.array([1.0, 0.0, 0.0, 0.0])
        return transform(position, quat_wxyz_to_matrix(quat))

    def fields(self, known: Collection[str], end: str = "EOO") -> "Fields":
        """Return the chunks in this container, which its end tag must finish.

        Raises:
            TtmError: sizes and end tag do not agree.
        """
        found, stop = self.sequence(0, known, end)
        self.check_end(stop)
        return found

    def check_end(self, stop: int) -> None:
        """Raise TtmError unless `stop` is where this container ends."""
        if stop != len(self.data):
            raise self.error(f"ends {len(self.data) - stop} bytes before its size says")

    def sequence(
        self, start: int, known: Collection[str], end: str, unread: Collection[str] = ()
    ) -> "tuple[Fields, int]":
        """Split this container's bytes from `start` on, up to and with an end tag.

        Args:
            start: first byte.
            known: tags that are read or known to say nothing; others are counted as skipped.
            end: end tag.
            unread: tags among those that nobody misses.

        Returns:
            The chunks, and the byte after the end tag.

        Raises:
            TtmError: sizes run past the end, or the end tag is missing.
        """
        data, prefix = self.data, self.path + "/" if self.path else ""
        found: dict[str, list[int]] = {}
        length, origin = len(data), self.origin
        while True:
            raw = bytes(data[start : start + 3])
            if len(raw) < 3:
                raise self.error(f"ends without its end tag {end}")
            tag = raw.decode("latin-1")
            if tag == end:
                return Fields(self, found), start + 3
            if not (raw.isascii() and tag.isalnum()):
                raise self.error(f"has the bytes {raw.hex(' ')} in place of a tag at +{start}")
            body = start + _HEAD.size
            if length < body:
                raise self.error(f"ends without its end tag {end}")
            count = _HEAD.unpack_from(data, start)[1]
            stop = body + count
            if not 0 <= count <= length - body:
                size = Chunk(prefix + tag, data[start:body], self.offset + start, origin)
                raise size.error(f"claims {count} bytes where {length - body} are left")
            found.setdefault(tag, []).append(body)
            if tag not in known:
                path = prefix + tag
                origin.skipped[path] += 1
                if tag not in unread:
                    origin.pending[f"its chunk {path} is unknown: passed over"] += 1
            origin.count += 1
            if origin.count > MAX_CHUNKS:
                last = Chunk(prefix + tag, data[body:stop], self.offset + body, origin)
                raise last.error(f"is one of more than {MAX_CHUNKS} chunks")
            start = stop


@dataclass(frozen=True, slots=True)
class Fields:
    """The chunks of one container by tag: made when asked for, since most are never read.

    Attributes:
        container: that holds them.
        places: tag -> where its chunks' contents start in the container [bytes].
    """

    container: Chunk
    places: dict[str, list[int]]

    def _chunk(self, tag: str, place: int) -> Chunk:
        outer = self.container
        size = _HEAD.unpack_from(outer.data, place - _HEAD.size)[1]
        path = f"{outer.path}/{tag}" if outer.path else tag
        body = outer.data[place : place + size]
        return Chunk(path, body, outer.offset + place, outer.origin)

    def get(self, tag: str) -> Chunk | None:
        """Return the chunk of a tag, the last if there are several, or None."""
        places = self.places.get(tag)
        return self._chunk(tag, places[-1]) if places else None

    def need(self, tag: str) -> Chunk:
        """Return the chunk of a tag.

        Raises:
            TtmError: there is none.
        """
        chunk = self.get(tag)
        if chunk is None:
            raise self.container.error(f"has no {tag}")
        return chunk

    def all(self, *tags: str) -> list[Chunk]:
        """Return the chunks of some tags in their order in the file."""
        found = sorted((place, tag) for tag in tags for place in self.places.get(tag, []))
        return [self._chunk(tag, place) for place, tag in found]

    def integer(self, tag: str, default: int, layout: str = "i") -> int:
        """Return the integer of a tag, `default` without it."""
        chunk = self.get(tag)
        return default if chunk is None else chunk.integer(layout)

    def number(self, tag: str, default: float) -> float:
        """Return the number of a tag, `default` without it."""
        chunk = self.get(tag)
        return default if chunk is None else chunk.number()

    def floats(self, tag: str, default: list[float]) -> Floats:
        """Return as many numbers as `default` has, `default` without the tag."""
        chunk = self.get(tag)
        return np.array(default) if chunk is None else chunk.floats(len(default))

    def text(self, tag: str) -> str:
        """Return the text of a tag, empty without it."""
        chunk = self.get(tag)
        return "" if chunk is None else chunk.text()
