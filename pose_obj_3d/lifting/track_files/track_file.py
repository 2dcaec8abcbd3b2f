"""A user's own tracks, checked: from a `tracks.npz` or from arrays.

`docs/own_videos.md` has the schema.

Everything is converted: to metres, to pixels without distortion, to NaN where nothing was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_obj_3d.geometry.lenses import FISHEYE, precision, undistort
from pose_obj_3d.lifting.track_files.axes import doubt_axes
from pose_obj_3d.lifting.track_files.claims import (
    claimed_precision,
    read_covariance,
    undistorted_claims,
)
from pose_obj_3d.lifting.track_files.members import (
    METRES,
    Floats,
    Members,
    read_chosen,
    read_confidence,
    read_distortion,
    read_extrinsics,
    read_fps,
    read_image_size,
    read_intrinsics,
    read_names,
    read_points,
    read_starts,
    read_truth,
    read_unit,
)
from pose_obj_3d.lifting.track_files.missing import find_markers
from pose_obj_3d.lifting.track_files.reading import read_members


@dataclass(frozen=True)
class TrackFile:
    """Validated tracks of V cameras, T frames, K keypoints.

    Attributes:
        source: The file, or the name of the caller who gave arrays; for messages.
        points: (V, T, K, 2) [px] of a camera without distortion; NaN = missing.
        measured: (V, T, K, 2) as the file has them, with distortion [px].
        confidence: (V, T, K) precision beside other points of the camera; 0 where missing. In 0..1
            without claims; a claim multiplies it (`claims.claimed_precision`).
        covariance: (V, T, K, 2, 2) of the errors of `points`, as the detector claims them [px^2];
            NaN where it claims none; or None.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera, OpenCV axes [m].
        distortion: (V, 14) OpenCV's coefficients, filled up with 0.
        lenses: V times `pinhole` or `fisheye`: what the coefficients mean.
        unit: `m` or `mm`, of the file's extrinsics and truth, and of what is written.
        camera_names: V names.
        keypoint_names: K names.
        image_size: (V, 2) width and height [px], or None.
        sequence_starts: First frame of each sequence, ascending from 0.
        fps: Frames a second.
        truth: (T, K, 3) [m], NaN where unknown, or None; for reports alone.
        notes: One line for each thing that was changed, such as clipped confidences.
    """

    source: str
    points: Floats
    measured: Floats
    confidence: Floats
    covariance: Floats | None
    intrinsics: Floats
    extrinsics: Floats
    distortion: Floats
    lenses: list[str]
    unit: str
    camera_names: list[str]
    keypoint_names: list[str]
    image_size: Floats | None
    sequence_starts: list[int]
    fps: float
    truth: Floats | None
    notes: list[str]


def read_tracks(path: str | Path, units: str | None = None, views: Sequence[str] = ()) -> TrackFile:
    """Read and validate a file; every fault is one DataError that names file and key.

    Args:
        path: The npz.
        units: Unit of the extrinsics where the file does not say it; contradicting it is a
            ConfigError.
        views: Names or numbers of the cameras to use; all when empty.
    """
    path = Path(path)
    return tracks_of(read_members(path), str(path), units, views)


def tracks_of(
    members: Members, source: str, units: str | None = None, views: Sequence[str] = ()
) -> TrackFile:
    """Validate the members of a file, or the same as arrays.

    Args:
        members: Key of the file -> array.
        source: The file, or the name of the caller; for messages.
        units: As in `read_tracks`.
        views: As in `read_tracks`.

    Raises:
        DataError: A member is not what it must be; the message names it.
        ConfigError: `units` contradicts the members, or a view is not there.
    """
    points = read_points(source, members)
    V, T, K, _ = points.shape
    confidence, notes = read_confidence(source, members, points)
    claims, lines = read_covariance(source, members, points, confidence)
    notes += lines
    notes += [line for line in [doubt_axes(points, members)] if line]
    unit = read_unit(source, members, units)
    names = read_names(source, members, "camera_names", V, "camera")
    chosen = read_chosen(source, names, views)
    intrinsics = read_intrinsics(source, members, V, names)
    extrinsics = read_extrinsics(source, members, V, names)
    extrinsics[:, :, 3] *= METRES[unit]
    distortion, lenses = read_distortion(source, members, V)
    intrinsics, extrinsics, distortion = intrinsics[chosen], extrinsics[chosen], distortion[chosen]
    names, lenses = [names[v] for v in chosen], [lenses[v] for v in chosen]
    confidence = confidence[chosen]
    image_size = read_image_size(source, members, V, chosen)
    # Before distortion: a strong lens has no inverse where a marker stands.
    markers = find_markers(
        points[chosen],
        confidence,
        2 * intrinsics[:, :2, 2] if image_size is None else image_size,
        names,
    )
    confidence = np.where(markers.is_missing, 0.0, confidence)
    measured = np.where((confidence > 0)[..., None], points[chosen], np.nan)
    undistorted = undistort(source, measured, intrinsics, distortion, names, lenses)
    for v in range(len(names)):
        if lenses[v] == FISHEYE:
            confidence[v] *= precision(
                undistorted[v].reshape(-1, 2), intrinsics[v], distortion[v]
            ).reshape(T, K)
    if claims is not None:
        confidence = confidence * claimed_precision(claims[chosen])
        claims = undistorted_claims(claims[chosen], undistorted, intrinsics, distortion, lenses)
    return TrackFile(
        source=source,
        points=undistorted,
        measured=measured,
        confidence=np.where(np.isnan(undistorted[..., 0]), 0.0, confidence),
        covariance=claims,
        intrinsics=intrinsics,
        extrinsics=extrinsics,
        distortion=distortion,
        lenses=lenses,
        unit=unit,
        camera_names=names,
        keypoint_names=read_names(source, members, "keypoint_names", K, "keypoint"),
        image_size=image_size,
        sequence_starts=read_starts(source, members, T),
        fps=read_fps(source, members),
        truth=read_truth(source, members, T, K, METRES[unit]),
        notes=notes + markers.lines,
    )
