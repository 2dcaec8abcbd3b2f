"""Turns episodes of keypoints into the examples of an archive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.formal import NUM_CHANNELS, UV_DETECTED, UV_EXACT, VISIBILITY, XYZ_WORLD
from pose_obj_3d.geometry.arrays import triangulate

MIN_DEPTH_M, MAX_PX = 1e-6, 1e8
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """The keypoints of an episode: V views, T frames, K keypoints.

    Attributes:
        name: Of the episode, for messages.
        uv: (V, T, K, 2) [px]; NaN where nothing was detected.
        visibility: (V, T, K) in {0, 0.5, 1}, or None.
        xyz: (T, K, 3) [m], or None.
    """

    name: str
    uv: Floats
    visibility: Floats | None
    xyz: Floats | None


def take(given: Points, keypoints: Sequence[int]) -> Points:
    """Keep some keypoints."""
    chosen = list(keypoints)
    return Points(
        given.name,
        given.uv[:, :, chosen],
        None if given.visibility is None else given.visibility[:, :, chosen],
        None if given.xyz is None else given.xyz[:, chosen],
    )


def example(
    given: Points, keypoint_names: Sequence[str], K: Floats, E: Floats, size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Give the float32 (V, T, K, 8) of an archive.

    Where no 3D positions are given, they are triangulated from the detections of each frame, and
    between frames where that is possible they are interpolated.

    Raises:
        DataError: A keypoint's position cannot be found, or a number is not what it must be.
    """
    xyz = given.xyz
    if xyz is None or not np.isfinite(xyz).all():
        found = triangulate(given.uv, K, E).points
        xyz = _filled(
            given.name,
            found if xyz is None else np.where(np.isfinite(xyz), xyz, found),
            keypoint_names,
        )
    exact, depth = _project(xyz, K, E)
    is_inside = (depth > 0) & (exact >= 0).all(-1) & (exact <= np.array(size)).all(-1)
    is_found = np.isfinite(given.uv.sum(-1))
    seen = given.visibility
    if seen is None:
        seen = np.where(is_found, 1.0, np.where(is_inside, 0.5, 0.0))
    elif not np.isin(seen, (0.0, 0.5, 1.0)).all():
        raise DataError(f"{given.name}: visibility must be 0, 0.5 or 1")
    V, T, n = seen.shape
    out = np.empty((V, T, n, NUM_CHANNELS), np.float32)
    out[..., UV_EXACT] = exact
    out[..., UV_DETECTED] = np.where(is_found[..., None], given.uv, np.nan)
    out[..., XYZ_WORLD] = xyz
    out[..., VISIBILITY] = seen
    return out


def sigma_px(
    examples: Sequence[npt.NDArray[np.float32]], at_least: float, is_triangulated: bool
) -> float:
    """Give the standard deviation of the detections around the projected positions [px].

    It is robust: the median of the errors' absolute values, times 1.48. Where the positions are
    triangulated from V detections, three of the 2 V numbers are used up.
    """
    errors = np.concatenate(
        [
            np.abs(x[..., UV_DETECTED] - x[..., UV_EXACT])[x[..., VISIBILITY] == 1].ravel()
            for x in examples
        ]
    )
    errors = errors[np.isfinite(errors)]
    if not len(errors):
        return at_least
    views = len(examples[0])
    share = 1 - 3 / (2 * views) if is_triangulated else 1.0
    return max(at_least, 1.4826 * float(np.median(errors)) / float(np.sqrt(share)))


def _project(xyz: Floats, K: Floats, E: Floats) -> tuple[Floats, Floats]:
    """Project (T, K, 3); give (V, T, K, 2) [px], finite everywhere, and depths (V, T, K) [m]."""
    camera = np.einsum("vij,tkj->vtki", E[:, :, :3], xyz) + E[:, None, None, :, 3]
    depth = camera[..., 2]
    safe = np.where(np.abs(depth) < MIN_DEPTH_M, MIN_DEPTH_M, depth)
    image = np.einsum("vij,vtkj->vtki", K, camera / safe[..., None])
    return np.clip(image[..., :2], -MAX_PX, MAX_PX), depth


def _filled(name: str, xyz: Floats, keypoint_names: Sequence[str]) -> Floats:
    """Interpolate (T, K, 3) over the frames where it is NaN."""
    out = xyz.copy()
    frames = np.arange(len(xyz))
    for k, keypoint in enumerate(keypoint_names):
        known = np.isfinite(xyz[:, k].sum(-1))
        if not known.any():
            raise DataError(
                f"{name}: keypoint {keypoint} is detected by less than two cameras in every frame;"
                " choose others with --keypoints"
            )
        for axis in range(3):
            out[:, k, axis] = np.interp(frames, frames[known], xyz[known, k, axis])
    return out
