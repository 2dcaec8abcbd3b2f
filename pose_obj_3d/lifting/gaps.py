"""Points that no measurement of their own frame supports: kept between measurements, not beyond.

A gap is a run of frames without a measurement between two frames that have one. A point in a gap
is *bridged*: a method fills it in from the frames around.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.tracks.types import Tracks

# Default, in units of the scene: 2 to 3 % of the distance between cameras and points.
BRIDGE_LIMIT = 0.03


@dataclass(frozen=True)
class Bounded:
    """A result without the points that cannot be trusted.

    Attributes:
        estimate: NaN where a point was taken out.
        outside: Points taken out before the first or after the last measurement of their sequence.
        vague: Points taken out in gaps because their standard deviation is above the limit.
        bridged: Points in gaps that stay.
    """

    estimate: Estimate
    outside: int
    vague: int
    bridged: int


def is_measured(tracks: Tracks) -> Tensor:
    """Say where the frame's own measurement is used (N, K).

    That needs two views, and a triangulation that is neither too uncertain nor far from those of
    the frames around.
    """
    measured: Tensor = (tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0) & tracks.is_real
    return measured.cpu()


def bounded(estimate: Estimate, measured: Tensor, tracks: Tracks, limit: float) -> Bounded:
    """Take out points before the first and after the last measured frame, and uncertain ones.

    Args:
        estimate: (N, K, 3).
        measured: (N, K) where the frame's own measurement went in.
        tracks: The data, for its sequences.
        limit: Largest standard deviation, along any direction, that a point in a gap may have.
    """
    first, last = tracks.first.cpu(), tracks.last.cpu()
    running = torch.cat(
        [torch.zeros_like(measured[:1], dtype=torch.long), measured.long().cumsum(0)]
    )
    frame = torch.arange(len(measured))
    has_before = running[frame + 1] > running[first]
    has_after = running[last + 1] > running[frame]
    is_there = estimate.xyz.isfinite().all(-1)
    outside = is_there & ~measured & ~(has_before & has_after)
    gap = is_there & ~measured & has_before & has_after
    vague = gap & ~(_worst(estimate.covariance, gap) <= limit)
    lost = outside | vague
    kept = Estimate(
        estimate.xyz.masked_fill(lost[..., None], torch.nan),
        estimate.covariance.masked_fill(lost[..., None, None], torch.nan),
    )
    return Bounded(kept, int(outside.sum()), int(vague.sum()), int((gap & ~vague).sum()))


def _worst(covariance: Tensor, where: Tensor) -> Tensor:
    """Return the largest standard deviation along any direction (N, K); infinite if unknown."""
    worst = torch.full(where.shape, torch.inf, dtype=torch.float64)
    some = covariance[where].double()
    is_known = some.isfinite().all(-1).all(-1)
    largest = torch.full((len(some),), torch.inf, dtype=torch.float64)
    largest[is_known] = torch.linalg.eigvalsh(some[is_known])[:, -1].clamp_min(0).sqrt()
    worst[where] = largest
    return worst
