"""Calibrations by example: the cameras were moved between some examples of a data set.

In the file each example has the V cameras of `camera_names`, and `calibrations` of `meta` says
which of R calibrations is its own. In memory each camera of each calibration is a view, blind in
the examples of the others: so a reader needs to know of one calibration only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose_obj_3d.common.archive.arrays import (
    NUM_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    Array,
)
from pose_obj_3d.common.archive.detections import (
    DETECTED_INSIDE,
    DETECTED_RHO,
    DETECTED_SEEN,
    DETECTION_CHANNELS,
)
from pose_obj_3d.common.archive.examples import LazyExamples
from pose_obj_3d.common.archive.meta import CALIBRATION_NAMES, CALIBRATIONS, PER_VIEW, Meta

_NEAR_M = 1e-6  # a point nearer to a camera's plane has no picture


@dataclass(frozen=True)
class Calibrations:
    """The calibrations of an archive.

    Attributes:
        names: R names of the calibrations, such as those of subjects.
        cameras: V names of the cameras, the same in each calibration.
    """

    names: tuple[str, ...]
    cameras: tuple[str, ...]

    @property
    def views(self) -> list[list[int]]:
        """The views of each calibration, in the order of the cameras."""
        V = len(self.cameras)
        return [list(range(r * V, (r + 1) * V)) for r in range(len(self.names))]

    def views_of(self, cameras: Sequence[int]) -> list[int]:
        """Return the views of some cameras in all calibrations."""
        return [views[c] for views in self.views for c in cameras]

    def camera_of(self, view: int) -> int:
        """Return the camera that a view is of."""
        return view % len(self.cameras)


def calibrations_of(meta: Meta) -> Calibrations | None:
    """Return the calibrations that `meta` of a file names, or None where there is one for all."""
    if meta.get(CALIBRATIONS) is None:
        return None
    return Calibrations(tuple(meta[CALIBRATION_NAMES]), tuple(meta["camera_names"]))


def spread_meta(meta: Meta, found: Calibrations) -> Meta:
    """Return `meta` with a view for each camera of each calibration."""
    R, V = len(found.names), len(found.cameras)
    noise = {
        key: value * R if key in PER_VIEW and isinstance(value, list) and len(value) == V else value
        for key, value in meta["noise"].items()
    }
    names = [f"{name}_{camera}" for name in found.names for camera in found.cameras]
    kept = {k: v for k, v in meta.items() if k not in (CALIBRATIONS, CALIBRATION_NAMES)}
    return {**kept, "noise": noise, "camera_names": names}


def spread_tracks(
    tracks: Mapping[int, Sequence[Array]], meta: Meta, K: Array, E: Array
) -> dict[int, Sequence[Array]]:
    """Give tracks (V, T, K, 8) by task as (R * V, T, K, 8); each is made when it is asked for.

    Args:
        tracks: As they are in the file.
        meta: The file's.
        K: (R, V, 3, 3) [px].
        E: (R, V, 3, 4) world to camera [m].
    """
    P = (K @ E).reshape(-1, 3, 4)

    def of_task(task: int, examples: Sequence[Array]) -> Sequence[Array]:
        numbers = meta[CALIBRATIONS][f"T{task}"]
        return LazyExamples(len(examples), lambda n: _track(examples[n], numbers[n], P))

    return {task: of_task(task, examples) for task, examples in tracks.items()}


def spread_detections(
    detections: Mapping[int, Sequence[Array]], meta: Meta
) -> dict[int, Sequence[Array]]:
    """Give detections (V, T, K, 7) by task as (R * V, T, K, 7), as `spread_tracks`."""
    R = len(meta[CALIBRATION_NAMES])

    def of_task(task: int, examples: Sequence[Array]) -> Sequence[Array]:
        numbers = meta[CALIBRATIONS][f"T{task}"]
        return LazyExamples(len(examples), lambda n: _said(examples[n], numbers[n], R))

    return {task: of_task(task, examples) for task, examples in detections.items()}


def _track(x: Array, number: int, P: Array) -> Array:
    """Add the blind views: exact positions and the truth, no detection, outside the image."""
    V, *size, _ = x.shape
    found = np.zeros((len(P), *size, NUM_CHANNELS), np.float32)
    xyz = x[0, ..., XYZ_WORLD].astype(np.float64)
    seen = np.einsum("vij,tkj->vtki", P[:, :, :3], xyz) + P[:, None, None, :, 3]
    depth = np.where(np.abs(seen[..., 2:]) < _NEAR_M, _NEAR_M, seen[..., 2:])
    found[..., UV_EXACT] = seen[..., :2] / depth
    found[..., UV_DETECTED] = np.nan
    found[..., XYZ_WORLD] = xyz
    found[..., VISIBILITY] = 0
    found[number * V : (number + 1) * V] = x
    return found


def _said(x: Array, number: int, calibrations: int) -> Array:
    V, *size, _ = x.shape
    found = np.full((calibrations * V, *size, len(DETECTION_CHANNELS)), np.nan, np.float32)
    found[..., [DETECTED_RHO, DETECTED_INSIDE, DETECTED_SEEN]] = 0
    found[number * V : (number + 1) * V] = x
    return found
