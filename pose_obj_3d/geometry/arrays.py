"""Project and triangulate NumPy arrays: the geometry of this package for other programs.

Cameras are OpenCV's: intrinsics in pixels, extrinsics from world to camera in metres, with x to the
right, y down and z forward. V is the number of views; `...` is any batch, such as frames and
keypoints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import estimators, lenses, multi_view
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig

Floats = npt.NDArray[np.float64]
Method = Literal["dlt", "ml", "huber", "consensus"]
METHODS: dict[str, Callable[[Tensor, Tensor, Rig], Estimate]] = {
    "dlt": estimators.dlt,
    "ml": estimators.maximum_likelihood,
    "huber": estimators.huber,
    "consensus": estimators.consensus,
}
_DISTORTION_COUNTS = (4, 5, 8, 12, 14)  # coefficients that OpenCV knows
_CHUNK = 65536  # points triangulated at once; bounds the memory


@dataclass(frozen=True)
class Triangulation:
    """Triangulated points.

    Attributes:
        points: (..., 3) world [m]; NaN where fewer than two views are usable.
        covariance: (..., 3, 3) [m^2]; NaN there.
        weights: (V, ...) what each detection counts in the result: the given weight, less where the
            method has found an error, 0 where it was left out.
    """

    points: Floats
    covariance: Floats
    weights: Floats


def project(
    points: npt.ArrayLike,
    intrinsics: npt.ArrayLike,
    extrinsics: npt.ArrayLike,
    distortion: npt.ArrayLike | None = None,
) -> Floats:
    """Project world points into every view.

    Args:
        points: (..., 3) world [m].
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        distortion: (V, n) OpenCV's coefficients, n = 4, 5, 8, 12 or 14; none by default.

    Returns:
        (V, ..., 2) [px]; NaN where the point is not in front of the camera.

    Raises:
        DataError: A shape or a number is not as above.
    """
    xyz = _numbers(points, "points")
    if xyz.ndim < 1 or xyz.shape[-1] != 3:
        raise DataError(f"points must have shape (..., 3), found {xyz.shape}")
    K, E = _cameras(intrinsics, extrinsics)
    D = _distortion(distortion, len(K))
    uv, depth = multi_view.project(*(torch.from_numpy(x) for x in (xyz.reshape(-1, 3), K, E)))
    uv = uv.masked_fill((depth <= multi_view.MIN_DEPTH_M).unsqueeze(-1), torch.nan)
    seen = np.stack(
        [
            lenses.distort(view, k, d)
            for view, k, d in zip(uv.transpose(0, 1).numpy(), K, D, strict=True)
        ]
    )
    found: Floats = seen.reshape(len(K), *xyz.shape[:-1], 2)
    return found


def triangulate(
    points: npt.ArrayLike,
    intrinsics: npt.ArrayLike,
    extrinsics: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    distortion: npt.ArrayLike | None = None,
    method: Method = "consensus",
    sigma_px: float = 1.0,
) -> Triangulation:
    """Triangulate every point from its views alone, without its neighbours in time.

    Args:
        points: (V, ..., 2) detections [px]; NaN = missing.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        weights: (V, ...) precision of each detection beside the others, in units of
            1 / sigma_px^2; 0 = missing. All 1 by default.
        distortion: (V, n) OpenCV's coefficients, n = 4, 5, 8, 12 or 14; none by default.
        method: `consensus`: the largest set of views that agree; `huber`: robust loss; `ml`:
            maximum likelihood; `dlt`: linear.
        sigma_px: Standard deviation of a coordinate of a detection of weight 1 [px]. The covariance
            scales with it, and it says what an outlier is.

    Raises:
        DataError: A shape or a number is not as above, or there are fewer than two views.
    """
    K, E = _cameras(intrinsics, extrinsics)
    V = len(K)
    uv = np.asarray(points, np.float64)
    if uv.ndim < 2 or uv.shape[0] != V or uv.shape[-1] != 2:
        raise DataError(f"points must have shape ({V} views, ..., 2), found {uv.shape}")
    if V < 2:
        raise DataError("one view does not determine 3D points; give two or more")
    if method not in METHODS:
        raise DataError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    if not 0 < sigma_px < np.inf:
        raise DataError(f"sigma_px is {sigma_px}; allowed: above 0")
    w = np.ones(uv.shape[:-1]) if weights is None else _numbers(weights, "weights")
    if w.shape != uv.shape[:-1] or (w < 0).any():
        raise DataError(
            f"weights must have shape {uv.shape[:-1]} and be 0 or above, found {w.shape}"
        )
    flat = uv.reshape(V, 1, -1, 2)
    if distortion is not None:
        names = [f"view {v}" for v in range(V)]
        flat = lenses.undistort("points", flat, K, _distortion(distortion, V), names)
    finite = np.isfinite(flat[:, 0])
    is_there = finite[..., 0] & finite[..., 1]  # (V, n)
    uv_t = torch.from_numpy(np.where(is_there[..., None], flat[:, 0], 0.0)).transpose(0, 1)
    w_t = torch.from_numpy(np.where(is_there, w.reshape(V, -1), 0.0)).transpose(0, 1)
    rig = Rig(torch.from_numpy(K), torch.from_numpy(E), float(sigma_px), tuple(range(V)))
    parts = [
        METHODS[method](u, v, rig)
        for u, v in zip(torch.split(uv_t, _CHUNK), torch.split(w_t, _CHUNK), strict=True)
    ]
    batch = uv.shape[1:-1]
    used = torch.cat([p.inliers for p in parts if p.inliers is not None])
    return Triangulation(
        torch.cat([p.xyz for p in parts]).numpy().reshape(*batch, 3),
        torch.cat([p.covariance for p in parts]).numpy().reshape(*batch, 3, 3),
        used.transpose(0, 1).numpy().reshape(V, *batch),
    )


def _numbers(values: Any, name: str) -> Floats:
    found: Floats = np.ascontiguousarray(values, np.float64)
    if not np.isfinite(found).all():
        raise DataError(f"{name} must be finite")
    return found


def _cameras(intrinsics: Any, extrinsics: Any) -> tuple[Floats, Floats]:
    K, E = _numbers(intrinsics, "intrinsics"), _numbers(extrinsics, "extrinsics")
    if K.ndim != 3 or K.shape[1:] != (3, 3) or len(K) == 0:
        raise DataError(f"intrinsics must have shape (views, 3, 3), found {K.shape}")
    if E.shape != (len(K), 3, 4):
        raise DataError(
            f"extrinsics must have shape ({len(K)} views, 3, 4): rotation and translation, world"
            f" to camera; found {E.shape}"
        )
    return K, E


def _distortion(values: Any, views: int) -> Floats:
    if values is None:
        return np.zeros((views, _DISTORTION_COUNTS[0]))
    found = _numbers(values, "distortion")
    if found.ndim != 2 or len(found) != views or found.shape[1] not in _DISTORTION_COUNTS:
        counts = ", ".join(str(n) for n in _DISTORTION_COUNTS)
        raise DataError(
            f"distortion must have shape ({views} views, n) with n one of {counts};"
            f" found {found.shape}"
        )
    return found
