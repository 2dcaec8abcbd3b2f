"""Take lens distortion out of points and put it back, by OpenCV's pinhole and fisheye models.

An undistorted point is where a camera without distortion, of the same intrinsics, would have seen
it.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError

logger = logging.getLogger(__name__)
PINHOLE, FISHEYE = "pinhole", "fisheye"
LENSES = (PINHOLE, FISHEYE)
FISHEYE_COUNT = 4  # k1 k2 k3 k4
ROUND_TRIP_PX = 0.1  # distorting an undistorted point must give it back this well
MAX_LOST = 0.05  # share of a pinhole camera's points that may fail that
MAX_BEYOND = 0.5  # share of a fisheye camera's points that may lie beyond `MAX_ANGLE`
MAX_ANGLE = np.deg2rad(85.0)  # from the axis; an image without distortion ends before 90 degrees
_TABLE, _TABLE_STEPS = 4000, 4
_NEWTON_STEPS, _NEWTON_STEP_PX, _ROUND_OFF_PX = 8, 1e-3, 1e-9

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def undistort(
    path: Path | str,
    points: Floats,
    intrinsics: Floats,
    distortion: Floats,
    names: Sequence[str],
    lenses: Sequence[str] = (),
) -> Floats:
    """Convert pixels to those of cameras without distortion and with the same intrinsics.

    The inverse is iterative and exists only near the image; it is checked by distorting again.

    Args:
        path: Names the file in messages.
        points: (V, T, K, 2) [px], NaN = missing.
        intrinsics: (V, 3, 3) [px].
        distortion: (V, 14).
        names: V camera names.
        lenses: V times `pinhole` or `fisheye`; pinhole when empty.

    Returns:
        (V, T, K, 2) [px]; NaN also where the distortion cannot be inverted.

    Raises:
        DataError: It cannot be for more than `MAX_LOST` of a camera's points, or most lie beyond
            `MAX_ANGLE`.
    """
    result = points.copy()
    kinds = list(lenses) or [PINHOLE] * len(points)
    for v, lens in enumerate(kinds):
        seen = ~np.isnan(points[v]).any(-1)
        if not seen.any() or (lens == PINHOLE and not distortion[v].any()):
            continue
        K, D = intrinsics[v], distortion[v]
        ideal = inverted(points[v][seen], K, D, lens)
        off = np.abs(distort(ideal, K, D, lens) - points[v][seen]).max(-1)
        lost = ~(off < ROUND_TRIP_PX)
        share = lost.mean()
        if lens == FISHEYE and share > MAX_BEYOND:
            raise DataError(
                f"{path}: {lost.sum()} of {len(lost)} points of {names[v]} lie more than"
                f" {np.rad2deg(MAX_ANGLE):.0f} degrees off its axis, or outside what its fisheye"
                " coefficients k1 k2 k3 k4 describe; check them, and that points and intrinsics"
                " are in px"
            )
        if lens == PINHOLE and share > MAX_LOST:
            raise DataError(_not_inverted(path, points[v][seen], K, D, names[v], off, lost))
        if lost.any():
            logger.warning(
                "%s: distortion of %s cannot be inverted at %d points; they count as missing",
                path,
                names[v],
                lost.sum(),
            )
        result[v][seen] = np.where(lost[:, None], np.nan, ideal)
    return result


def _not_inverted(
    path: Path | str, points: Floats, K: Floats, D: Floats, name: str, off: Floats, lost: Array
) -> str:
    line = (
        f"{path}: distortion of {name} cannot be inverted for {lost.sum()} of {len(lost)} points"
        f" (off by {np.nanmedian(off[lost]):.3g} px); "
    )
    as_fisheye = (
        not D[FISHEYE_COUNT:].any()
        and np.isfinite(inverted(points, K, D, FISHEYE)).all(-1).mean() > 1 - MAX_LOST
    )
    if as_fisheye:
        return (
            f"{line}as coefficients k1 k2 k3 k4 of OpenCV's fisheye model they can be: if they are,"
            " add lens='fisheye' to the file; if not, check the order k1 k2 p1 p2 k3 ..."
        )
    return (
        f"{line}check the order k1 k2 p1 p2 k3 ..., and that points and intrinsics are in px of one"
        " image size"
    )


def inverted(
    measured: Floats, intrinsics: Floats, distortion: Floats, lens: str = PINHOLE
) -> Floats:
    """Undistort (n, 2) [px]; unchecked, NaN where a fisheye's point lies beyond `MAX_ANGLE`."""
    if len(measured) == 0:
        return measured
    if lens == FISHEYE:
        return _fisheye_inverted(measured, intrinsics, distortion)
    return _inverted(measured, intrinsics, distortion)


def _inverted(measured: Floats, intrinsics: Floats, distortion: Floats) -> Floats:
    """Undistort (n, 2) [px]: OpenCV's five steps, then Newton's, for points near the edges."""
    ideal = (
        cv2.undistortPoints(measured.reshape(-1, 1, 2), intrinsics, distortion, P=intrinsics)
        .reshape(-1, 2)
        .astype(np.float64)
    )
    step = np.eye(2) * _NEWTON_STEP_PX
    for _ in range(_NEWTON_STEPS):
        at = distort(ideal, intrinsics, distortion)
        a, b = ((distort(ideal + s, intrinsics, distortion) - at) / _NEWTON_STEP_PX for s in step)
        r = measured - at
        if np.nanmax(np.abs(r)) < _ROUND_OFF_PX:
            break
        determinant = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            solved = np.stack(
                [b[:, 1] * r[:, 0] - b[:, 0] * r[:, 1], a[:, 0] * r[:, 1] - a[:, 1] * r[:, 0]], -1
            )
            solved = solved / determinant[:, None]
        ideal = ideal + np.where(np.isfinite(solved), solved, 0.0)
    return ideal


def distort(points: Floats, intrinsics: Floats, distortion: Floats, lens: str = PINHOLE) -> Floats:
    """Convert pixels (n, 2) of a camera without distortion to those of the real one."""
    if len(points) == 0 or (lens == PINHOLE and not distortion.any()):
        return points
    if lens == FISHEYE:
        return _fisheye_distort(points, intrinsics, distortion)
    rays = np.concatenate([points, np.ones((len(points), 1))], -1) @ np.linalg.inv(intrinsics).T
    uv, _ = cv2.projectPoints(
        rays.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), intrinsics, distortion
    )
    return np.asarray(uv, np.float64).reshape(-1, 2)


def undistorted_covariance(
    covariance: Floats, points: Floats, intrinsics: Floats, distortion: Floats, lens: str = PINHOLE
) -> Floats:
    """Carry covariances of measured points over to undistorted ones.

    Args:
        covariance: (n, 2, 2) of the measured points [px^2].
        points: (n, 2) undistorted [px].
        intrinsics: (3, 3) [px].
        distortion: (14,).
        lens: `pinhole` or `fisheye`.

    Returns:
        (n, 2, 2) [px^2]; NaN where the distortion has no inverse.
    """
    if len(points) == 0 or (lens == PINHOLE and not distortion.any()):
        return covariance
    step = np.eye(2) * _NEWTON_STEP_PX
    at = distort(points, intrinsics, distortion, lens)
    moved = [distort(points + s, intrinsics, distortion, lens) for s in step]
    J = np.stack([(m - at) / _NEWTON_STEP_PX for m in moved], -1)  # measured by undistorted
    determinant = J[:, 0, 0] * J[:, 1, 1] - J[:, 0, 1] * J[:, 1, 0]
    adjugate = np.stack([J[:, 1, 1], -J[:, 0, 1], -J[:, 1, 0], J[:, 0, 0]], -1).reshape(-1, 2, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = adjugate / determinant[:, None, None]
        carried: Floats = inverse @ covariance @ inverse.transpose(0, 2, 1)
    return np.where(np.isfinite(carried), carried, np.nan)


def _polynomial(angle: Floats, k: Floats) -> tuple[Floats, Floats]:
    """Return the distorted angle t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) and its derivative."""
    t2 = angle * angle
    value = angle * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))))
    slope = 1 + t2 * (3 * k[0] + t2 * (5 * k[1] + t2 * (7 * k[2] + t2 * 9 * k[3])))
    return value, slope


def _scaled(points: Floats, intrinsics: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return rays at depth 1 (n, 2), their lengths (n,), focal lengths (2,), image centre (2,)."""
    focal, centre = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
    rays = (points - centre) / focal
    return rays, np.linalg.norm(rays, axis=-1), focal, centre


def _fisheye_distort(points: Floats, intrinsics: Floats, distortion: Floats) -> Floats:
    rays, r, focal, centre = _scaled(points, intrinsics)
    bent, _ = _polynomial(np.arctan(r), distortion)
    scale = np.divide(bent, r, out=np.ones_like(r), where=r > 0)
    return rays * scale[:, None] * focal + centre


def _rising(distortion: Floats) -> tuple[Floats, Floats]:
    """Return angles from the axis and their distorted ones, up to `MAX_ANGLE` or a fold."""
    angles = np.linspace(0, MAX_ANGLE, _TABLE)
    bent, slope = _polynomial(angles, distortion)
    falls = np.flatnonzero((slope <= 0) | ~np.isfinite(bent))
    end = max(2, int(falls[0]) if len(falls) else _TABLE)
    return angles[:end], bent[:end]


def _fisheye_inverted(measured: Floats, intrinsics: Floats, distortion: Floats) -> Floats:
    rays, r, focal, centre = _scaled(measured, intrinsics)
    angles, bent = _rising(distortion)
    angle = np.interp(r, bent, angles)
    for _ in range(_TABLE_STEPS):
        value, slope = _polynomial(angle, distortion)
        angle = np.clip(angle - (value - r) / np.where(slope > 0, slope, 1.0), 0, angles[-1])
    scale = np.divide(np.tan(angle), r, out=np.ones_like(r), where=r > 0)
    ideal: Floats = rays * scale[:, None] * focal + centre
    ideal[r > bent[-1]] = np.nan
    return ideal


def precision(points: Floats, intrinsics: Floats, distortion: Floats) -> Floats:
    """Return weights (n,) in 0..1: how precise undistorted fisheye points are.

    A pixel of the real image covers more of the undistorted one far from the axis, and so does its
    noise.

    Args:
        points: (n, 2) undistorted [px]; NaN stays 0.
        intrinsics: (3, 3) [px].
        distortion: (14,).
    """
    _, r, _, _ = _scaled(points, intrinsics)
    bent, slope = _polynomial(np.arctan(r), distortion)
    with np.errstate(divide="ignore", invalid="ignore"):
        along, across = (1 + r * r) / slope, np.where(r > 0, r / bent, 1.0)
        weight = 1 / np.maximum(1.0, (along**2 + across**2) / 2)
    result: Floats = np.nan_to_num(weight)
    return result
