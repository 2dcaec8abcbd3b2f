"""What supports lifted points in the images: their reprojections, and how far detections are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.lenses import FISHEYE, distort
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.writing.points import LiftedPoints

Floats = npt.NDArray[np.float64]
_REACH = 1.0  # image sizes around an image within which a lens model is trusted
_BLOCK = 4096  # frames projected at once


@dataclass(frozen=True)
class Support:
    """What the images say of lifted points, as recorded (with distortion) [px].

    Attributes:
        uv: (V, T, K, 2) lifted points in each image; NaN where they are unknown, behind the camera,
            or far outside the image.
        distance_px: (V, T, K) of the detections from them; NaN where one of the two is missing.
        confidence: (V, T, K) of the detections; 0 where missing.
    """

    uv: Floats
    distance_px: Floats
    confidence: Floats


def support_of(lifted: LiftedPoints, file: TrackFile) -> Support:
    """Project points into the images of their tracks.

    Raises:
        DataError: The points were not lifted from these tracks.
    """
    _check_same(lifted, file)
    uv = reprojected(lifted.points * METRES[lifted.units], file)
    return Support(uv, np.linalg.norm(file.measured - uv, axis=-1), file.confidence)


def _check_same(lifted: LiftedPoints, file: TrackFile) -> None:
    V, T, K = file.measured.shape[:3]
    if lifted.weights.shape != (V, T, K):
        raise DataError(
            f"{file.source}: {V} cameras, {T} frames and {K} keypoints, but the points were lifted"
            " from {} cameras, {} frames and {} keypoints; give the tracks that they were lifted"
            " from".format(*lifted.weights.shape)
        )
    mine = [*lifted.camera_names, *lifted.keypoint_names]
    for here, there in zip([*file.camera_names, *file.keypoint_names], mine, strict=True):
        if here != there:
            raise DataError(
                f"{file.source}: {here!r} where the points have {there!r}; give the tracks that"
                " they were lifted from"
            )


def reprojected(xyz: Floats, file: TrackFile) -> Floats:
    """Project points into images as they were recorded.

    Args:
        xyz: (T, K, 3) [m], in the world of the cameras.
        file: The cameras.

    Returns:
        (V, T, K, 2) [px], see `Support.uv`.
    """
    K, E = torch.from_numpy(file.intrinsics), torch.from_numpy(file.extrinsics)
    uv = np.full((len(K), *xyz.shape[:2], 2), np.nan)
    for start in range(0, len(xyz), _BLOCK):
        part = slice(start, start + _BLOCK)
        flat, depth = multi_view.project(torch.from_numpy(xyz[part]), K, E)  # (t, K, V, 2)
        flat = torch.where((depth > 0)[..., None], flat, torch.nan)
        uv[:, part] = flat.permute(2, 0, 1, 3).numpy()
    for v, D in enumerate(file.distortion):
        size = image_size(file, v)
        is_near = ((uv[v] > -_REACH * size) & (uv[v] < (1 + _REACH) * size)).all(-1)
        if file.lenses[v] == FISHEYE:  # its model holds everywhere in front of the camera
            is_near = np.isfinite(uv[v]).all(-1)
        uv[v][~is_near] = np.nan
        uv[v][is_near] = distort(uv[v][is_near], file.intrinsics[v], D, file.lenses[v])
    return uv


def image_size(file: TrackFile, view: int) -> Floats:
    """Give (width, height) [px] of a camera; from its centre and its points where it is unknown."""
    if file.image_size is not None:
        return np.asarray(file.image_size[view], np.float64)
    seen = file.measured[view][np.isfinite(file.measured[view]).all(-1)]
    return np.asarray(np.concatenate([2 * file.intrinsics[view, :2, 2][None], seen]).max(0))
