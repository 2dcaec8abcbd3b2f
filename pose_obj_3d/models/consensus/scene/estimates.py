"""Estimates of whole tracks, by examples or by windows."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.models.consensus.scene.solving import (
    ITERATIONS,
    STIFFNESS,
    WARM,
    Scene,
    Sequences,
    sequences_of,
    view_sets,
)
from pose_obj_3d.tracks.types import Tracks


def rows_of_examples(first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Return the frames (T, R) of R examples, and which of them are there; the longest first."""
    begin = first.unique()  # type: ignore[no-untyped-call]
    end = last[begin]
    order = (begin - end).argsort(stable=True)
    begin, end = begin[order], end[order]
    wanted = begin + torch.arange(int((end - begin).max()) + 1, device=first.device)[:, None]
    rows = torch.minimum(wanted, end)
    return rows, rows == wanted


def estimate_examples(scene: Scene, views: Tensor, with_starts: bool = True) -> Estimate:
    """Estimate whole examples.

    Args:
        scene: Detections, cameras, and what is known before.
        views: (N, V) bool, the views that count in each frame's example.
        with_starts: Try several sets of views as starts.

    Returns:
        (N, K, 3) [m] and covariance, float64; NaN where a task has no such keypoint.
    """
    tracks, belief = scene.tracks, scene.belief
    rows, is_there = rows_of_examples(tracks.first, tracks.last)
    xyz = tracks.xyz.double()
    found = Estimate(
        torch.full_like(xyz, torch.nan), torch.full((*xyz.shape, 3), torch.nan).to(xyz)
    )
    of_rows = views[rows[0]]
    for seq in sequences_of(tracks, rows, is_there, of_rows, belief.shapes, apart=True):
        for part in seq.chunks(len(view_sets(views.shape[1])) if with_starts else 1):
            start = part.of(xyz)
            if with_starts:
                start = scene.best_start(part, start)
            x, covariance, _ = scene.descend(
                part, start, ITERATIONS, 1.0 if with_starts else STIFFNESS
            )
            _write(found, part, x, covariance)
    if not belief.shapes.spread.isfinite().any():
        return found
    for seq in sequences_of(tracks, rows, is_there, of_rows, belief.shapes, apart=False):
        if seq.columns.shape[1] == 1:
            continue
        for part in seq.chunks():
            x, covariance, _ = scene.descend(part, part.of(found.xyz), ITERATIONS, WARM)
            _write(found, part, x, covariance)
    return found


def estimate_windows(
    scene: Scene, rows: Tensor, is_there: Tensor, views: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate windows, each from its own frames alone.

    Args:
        scene: Detections, cameras, and what is known before.
        rows: (B, T) frames of each window.
        is_there: (B, T) whether a frame counts.
        views: (B, V) bool, the views that count.

    Returns:
        Positions (B, T, K, 3) [m] and covariances (B, T, K, 3, 3), float64; NaN where a task has
        no such keypoint.
    """
    tracks, (B, T) = scene.tracks, rows.shape
    K = tracks.xyz.shape[1]
    xyz = tracks.xyz.new_full((T, B, K, 3), torch.nan, dtype=torch.float64)
    covariance = xyz.new_full((T, B, K, 3, 3), torch.nan)
    for seq in sequences_of(tracks, rows.T, is_there.T, views, scene.belief.shapes, apart=False):
        for part in seq.chunks():
            start = (
                part.of(tracks.xyz.double())
                .median(0, keepdim=True)
                .values.expand(len(part.rows), -1, -1, -1)
            )
            x, cov, _ = scene.descend(part, start, ITERATIONS, STIFFNESS)
            frames = torch.arange(len(part.rows), device=rows.device)[:, None, None]
            at = frames, part.number[:, None], part.columns
            xyz[at], covariance[at] = x, cov
    return xyz.transpose(0, 1), covariance.transpose(0, 1)


def _write(found: Estimate, part: Sequences, xyz: Tensor, covariance: Tensor) -> None:
    """Put the sequences' positions (T, S, n, 3) and covariances where they belong."""
    at = (
        part.rows[part.is_there].unsqueeze(-1),
        part.columns.expand(*part.rows.shape, -1)[part.is_there],
    )
    found.xyz[at], found.covariance[at] = xyz[part.is_there], covariance[part.is_there]


def some_examples(tracks: Tracks, count: int) -> Tracks:
    """Return at most so many examples, evenly spread."""
    begin = tracks.first.unique()  # type: ignore[no-untyped-call]
    if len(begin) <= count:
        return tracks
    chosen = begin[torch.linspace(0, len(begin) - 1, count, device=begin.device).round().long()]
    keep = torch.isin(tracks.first, chosen)
    rows = keep.nonzero().squeeze(-1)
    new = torch.cumsum(keep, 0) - 1
    cut: dict[str, Any] = {name: value[rows] for name, value in tracks.by_frame.items()}
    cut |= {"first": new[tracks.first[rows]], "last": new[tracks.last[rows]]}
    return replace(tracks, **cut)
