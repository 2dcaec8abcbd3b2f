"""Tracks of a file with their noise: what detections weigh, and every frame triangulated by it."""

from dataclasses import replace

import torch
from torch import Tensor

from pose_obj_3d.geometry import noise
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.noise_of_tracks import noise_parts
from pose_obj_3d.tracks.triangulating import triangulate_tracks
from pose_obj_3d.tracks.triangulating_sets import triangulate_tracks_by_sets
from pose_obj_3d.tracks.types import Tracks


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


def triangulated(tracks: Tracks, rig: Rig) -> Tracks:
    """Triangulate every frame by its `uv`, `weights`, and what is known of the noise.

    Gaps take the nearest triangulated frame.
    """
    weights = tracks.weights * (tracks.keypoint >= 0).float()[:, None]
    where, floor = (tracks.keypoint, tracks.first, tracks.last), None
    if tracks.noise is None:
        xyz, info, robust = triangulate_tracks(tracks.uv, weights, rig, *where)
    else:
        found = triangulate_tracks_by_sets(
            tracks.uv, weights, rig, *where, tracks.noise, tracks.claims
        )
        xyz, info, robust, floor = found.xyz, found.info, found.robust, found.floor
    return replace(tracks, weights=weights, robust=robust, xyz=xyz, info=info, floor=floor)


def with_weights(tracks: Tracks, weights: Tensor, rig: Rig) -> Tracks:
    """Triangulate the tracks again with other weights (N, V, K)."""
    keypoint = torch.where(is_seen(weights, tracks.source[:, 1]), tracks.keypoint, -1)
    return triangulated(replace(tracks, weights=weights, keypoint=keypoint), rig)


def without_view(tracks: Tracks, view: int, rig: Rig) -> Tracks:
    """Leave a view out."""
    weights = tracks.weights.clone()
    weights[:, view] = 0
    return with_weights(tracks, weights, rig)
