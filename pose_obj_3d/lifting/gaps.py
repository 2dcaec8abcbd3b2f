"""Where a lifted point may stand that no measurement of its own frame supports: between measurements, not beyond."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.tracks.types import Tracks

BRIDGE_LIMIT = (
    0.03  # default, in units of the scene: 2 to 3 % of the distance between cameras and points
)


@dataclass(frozen=True)
class Bounded:
    """A result without what is not to be believed.

    Attributes:
        estimate: NaN outside and in gaps that claim too little.
        outside: Points taken out before the first or after the last measurement of their sequence.
        vague: Points taken out in gaps, since their claimed deviation passes the limit.
        bridged: Points between measurements that stay.
    """

    estimate: Estimate
    outside: int
    vague: int
    bridged: int


def is_measured(tracks: Tracks) -> Tensor:
    """Return (N, K): the frame's own measurement is used: seen by two views, neither vague, stray nor outlier."""
    measured: Tensor = (tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0) & tracks.is_real
    return measured.cpu()


def bounded(estimate: Estimate, measured: Tensor, tracks: Tracks, limit: float) -> Bounded:
    """Take points out before the first and after the last measured frame of a sequence, and in vague gaps.

    Args:
        estimate: (N, K, 3).
        measured: (N, K) where the frame's own measurement went in.
        tracks: The data, for its sequences.
        limit: Largest standard deviation along any direction that a point in a gap may claim.
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
    """Return the largest standard deviation (N, K) along any direction; infinite where nothing is claimed."""
    worst = torch.full(where.shape, torch.inf, dtype=torch.float64)
    some = covariance[where].double()
    is_known = some.isfinite().all(-1).all(-1)
    largest = torch.full((len(some),), torch.inf, dtype=torch.float64)
    largest[is_known] = torch.linalg.eigvalsh(some[is_known])[:, -1].clamp_min(0).sqrt()
    worst[where] = largest
    return worst
