"""Read the members of a `tracks.npz`, or take arrays in their place; `members` checks them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.common.safe_reading.npy_arrays import OBJECT_ARRAY
from pose_obj_3d.common.safe_reading.object_arrays import MAX_SHAPES, inner_shapes
from pose_obj_3d.common.safe_reading.safe_npz import SINGLE_ARRAY, Archive

REQUIRED = ("points", "intrinsics", "extrinsics")
OPTIONAL = (
    "confidence",
    "covariance",
    "distortion",
    "units",
    "camera_names",
    "keypoint_names",
    "image_size",
    "sequence_starts",
    "fps",
    "truth",
    "lens",
)
KEYS = (*REQUIRED, *OPTIONAL)

Array = npt.NDArray[Any]
Found = TypeVar("Found")


def read_members(path: Path) -> dict[str, Array]:
    """Return the members; unknown and absent ones are errors, found before anything is unpacked."""
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; write it with np.savez_compressed, docs/own_videos.md has the"
            " keys"
        )
    try:
        opened = Archive(path)
    except ArchiveError as error:
        if str(error) == SINGLE_ARRAY:
            raise DataError(
                f"{path}: one array, not an npz archive; write it with np.savez_compressed(path,"
                " points=...)"
            ) from error
        raise DataError(
            f"{path}: not an npz archive ({error}); write it with np.savez_compressed,"
            " docs/own_videos.md has the keys"
        ) from error
    with opened as archive:
        unknown = [name for name in archive.names if name not in KEYS]
        if unknown:
            raise DataError(
                f"{path}: key {unknown[0][:80]!r} is unknown; {near_names(unknown[0], KEYS)}"
            )
        _require(str(path), archive.names)
        count = sum(_read(path, archive.header, name).count for name in archive.names)
        _read(
            path, lambda _: archive.check_content(8 * count), "the content"
        )  # all numbers become float64
        return {name: _read(path, archive.read, name) for name in archive.names}


def _require(source: str, names: Collection[str]) -> None:
    absent = [name for name in REQUIRED if name not in names]
    if absent:
        raise DataError(
            f"{source}: key {absent[0]!r} is missing; required are {', '.join(REQUIRED)}"
        )


def _read(path: Path, reader: Callable[[str], Found], name: str) -> Found:
    """Read something of a member, or raise DataError."""
    try:
        return reader(name)
    except ArchiveError as error:
        if OBJECT_ARRAY in str(error):
            line = explain_object_array(name, inner_shapes(path, name))
            raise DataError(f"{path}: {line}") from error
        raise DataError(
            f"{path}: {name} cannot be read ({error}); the file is damaged, write it again"
        ) from error


def members_of(source: str, values: Mapping[str, object]) -> dict[str, Array]:
    """Take what a caller gave as the members of a file.

    Args:
        source: Names the caller in messages.
        values: Member -> anything that NumPy makes an array of; None where it was not given.

    Raises:
        DataError: A required one is missing, or NumPy makes no plain array of a value.
    """
    given = {name: value for name, value in values.items() if value is not None}
    _require(source, given)
    return {name: _plain_array(source, name, value) for name, value in given.items()}


def _plain_array(source: str, name: str, value: object) -> Array:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # lists of different lengths
        array = np.empty(len(value) if isinstance(value, Sequence) else 1, object)
        for i in range(len(array)):
            array[i] = value[i] if isinstance(value, Sequence) else value
    if not array.dtype.hasobject:
        return array
    if all(isinstance(item, str) for item in array.ravel()):
        return array.astype(str)
    line = explain_object_array(name, [array.shape, *map(_shape, array.ravel()[:MAX_SHAPES])], "an")
    raise DataError(f"{source}: {line}")


def _shape(item: object) -> tuple[int, ...]:
    try:
        return np.shape(np.asarray(item))
    except (TypeError, ValueError):
        return ()


def explain_object_array(
    name: str, shapes: Sequence[tuple[int, ...]], kind: str = "a pickled"
) -> str:
    """Say why NumPy made an object array of what should be numbers or names.

    Args:
        name: The member.
        shapes: Of the array and of the arrays in it, as far as they are known.
        kind: Article and adjective before "object array".
    """
    if name.endswith("names") or len(shapes) < 2 or len(shapes[0]) != 1:
        return (
            f"{name} is {kind} object array; save plain arrays, names as np.array([...],"
            " dtype=str), and missing points as NaN; views of different lengths make such an"
            " array, too: cut them to the same frames"
        )
    views = shapes[1:]
    listed = ", ".join(f"view {v} {shape}" for v, shape in enumerate(views[:8])) + (
        ", ..." if len(views) > 8 else ""
    )
    if len(set(views)) == 1:
        return (
            f"{name} is {kind} object array of {len(views)} equal arrays {views[0]}; save"
            " np.stack of them, as float"
        )
    axes = [i for i in range(min(map(len, views))) if len({shape[i] for shape in views}) > 1]
    what = (
        " and ".join(
            ("numbers of frames", "numbers of keypoints", "last axes", "axes")[min(i, 3)]
            for i in axes
        )
        or "axes"
    )
    return (
        f"{name} holds views of different {what}: {listed}. All need the same: cut recordings that"
        " start together to the shortest, or fill up with NaN; then save one array (views, frames,"
        " keypoints, 2)"
    )
