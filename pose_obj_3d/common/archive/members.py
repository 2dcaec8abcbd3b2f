"""The members of `sim_all_formal.npz`: their names, and reading those that others depend on."""

import re
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

from pose_obj_3d.common.archive.meta import MAX_TEXT, Meta, decode_meta
from pose_obj_3d.common.archive.shards import OpenArchive
from pose_obj_3d.common.errors import FormalError

CALIBRATION = ("intrinsics", "extrinsics")
DETECTIONS = "detections/"  # before the name of the example that they belong to
_EXAMPLE = re.compile(r"(detections/)?T(0|[1-9][0-9]{0,8})/exemple_(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Members:
    """The examples of an archive by name.

    Attributes:
        tracks: Task id -> members of its examples, in order.
        detections: The same of what a detector says; only tasks that have it.
    """

    tracks: dict[int, list[str]]
    detections: dict[int, list[str]]

    @property
    def counts(self) -> dict[int, int]:
        """Task id -> number of examples."""
        return {task: len(names) for task, names in self.tracks.items()}


def example_name(task: int, number: int) -> str:
    """Name the member with an example's track."""
    return f"T{task}/exemple_{number}"


def tasks_of(names: Sequence[str], detected: bool = False) -> list[int]:
    """List the task ids that members belong to, or that have detections; others are passed over."""
    matches = [_EXAMPLE.fullmatch(name) for name in names]
    return sorted({int(match[2]) for match in matches if match and bool(match[1]) == detected})


def list_members(path: Path, names: Sequence[str]) -> Members:
    """Sort an archive's members into those of each task, in the order of their numbers.

    Raises:
        FormalError: A member is unknown or missing.
    """
    tracks: dict[int, dict[int, str]] = {}
    detections: dict[int, dict[int, str]] = {}
    for name in names:
        if name in ("meta", *CALIBRATION):
            continue
        match = _EXAMPLE.fullmatch(name)
        if match is None:
            raise FormalError(
                f"{path}: unknown member {name[:80]!r}; allowed are T<task>/exemple_<n> and"
                f" {DETECTIONS}T<task>/exemple_<n>"
            )
        numbered = detections if match[1] else tracks
        numbered.setdefault(int(match[2]), {})[int(match[3])] = name
    for task, examples in tracks.items():
        gap = next((n for n in range(len(examples)) if n not in examples), None)
        if gap is not None:
            raise FormalError(f"{path}: T{task} lacks exemple_{gap}; convert the data again")
    for task, examples in detections.items():
        check_complete(path, task, sorted(examples), len(tracks.get(task, {})))
    return Members(_in_order(tracks), _in_order(detections))


def _in_order(numbered: dict[int, dict[int, str]]) -> dict[int, list[str]]:
    return {
        task: [examples[n] for n in range(len(examples))]
        for task, examples in sorted(numbered.items())
    }


def check_complete(path: Path, task: int, numbers: Sequence[int], count: int) -> None:
    """Check that a task's detections are there for each of its examples, and for no other.

    Raises:
        FormalError: They are not; the message names the first example.
    """
    odd = sorted(set(numbers) ^ set(range(count)))
    if odd:
        what = "are missing" if odd[0] < count else "have no track"
        raise FormalError(
            f"{path}: {DETECTIONS}{example_name(task, odd[0])}: these detections {what}; a task has"
            f" them for each of its examples ({count} here), or for none: detect again"
        )


def read_meta(path: Path, archive: OpenArchive) -> Meta:
    """Read and decode `meta`, with limits.

    Raises:
        FormalError: It is missing, damaged, or too long.
    """
    if "meta" not in archive.names:
        raise FormalError(f"{path}: member 'meta' is missing; this is not a sim_all_formal archive")
    header = archive.header("meta")
    if header.dtype.kind != "U" or header.shape != ():
        raise FormalError(
            f"{path}: member 'meta' must be one text, found {header.dtype} {header.shape}; convert"
            " the data again"
        )
    if header.size > 4 * MAX_TEXT:
        raise FormalError(
            f"{path}: member 'meta' has {header.size // 4} characters; at most {MAX_TEXT} are read"
        )
    try:
        return decode_meta(str(archive.read("meta")))
    except FormalError as error:
        raise FormalError(f"{path}: {error}") from error


def check_optional(path: Path, meta: Meta, detections: Mapping[int, Sized]) -> None:
    """Check that detections and `meta` agree: who detected, and of which examples.

    Raises:
        FormalError: They do not.
    """
    about = meta.get("detections")
    if detections and about is None:
        raise FormalError(f"{path}: meta['detections'] must name the detector, it is missing")
    if about is not None and not detections:
        raise FormalError(
            f"{path}: meta['detections'] names a detector, but there are no members"
            f" {DETECTIONS}T<task>/exemple_<n>; pass the detections too, or leave the field out"
        )
    for key, folds in ((about or {}).get("folds") or {}).items():
        count = len(detections.get(int(key[1:]), ()))
        odd = next((n for n in folds if int(n) >= count), None)
        if odd is not None:
            raise FormalError(
                f"{path}: detections.folds of {key} has example {odd}, but the file has {count}"
                " detected example(s) of the task"
            )
