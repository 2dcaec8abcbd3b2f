"""Examples that are read from an archive when they are asked for, in bounded memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import overload

from pose_obj_3d.common.archive.arrays import Array, check_shape, check_values, expected_shape
from pose_obj_3d.common.archive.detections import check_detections, check_detections_shape
from pose_obj_3d.common.archive.members import Members
from pose_obj_3d.common.archive.meta import Meta
from pose_obj_3d.common.archive.shards import OpenArchive
from pose_obj_3d.common.errors import ArchiveError, FormalError

Read = Callable[[int], Array]
ReadOf = Callable[[int, int], Array]  # task, number


class Recent:
    """The arrays that were asked for last, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max, self._held = max_bytes, 0
        self._arrays: OrderedDict[object, Array] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: object, read: Callable[[], Array]) -> Array:
        """Return the array of a key, read if it is not held; nobody may change it."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
            x = read()
            x.flags.writeable = False
            self._arrays[key] = x
            self._held += x.nbytes
            while self._held > self._max and len(self._arrays) > 1:
                self._held -= self._arrays.popitem(last=False)[1].nbytes
            return x


class LazyExamples(Sequence[Array]):
    """Examples of one task, in order; each is made when it is asked for."""

    def __init__(self, count: int, read: Read) -> None:
        """Take the number of examples, and what gives the n-th."""
        self._count, self._read = count, read

    def __len__(self) -> int:
        """Return the number of examples."""
        return self._count

    @overload
    def __getitem__(self, n: int) -> Array: ...
    @overload
    def __getitem__(self, n: slice) -> "LazyExamples": ...
    def __getitem__(self, n: int | slice) -> "Array | LazyExamples":
        """Return an example, or some of them, not yet read."""
        numbers = range(self._count)[n]
        if isinstance(numbers, range):
            return LazyExamples(len(numbers), lambda i: self._read(numbers[i]))
        return self._read(numbers)

    def __iter__(self) -> Iterator[Array]:
        """Go through the examples."""
        return (self._read(n) for n in range(self._count))


def unreadable(path: Path, error: Exception) -> FormalError:
    """Say that an archive cannot be read."""
    return FormalError(f"{path}: not a readable npz archive ({error}); convert the data again")


def read_examples(
    path: Path, archive: OpenArchive, members: Members, meta: Meta, recent: Recent | None
) -> tuple[dict[int, Sequence[Array]], dict[int, Sequence[Array]]]:
    """Give tracks and detections by task: all read, or, with `recent`, each when it is needed."""

    def track(task: int, n: int) -> Array:
        name = members.tracks[task][n]
        where = f"{path}: {name}"
        x = archive.read(name, partial(check_shape, where, expected_shape(meta, task)))
        check_values(where, x)
        return x

    def detected(task: int, n: int) -> Array:
        name = members.detections[task][n]
        where, shape = f"{path}: {name}", tracks[task][n].shape[:3]
        x = archive.read(name, partial(check_detections_shape, where, shape))
        check_detections(where, x)
        return x

    def sequence(
        read: Callable[[int, int], Array], kind: str, task: int, n: int
    ) -> Sequence[Array]:
        if recent is None:
            return [read(task, i) for i in range(n)]

        def one(i: int) -> Array:
            try:
                return recent.get((kind, task, i), lambda: read(task, i))
            except (OSError, ArchiveError) as error:
                raise unreadable(path, error) from error

        return LazyExamples(n, one)

    tracks: dict[int, Sequence[Array]] = {}
    for task, names in members.tracks.items():
        tracks[task] = sequence(track, "tracks", task, len(names))
    detections = {
        task: sequence(detected, "detections", task, len(names))
        for task, names in members.detections.items()
    }
    return tracks, detections
