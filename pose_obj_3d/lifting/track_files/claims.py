"""What a detector claims of the errors of its points: the member `covariance` of a track file."""

import numpy as np

from pose_obj_3d.common.archive.detections import MAX_SD_PX, MIN_SD_PX
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.lenses import undistorted_covariance
from pose_obj_3d.lifting.track_files.axes import explain_covariance
from pose_obj_3d.lifting.track_files.members import Floats, Members, read_floats

MAX_SKEW = 1e-3  # of a matrix that counts as symmetric: in its standard deviations
PRECISION_RANGE = (1e-4, 1e2)  # of a claim beside the camera's median one


def read_covariance(
    source: str, members: Members, points: Floats, confidence: Floats
) -> tuple[Floats | None, list[str]]:
    """Return the claims (V, T, K, 2, 2) [px^2], NaN where there is none, and lines on them.

    Args:
        source: The file; for messages.
        members: Its members.
        points: (V, T, K, 2) [px].
        confidence: (V, T, K); what is missing needs no claim, and its claim is not looked at.

    Raises:
        DataError: A claim is not a covariance; the message has the first.
    """
    if "covariance" not in members:
        return None, []
    wrong = explain_covariance(members["covariance"], points)
    if wrong:
        raise DataError(f"{source}: {wrong}")
    claims = read_floats(
        source, members, "covariance", ("views", "frames", "keypoints", 2, 2), (-1, -1, -1, 2, 2)
    )
    claims = np.where((confidence > 0)[..., None, None], claims, np.nan)
    is_silent = np.isnan(claims).all(axis=(-2, -1))
    variance = claims[..., [0, 1], [0, 1]]
    a, b, c, d = (claims[..., i, j] for i in (0, 1) for j in (0, 1))
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(a * d)
        rules = (
            (np.abs(b - c) <= MAX_SKEW * scale, "is not symmetric"),
            ((variance > 0).all(-1) & (a * d - b * c > 0), "is not positive definite"),
            (
                ((variance >= MIN_SD_PX**2) & (variance <= MAX_SD_PX**2)).all(-1),
                f"has a standard deviation outside {MIN_SD_PX:g} to {MAX_SD_PX:g} px",
            ),
        )
    for holds, what in rules:
        if not (holds | is_silent).all():
            v, t, k = np.argwhere(~(holds | is_silent))[0]
            raise DataError(
                f"{source}: covariance {what} at view {v}, frame {t}, keypoint {k}:"
                f" {claims[v, t, k].tolist()}; write [[var x, cov xy], [cov xy, var y]] [px^2], or"
                " NaN for no claim"
            )
    silent = int((is_silent & (confidence > 0)).sum())
    notes = []
    if silent:
        notes.append(
            f"{silent} points have no covariance: they count as the median claim of their camera"
        )
    return (claims + claims.swapaxes(-1, -2)) / 2, notes


def claimed_precision(claims: Floats) -> Floats:
    """Return how precise points claim to be, beside the median claim of their camera (V, T, K).

    1 where nothing is claimed. Only how claims compare counts: detectors tell their better from
    their worse points well, but not how large errors are. That is estimated from the views.
    """
    variance = np.trace(claims, axis1=-2, axis2=-1) / 2
    precision = np.ones(variance.shape)
    for v in range(len(variance)):
        is_claimed = np.isfinite(variance[v])
        if is_claimed.any():
            ratio = np.median(variance[v][is_claimed]) / variance[v]
            precision[v] = np.where(is_claimed, ratio.clip(*PRECISION_RANGE), 1.0)
    return precision


def undistorted_claims(
    claims: Floats, points: Floats, intrinsics: Floats, distortion: Floats, lenses: list[str]
) -> Floats:
    """Return the claims (V, T, K, 2, 2) for undistorted points (V, T, K, 2) [px]."""
    result = claims.copy()
    for v, lens in enumerate(lenses):
        seen = np.isfinite(points[v]).all(-1)
        result[v][seen] = undistorted_covariance(
            claims[v][seen], points[v][seen], intrinsics[v], distortion[v], lens
        )
        result[v][~seen] = np.nan
    return result
