"""What methods claim of their own errors, beside what happened."""

from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.tracks.types import Tracks

CHUNK = 65536  # points estimated at once; bounds the memory


def claimed_error(predicted: Estimate) -> Tensor:
    """Return the error (N, K) [m] that a covariance C announces: E|e| for e ~ N(0, C), or NaN."""
    is_known = predicted.covariance.isfinite().all(-1).all(-1)
    info = geometry.invert_3x3(predicted.covariance[is_known].double())
    claimed = torch.full(is_known.shape, torch.nan, dtype=torch.float64, device=info.device)
    claimed[is_known] = torch.cat(
        [geometry.expected_error(part) for part in torch.split(info, CHUNK)]
    )
    return claimed


def calibration(
    predicted: Estimate, claimed: Tensor, tracks: Tracks, mask: Tensor
) -> dict[str, Any]:
    """Compare what a method claims with what happened, on the points where it claims something."""
    assert tracks.truth is not None
    known = mask & claimed.isfinite()
    measures: dict[str, Any] = {
        "claimed_count": int(known.sum()),
        "claimed_error_mm": metrics.mm(metrics.summed(claimed, known).mean),
    }
    for percent in metrics.COVERAGE:
        share = metrics.coverage(
            predicted.xyz, tracks.truth, predicted.covariance, known, percent, predicted.tail
        ).mean
        measures[f"coverage_{percent}_percent"] = metrics.number(100 * share)
    return measures
