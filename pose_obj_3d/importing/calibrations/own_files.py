"""Cameras of our own files: a track file, an archive, or cameras alone under the same keys."""

import json
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.importing.calibrations.types import Array, Camera, CameraFile
from pose_obj_3d.lifting.track_files.members import (
    METRES,
    read_distortion,
    read_extrinsics,
    read_image_size,
    read_intrinsics,
    read_names,
)

_KEYS = ("intrinsics", "extrinsics", "distortion", "lens", "camera_names", "units", "image_size")


def read_own(path: Path) -> CameraFile:
    """Read an npz with `intrinsics` and `extrinsics` (docs/own_videos.md).

    Raises:
        DataError: It is damaged, or has no cameras.
    """
    source = str(path)
    members = _members(path)
    absent = [key for key in ("intrinsics", "extrinsics") if key not in members]
    if absent:
        raise DataError(f"{path}: key {absent[0]!r} is missing: it has no calibrated cameras")
    count = len(members["intrinsics"]) if members["intrinsics"].ndim else 0
    names = read_names(source, members, "camera_names", count, "camera")
    intrinsics = read_intrinsics(source, members, count, names)
    extrinsics = read_extrinsics(source, members, count, names)
    distortion, lenses = read_distortion(source, members, count)
    sizes = read_image_size(source, members, count, list(range(count)))
    unit = str(members["units"]) if "units" in members else None
    if unit not in (None, *METRES):
        raise DataError(f"{path}: units is {unit!r}; allowed: {', '.join(METRES)}")
    cameras = [
        Camera(
            names[v],
            intrinsics[v],
            extrinsics[v],
            distortion[v],
            lenses[v],
            None if sizes is None else (int(sizes[v, 0]), int(sizes[v, 1])),
        )
        for v in range(count)
    ]
    return CameraFile(source, "pose_obj_3d", cameras, unit, [])


def _members(path: Path) -> dict[str, Array]:
    """Return the members about cameras; those of an archive get its names and unit."""
    try:
        with Archive(path) as archive:
            found = {name: archive.read(name) for name in archive.names if name in _KEYS}
            if "meta" in archive.names:
                found.update(_of_archive(archive.read("meta")))
            return found
    except (ArchiveError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); write it again") from error


def _of_archive(meta: Array) -> dict[str, Array]:
    found: dict[str, Array] = {"units": np.array("m")}
    try:
        values = json.loads(str(meta))
        for key in ("camera_names", "image_size"):
            if key in values:
                found[key] = np.array(values[key])
    except (ValueError, TypeError, RecursionError) as error:
        raise ArchiveError("member 'meta' is damaged") from error
    return found
