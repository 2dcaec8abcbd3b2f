"""Training losses: 3D error, or, without labels, the likelihood of held-out measurements.

Models without a blind prediction train unsupervised on the plain reprojection error.
"""

import math

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry import symmetric
from pose_obj_3d.models.consensus.joint_views import BEHIND_SIGMAS, joint
from pose_obj_3d.models.consensus.scene import witnesses

OUTLIER_RATE = 0.02  # share of gross errors that the likelihood allows for
# Residual, in noise standard deviations, where the reprojection loss turns linear.
ROBUST_SIGMAS = 3.0
OUTLIER_SCALE = 20.0  # their standard deviation, in regular standard deviations


def mpjpe_loss(xyz_world: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Average the 3D distance.

    Args:
        xyz_world: (B, K, 3) predicted [m].
        truth: (B, K, 3) [m].
        mask: (B, K), points that count.

    Returns:
        Scalar [m].
    """
    # The epsilon (1e-3 mm) keeps the gradient of the norm finite at zero error.
    distance = ((xyz_world - truth).square().sum(-1) + 1e-12).sqrt()
    return (distance * mask).sum() / mask.sum().clamp_min(1)


def reprojection_loss(
    xyz_world: Tensor, uv: Tensor, weights: Tensor, cameras: tuple[Tensor, Tensor], sigma_px: float
) -> Tensor:
    """Average the distance between a reprojected prediction and the 2D seen, in every usable view.

    The Charbonnier loss c^2 (sqrt(1 + r^2 / c^2) - 1) of the residual r in standard deviations of
    the
    noise: quadratic for small residuals, linear beyond c. Its optimum is a triangulation of the
    frame:
    noise that the prediction has seen is fitted too (`blind_reprojection_nll` cannot be cheated
    so).

    Args:
        xyz_world: (B, K, 3) predicted [m].
        uv: (B, V, K, 2) seen [px].
        weights: (B, V, K), 0 = unused.
        cameras: intrinsics (V, 3, 3) [px], extrinsics (V, 3, 4) world to camera [m].
        sigma_px: Noise per coordinate [px].

    Returns:
        Scalar, in variances of the noise; 0 where nothing is usable.
    """
    predicted, _ = geometry.project(xyz_world, *cameras)  # (B, K, V, 2)
    residual = (predicted.transpose(1, 2) - uv) / sigma_px
    c2 = ROBUST_SIGMAS**2
    loss = c2 * ((1 + residual.square().sum(-1) / c2).sqrt() - 1)
    return (loss * weights).sum() / weights.sum().clamp_min(1)


def blind_reprojection_nll(
    blind_xyz: Tensor,
    blind_info: Tensor,
    uv: Tensor,
    weights: Tensor,
    cameras: tuple[Tensor, Tensor],
    sigma_px: float,
) -> tuple[Tensor, Tensor]:
    """Score a prediction by the measurements it has not seen: reprojection in all views, jointly.

    With the prediction's covariance Q and the Jacobian J, the stacked residual r of a keypoint's
    views is normal with covariance S = sigma^2 I + J Q J^T. By the matrix determinant and inversion
    lemmas only 3 x 3 matrices appear: with M = J^T W J / sigma^2 and b = J^T W r / sigma^2,
    log|S| = log|Q^-1 + M| - log|Q^-1| + const and
    r^T S^-1 r = r^T W r / sigma^2 - b^T (Q^-1 + M)^-1 b.
    Mixed with a wide component, so that a gross error of the detector costs a constant.

    The loss has no optimum at the frame's own triangulation, as the plain reprojection loss has:
    the measurement is not among the inputs of `blind_xyz`, and its noise cannot be copied.

    Args:
        blind_xyz: (B, K, 3) predicted without the measurements below [m].
        blind_info: (B, K, 3, 3) = Q^-1 [1/m^2].
        uv: (B, V, K, 2) measured [px].
        weights: (B, V, K), 0 = unused.
        cameras: intrinsics (V, 3, 3) [px], extrinsics (V, 3, 4) world to camera [m].
        sigma_px: Noise per coordinate [px].

    Returns:
        Negative log likelihood (B, K) in nats, up to a constant, and the number of measured
        coordinates (B, K); both are 0 where nothing was measured.
    """
    # Entries and views first, windows last: sums of long rows.
    x, w = blind_xyz.permute(2, 1, 0), weights.permute(1, 2, 0)
    info = symmetric.pack(blind_info.permute(2, 3, 1, 0))
    log_det, distance = joint(x, info, uv.permute(3, 1, 2, 0), w, cameras, sigma_px)
    count = 2 * (w > 0).sum(0)
    inlier = math.log(1 - OUTLIER_RATE) - distance / 2
    outlier = (
        math.log(OUTLIER_RATE) - distance / (2 * OUTLIER_SCALE**2) - count * math.log(OUTLIER_SCALE)
    )
    nll = (log_det - symmetric.log_det(info)) / 2 - torch.logaddexp(inlier, outlier)
    return torch.where(count > 0, nll, torch.zeros_like(nll)).T, count.T


def blind_view_nll(
    xyz: Tensor,
    info: Tensor,
    uv: Tensor,
    precision: Tensor,
    cameras: tuple[Tensor, Tensor],
    sigma_px: float,
    width: float,
) -> tuple[Tensor, Tensor]:
    """Score a prediction by views that had no part in it, each on its own.

    The residual of a view is the sum of the prediction's error and the detection's. The latter is a
    mixture: good, poor, and two kinds of gross errors (`scene.witnesses`).

    Args:
        xyz: (B, K, 3) predicted without the detections that count below [m].
        info: (B, K, 3, 3) claimed [1/m^2].
        uv: (B, V, K, 2) detected [px].
        precision: (B, V, K) of a good detection, in 1 / sigma_px^2; 0 = does not count.
        cameras: intrinsics (V, 3, 3) [px], extrinsics (V, 3, 4) world to camera [m].
        sigma_px: Noise per coordinate [px].
        width: Image width [px].

    Returns:
        Negative log likelihood (B, K) in nats, up to a constant, and the number of coordinates that
        count (B, K); both are 0 where none does.
    """
    predicted, J = geometry.projection_jacobian(xyz, *cameras)  # (B, K, V, 2, 3)
    is_ahead = geometry.is_in_front(xyz, cameras[1])
    p = precision.transpose(1, 2)
    limit = BEHIND_SIGMAS * sigma_px
    r = torch.where(is_ahead.unsqueeze(-1), uv.transpose(1, 2) - predicted, limit)
    J = torch.where(is_ahead[..., None, None], J, 0.0)
    S = J @ geometry.invert_3x3(info).unsqueeze(2) @ J.transpose(-1, -2)
    good = sigma_px / p.clamp_min(1e-12).sqrt()
    kinds = [f * good for f in witnesses.CORE]
    kinds += [torch.full_like(good, f * width) for f in witnesses.WIDE]
    variance = torch.stack(kinds, -1).square()
    a, b, c = (y.unsqueeze(-1) for y in (S[..., 0, 0], S[..., 0, 1], S[..., 1, 1]))
    a, c = a + variance, c + variance
    det = a * c - b * b
    x, y = r[..., :1], r[..., 1:]
    square = (c * x * x - 2 * b * x * y + a * y * y) / det
    log = torch.tensor(witnesses.SHARES).to(det).log() - det.log() / 2 - square / 2
    is_scored = p > 0
    nll = torch.where(is_scored, -log.logsumexp(-1), 0.0).sum(-1)
    return nll, 2 * is_scored.sum(-1)
