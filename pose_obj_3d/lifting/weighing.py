"""Tracks of a file with their noise: what detections weigh, and every frame triangulated by it."""

from dataclasses import replace

import torch
from torch import Tensor

from pose_obj_3d.geometry import noise
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.noise_of_tracks import noise_parts
from pose_obj_3d.tracks.triangulating import triangulate_tracks
from pose_obj_3d.tracks.triangulating_sets import Earlier, estimate_frames_by_sets, without_strays
from pose_obj_3d.tracks.types import Tracks

_FRAMES = "frames"  # name of what `Tracks.cache` keeps of a triangulation


def own_noise(
    uv: Tensor,
    confidence: Tensor,
    keypoint: Tensor,
    first: Tensor,
    rig: Rig,
    claims: Tensor | None,
) -> tuple[Tensor, NoiseParts | None]:
    """Estimate the noise from the views: of each (V,) [px], and by view and keypoint in parts.

    Without any point that two views see nothing is known by keypoint.
    """
    seen = uv, confidence, keypoint, first, rig
    if (keypoint >= 0).any():
        # Reading the file has weighed the points by their claims.
        parts = noise_parts(*seen, claims, weighed_by_claims=1.0)
        return parts.sigma.square().mean(1).sqrt(), parts
    return noise.estimate_sigma(uv, confidence, rig), None


def is_seen(weights: Tensor, number: Tensor) -> Tensor:
    """Say where two views see the keypoint in some frame of the same sequence (N, K).

    Args:
        weights: (N, V, K), 0 = missing.
        number: (N,) number of each frame's sequence.
    """
    pairs = ((weights > 0).sum(1) >= 2).long()
    count = torch.zeros(int(number[-1]) + 1, pairs.shape[1], dtype=torch.int64).index_add_(
        0, number, pairs
    )
    return count[number] > 0


def triangulated(tracks: Tracks, rig: Rig, earlier: Tracks | None = None) -> Tracks:
    """Triangulate every frame by its `uv`, `weights`, and what is known of the noise.

    Gaps take the nearest triangulated frame. Points that `earlier`, the result for the same
    detections with other weights, has with the same weights are not triangulated again.
    """
    weights = tracks.weights * (tracks.keypoint >= 0).float()[:, None]
    where = (tracks.keypoint, tracks.first, tracks.last)
    if tracks.noise is None:
        xyz, info, robust = triangulate_tracks(tracks.uv, weights, rig, *where)
        return replace(tracks, weights=weights, robust=robust, xyz=xyz, info=info, floor=None)
    known = None
    if earlier is not None and _FRAMES in earlier.cache:
        of_rig, frames, scene = earlier.cache[_FRAMES]
        is_same = (weights == earlier.weights).all(1) & (tracks.keypoint == earlier.keypoint)
        known = Earlier(frames, scene, is_same) if of_rig is rig else None
    frames, scene = estimate_frames_by_sets(
        tracks.uv, weights, rig, tracks.keypoint, tracks.noise, tracks.claims, known
    )
    found = without_strays(frames, weights, *where)
    result = replace(
        tracks,
        weights=weights,
        robust=found.robust,
        xyz=found.xyz,
        info=found.info,
        floor=found.floor,
    )
    result.cache[_FRAMES] = (rig, frames, scene)
    return result


def with_weights(tracks: Tracks, weights: Tensor, rig: Rig) -> Tracks:
    """Triangulate the tracks again with other weights (N, V, K)."""
    keypoint = torch.where(is_seen(weights, tracks.source[:, 1]), tracks.keypoint, -1)
    return triangulated(replace(tracks, weights=weights, keypoint=keypoint), rig, tracks)


def masked(tracks: Tracks, view: int) -> Tensor:
    """Return the weights (N, V, K) without those of a view."""
    weights = tracks.weights.clone()
    weights[:, view] = 0
    return weights


def without_view(tracks: Tracks, view: int, rig: Rig) -> Tracks:
    """Leave a view out."""
    return with_weights(tracks, masked(tracks, view), rig)
