"""Detections of any other detector: read from a plain npz file, for an archive's demos.

The file has a member `T<task>/exemple_<n>` for each example of each of its tasks: (V, T, K, C) in
the order of the archive's cameras and keypoints, NaN where nothing was detected. C is one of
`FORMS`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive.detections import check_detections
from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.detector.types import Floats
from pose_obj_3d.formal import DETECTION_CHANNELS, FormalData

FORMS = {
    2: "u, v",
    4: "u, v, sd_u, sd_v",
    5: "u, v, sd_u, sd_v, rho",
    7: ", ".join(DETECTION_CHANNELS),
}
"""Number of channels -> what they are."""
NOTHING = np.array([np.nan] * 4 + [0] * 3, np.float32)
"""What NaN stands for where nothing was detected."""


def read_external(path: Path, data: FormalData) -> dict[int, list[Floats]]:
    """Read detections for demos of an archive.

    Args:
        path: The npz file.
        data: The archive.

    Returns:
        Task id -> for each example of the archive (V, T, K, 7), `formal.DETECTION_CHANNELS`. Where
        the file has none of them: no claim; probabilities 1 where something was detected, else 0.

    Raises:
        DataError: The file cannot be read, or its members do not fit the archive.
        FormalError: A claim is not positive definite, or a probability outside 0..1.
    """
    try:
        with Archive(path) as archive:
            members = {name.removeprefix("detections/"): name for name in archive.names}
            return _read(path, data, members, archive)
    except (OSError, ArchiveError) as error:
        raise DataError(f"--import {path}: not a readable npz file ({error})") from error


def _read(
    path: Path, data: FormalData, members: dict[str, str], archive: Archive
) -> dict[int, list[Floats]]:
    found: dict[int, list[Floats]] = {}
    unknown = set(members)
    for task, tracks in data.tracks.items():
        wanted = [f"T{task}/exemple_{n}" for n in range(len(tracks))]
        there = [name for name in wanted if name in members]
        if not there:
            continue
        if len(there) < len(wanted):
            absent = next(name for name in wanted if name not in members)
            raise DataError(
                f"--import {path}: {absent} is missing; a task needs all of the archive's"
                f" {len(wanted)} examples, with NaN where nothing was detected"
            )
        unknown -= set(wanted)
        found[task] = [
            _complete(path, name, archive.read(members[name]), track.shape[:3])
            for name, track in zip(wanted, tracks, strict=True)
        ]
    if unknown or not found:
        what = f"{sorted(unknown)[0]!r:.80} is no example" if unknown else "it has no example"
        raise DataError(
            f"--import {path}: {what} of {data.path}; members are named T<task>/exemple_<n>"
        )
    return found


def _complete(path: Path, name: str, x: npt.NDArray[Any], shape: tuple[int, ...]) -> Floats:
    """Check one example's array, and add what it lacks."""
    if x.ndim != 4 or x.shape[:3] != shape or x.shape[3] not in FORMS or x.dtype.kind not in "fiu":
        forms = "; ".join(f"{count}: {what}" for count, what in FORMS.items())
        raise DataError(
            f"--import {path}: {name} is {x.dtype} {x.shape}; it must be numbers of shape"
            f" ({', '.join(map(str, shape))}, C): views, frames, keypoints as in the archive, and"
            f" C channels ({forms})"
        )
    whole = np.zeros((*shape, len(DETECTION_CHANNELS)), np.float32)
    whole[..., 2:4] = np.nan
    whole[..., : x.shape[3]] = x
    is_missed = np.asarray(np.isnan(whole[..., :2]).any(-1))
    whole[is_missed, :4] = np.nan
    if x.shape[3] < len(DETECTION_CHANNELS):
        whole[..., 5:] = ~is_missed[..., None]
    whole[is_missed] = np.where(np.isnan(whole[is_missed]), NOTHING, whole[is_missed])
    check_detections(f"--import {path}: {name}", whole)
    return whole
