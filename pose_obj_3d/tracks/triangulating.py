"""Tracks from detections: every frame triangulated robustly, and gaps filled.

The triangulation of a single frame depends on no parameter of a model, so it is done once for a
whole data set.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.progress import loop
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.strays import find_strays, find_vague
from pose_obj_3d.tracks.types import Tracks

ROBUST_SIGMAS = 3.5  # residual, in noise standard deviations, of a gross error
CERTAIN_SHARE = 0.8  # of points without gross errors have views that agree so well
# Detections triangulated at once: more would not fit into the processor's cache.
_CHUNK_CELLS = 65536


def estimate_frames(uv: Tensor, weights: Tensor, rig: Rig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Triangulate every frame robustly, in float64.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K).
        rig: The cameras.

    Returns:
        xyz (N, K, 3) [m], the consensus of the views, such that averages weighted by info have no
        bias, NaN with fewer than two views; info (N, K, 3, 3) [1/m^2], 0 there; robust weights (N,
        V, K); (N, K) whether three or more views agree so well that none of them is a gross error,
        however far the point is from other frames.
    """
    N, V, K, _ = uv.shape
    points = uv.transpose(1, 2).reshape(N * K, V, 2).double()
    w = weights.transpose(1, 2).reshape(N * K, V).double()
    cameras = (rig.intrinsics, rig.extrinsics)
    xyz, info, robust, certain = [], [], [], []
    size = max(1, _CHUNK_CELLS // V)
    parts = list(zip(torch.split(points, size), torch.split(w, size), strict=True))
    for uv_part, w_part in loop(parts, "triangulating"):
        found = estimators.consensus(uv_part, w_part, rig, ROBUST_SIGMAS)
        x, used = found.xyz, found.inliers
        assert used is not None
        # Two views that disagree remain a pair: which one errs is not known, so both count less.
        deviation = (
            (uv_part - geometry.project(x, *cameras)[0]).norm(dim=-1) * w_part.sqrt() / rig.sigma_px
        )
        worst = torch.where(used > 0, deviation, 0.0).amax(-1, keepdim=True).nan_to_num(0.0)
        r = used * (ROBUST_SIGMAS / worst.clamp_min(ROBUST_SIGMAS)).square()
        i = geometry.information(x, r, *cameras, rig.sigma_px)
        xyz.append(x - geometry.averaging_bias(x, r, *cameras, rig.sigma_px))
        robust.append(r)
        seen_by = geometry.count_views(w_part)
        info.append(torch.where((seen_by >= 2)[:, None, None], i, 0.0))
        # Residuals have 2 V - 3 degrees of freedom; this is the distribution function of their
        # chi-squared law.
        share = torch.special.gammainc(
            (seen_by - 1.5).clamp_min(0.5), deviation.square().sum(-1) / 2
        )
        certain.append((seen_by >= 3) & (share < CERTAIN_SHARE))
    return (
        torch.cat(xyz).reshape(N, K, 3).float(),
        torch.cat(info).reshape(N, K, 3, 3).float(),
        torch.cat(robust).reshape(N, K, V).transpose(1, 2).float(),
        torch.cat(certain).reshape(N, K),
    )


def triangulate_tracks(
    uv: Tensor, weights: Tensor, rig: Rig, keypoint: Tensor, first: Tensor, last: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangulate every frame, drop vague and stray ones, fill gaps from the nearest frame.

    Arguments and results as in `Tracks` and `estimate_frames`.
    """
    xyz, info, robust, is_certain = estimate_frames(uv, weights, rig)
    lost = find_vague(info, keypoint) | (find_strays(xyz, info, first, last) & ~is_certain)
    info = torch.where(lost[..., None, None], 0.0, info)
    return fill_gaps(xyz, info, first), info, robust


def fill_gaps(xyz: Tensor, info: Tensor, first: Tensor) -> Tensor:
    """Fill what is not triangulated from the example's nearest frame, else by the mean of all."""
    is_known = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0  # (N, K)
    if not is_known.any():
        raise DataError(
            "no keypoint is seen by two views in any frame; nothing can be triangulated"
        )
    N = len(xyz)
    frame = torch.arange(N, device=xyz.device)[:, None]
    before = torch.where(is_known, frame, -1).cummax(0).values
    after = torch.where(is_known, frame, N).flip(0).cummin(0).values.flip(0)
    has_before = (before >= 0) & (first[before.clamp_min(0)] == first[:, None])
    has_after = (after < N) & (first[after.clamp_max(N - 1)] == first[:, None])
    take_after = has_after & (~has_before | (after - frame < frame - before))
    chosen = torch.where(take_after, after, before).clamp(0, N - 1)
    filled = xyz.gather(0, chosen[..., None].expand_as(xyz))
    return torch.where((has_before | has_after)[..., None], filled, xyz[is_known].mean(0))


def single_frame(
    estimator: Callable[[Tensor, Tensor, Rig], Estimate], tracks: Tracks, rig: Rig
) -> Estimate:
    """Run one of `estimators` on every frame: (N, K, 3) [m].

    Frames with fewer than two usable views take the nearest triangulated frame's position, without
    covariance.
    """
    is_seen = tracks.is_real & ((tracks.weights > 0).sum(1) >= 2)
    uv, weights = tracks.uv.transpose(1, 2)[is_seen], tracks.weights.transpose(1, 2)[is_seen]
    xyz, covariance = tracks.xyz.clone(), torch.full_like(tracks.info, torch.nan)
    inliers = torch.zeros_like(tracks.weights.transpose(1, 2))
    size = max(1, _CHUNK_CELLS // tracks.weights.shape[1])
    for rows, u, w in zip(
        *(torch.split(x, size) for x in (is_seen.nonzero(), uv, weights)), strict=True
    ):
        found = estimator(u, w, rig)
        xyz[rows[:, 0], rows[:, 1]] = found.xyz.to(xyz.dtype)
        covariance[rows[:, 0], rows[:, 1]] = found.covariance.to(xyz.dtype)
        if found.inliers is not None:
            inliers[rows[:, 0], rows[:, 1]] = found.inliers.to(xyz.dtype)
    return Estimate(xyz, covariance, inliers)
