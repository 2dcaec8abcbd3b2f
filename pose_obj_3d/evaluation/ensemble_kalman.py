"""The multi-view ensemble Kalman smoother (EKS), as a reference: another project's package.

`ensemble-kalman-smoother` (MIT licence) smooths each keypoint in 3D: a random walk, seen by
calibrated cameras through an extended Kalman filter, with a process noise that it fits to each
keypoint by likelihood. It is built for an ensemble of detectors, whose spread is the variance of a
detection. Ours is one detector, so each detection has the variance that its detector claims, or
else that of the rig's noise. Where views contradict each other, the package inflates variances.
"""

import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

NAME = "ensemble Kalman smoother (EKS)"
PACKAGE = "ensemble-kalman-smoother"
NOT_INSTALLED = (
    f"the {NAME} needs the package {PACKAGE}: pip install -e '.[references]'; without it that line"
    " is left out"
)
MISSING_PX2 = 1e5  # variance of what is not there [px^2]: the largest that the package knows
_TOGETHER = 32  # examples smoothed at once: compiling takes a minute, whatever their number

Float = npt.NDArray[np.float64]


def is_installed() -> bool:
    """Tell whether the package is there; it is not imported, which takes seconds."""
    return find_spec("eks") is not None


def ensemble_kalman(tracks: Tracks, rig: Rig) -> Estimate:
    """Smooth whole examples: (N, K, 3) [m].

    The covariance is diagonal: the package tells no more. Frames beyond the end of an example,
    where it is smoothed together with longer ones, are measurements that say nothing.

    Raises:
        DataError: The package is not installed.
    """
    if not is_installed():
        raise DataError(NOT_INSTALLED)
    variance = _variances(tracks, rig)
    projected, _ = multi_view.project(tracks.xyz.double(), rig.intrinsics, rig.extrinsics)
    is_there = (tracks.weights > 0)[..., None]
    uv = torch.where(is_there, tracks.uv.double(), projected.transpose(1, 2))
    found = Estimate(
        torch.full_like(tracks.xyz, torch.nan), torch.full_like(tracks.info, torch.nan)
    )
    starts = tracks.first.unique()  # type: ignore[no-untyped-call]
    lengths = torch.bincount(torch.searchsorted(starts, tracks.first))
    for part in torch.split(lengths.argsort(), _TOGETHER):
        steps = torch.arange(int(lengths[part].max()))
        is_real = steps < lengths[part, None]  # (E, T)
        rows = starts[part, None] + steps.minimum(lengths[part, None] - 1)
        of_rows = variance[rows].masked_fill(~is_real[..., None, None], MISSING_PX2)
        xyz, of_xyz = _smooth(uv[rows], of_rows, rig)
        found.xyz[rows[is_real]] = xyz[is_real].to(found.xyz.dtype)
        found.covariance[rows[is_real]] = torch.diag_embed(of_xyz[is_real]).to(found.xyz.dtype)
    return found


def _variances(tracks: Tracks, rig: Rig) -> Tensor:
    """Return the variance (N, V, K) [px^2] of each detection, the mean of its two coordinates.

    Where the noise was estimated, weights are by it, and it has made what it could of the claims.
    """
    variance = rig.sigma_px**2 / tracks.weights.double()
    if tracks.claims is not None and tracks.noise is None:
        claimed = tracks.claims.double().diagonal(dim1=-2, dim2=-1).mean(-1)
        is_claimed = claimed.isfinite() & (tracks.weights > 0)
        variance = torch.where(is_claimed, claimed, variance)
    return variance.clamp(1 / MISSING_PX2, MISSING_PX2)


def _smooth(uv: Tensor, variance: Tensor, rig: Rig) -> tuple[Tensor, Tensor]:
    """Smooth E examples, whose keypoints are keypoints of one recording to the package.

    Args:
        uv: (E, T, V, K, 2) [px], finite.
        variance: (E, T, V, K) [px^2].
        rig: The cameras.

    Returns:
        Positions (E, T, K, 3) [m] and their variances (E, T, K, 3) [m^2].
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from eks.marker_array import MarkerArray  # noqa: PLC0415 - slow, and often not installed
    from eks.multicam_smoother import ensemble_kalman_smoother_multicam  # noqa: PLC0415

    E, T, V, K, _ = uv.shape
    # With a single model, the package takes 1 / likelihood as the variance.
    both = torch.cat([uv, (1 / variance)[..., None]], -1)
    markers = both.permute(2, 1, 0, 3, 4).reshape(1, V, T, E * K, 3)
    names = [f"camera {v}" for v in range(V)]
    _, _, frame = ensemble_kalman_smoother_multicam(
        MarkerArray(markers.float().numpy(), data_fields=["x", "y", "likelihood"]),
        [f"keypoint {k}" for k in range(E * K)],
        names,
        inflate_vars=True,
        inflate_vars_kwargs={"v_quantile_threshold": None},  # also where all variances are equal
        camgroup=_cameras(rig, names),
    )
    table = torch.from_numpy(np.array(frame.to_numpy(), np.float64))
    by_example = table.reshape(T, E, K, 6).transpose(0, 1)
    return by_example[..., :3], by_example[..., 3:]


def _cameras(rig: Rig, names: list[str]) -> Any:
    """Return the cameras as the package knows them: a group of aniposelib's, without distortion."""
    import cv2  # noqa: PLC0415
    from aniposelib.cameras import Camera, CameraGroup  # noqa: PLC0415

    cameras = []
    for name, matrix, extrinsics in zip(
        names, rig.intrinsics.double().numpy(), rig.extrinsics.double().numpy(), strict=True
    ):
        rotation: Float = cv2.Rodrigues(extrinsics[:, :3])[0].ravel()
        cameras.append(
            Camera(name=name, matrix=matrix, dist=np.zeros(5), rvec=rotation, tvec=extrinsics[:, 3])
        )
    return CameraGroup(cameras)
