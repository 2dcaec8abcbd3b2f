"""Find the shapes inside a pickled object array of an npz, without unpickling it.

Nothing in the pickle is built or run: `pickletools.genops` lists its operations one by one, up to a
limit of bytes and operations, and the shapes are read from them.
"""

import pickletools
import zipfile
from pathlib import Path
from typing import IO

MAX_BYTES, MAX_OPERATIONS, MAX_SHAPES = 64 << 20, 200_000, 64
_INTEGERS = {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1"}
_UNSEEN = {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "FRAME"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Limited:
    """Reads at most `MAX_BYTES` of a stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.left = stream, MAX_BYTES

    def _counted(self, data: bytes) -> bytes:
        self.left -= len(data)
        return data

    def read(self, size: int = -1) -> bytes:
        return self._counted(self.stream.read(min(size, self.left) if size >= 0 else self.left))

    def readline(self) -> bytes:
        return self._counted(self.stream.readline(min(self.left, 10_000)))


def inner_shapes(path: Path, member: str) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays in an object array, in order, as far as is safe to read."""
    shapes: list[tuple[int, ...]] = []
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as stream:
            header = stream.read(10)  # magic, version, length of what follows
            size = int.from_bytes(header[8:10], "little")
            if header[6:7] != b"\x01":  # longer headers are those of huge record types
                return []
            stream.read(size)
            integers: list[int] = []
            for count, (operation, argument, _) in enumerate(pickletools.genops(_Limited(stream))):  # type: ignore[arg-type]
                if count >= MAX_OPERATIONS or len(shapes) >= MAX_SHAPES:
                    break
                name = operation.name
                if name in _INTEGERS and isinstance(argument, int):
                    integers.append(argument)
                elif name in _TUPLES and len(integers) == _TUPLES[name] + 1 and integers[0] == 1:
                    # An array's state: version 1, shape, type, order, bytes.
                    shapes.append(tuple(integers[1:]))
                    integers = []
                elif name not in _UNSEEN:
                    integers = []
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        MemoryError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
    ) as _:
        return shapes
    return shapes
