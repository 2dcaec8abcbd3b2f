"""Error measures as sums and counts, so that parts of a data set add up.

Coordinates are the last axis.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import region_edges
from pose_obj_3d.geometry.multi_view import check_shape, invert_3x3

COVERAGE = (68, 95)
"""Probabilities of the regions whose coverage is measured [%]."""


@dataclass(frozen=True)
class ErrorSum:
    """A sum of errors and how many were summed.

    Attributes:
        total: Sum, in the unit of the measure.
        count: Number of terms.
    """

    total: float = 0.0
    count: int = 0

    def __add__(self, other: "ErrorSum") -> "ErrorSum":
        """Join two parts of a data set."""
        return ErrorSum(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> float:
        """Mean, NaN without terms."""
        return self.total / self.count if self.count else float("nan")


def summed(values: Tensor, mask: Tensor) -> ErrorSum:
    """Sum `values` where the boolean `mask` of the same shape holds, in float64."""
    return ErrorSum(float(values[mask].double().sum()), int(mask.sum()))


def distances(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return Euclidean distances: (*, 3), (*, 3) [m] -> (*) [m]."""
    check_shape(predicted, "* 3", "predicted")
    check_shape(truth, "* 3", "truth")
    distance: Tensor = (predicted - truth).norm(dim=-1)
    return distance


def mpjpe(predicted: Tensor, truth: Tensor, mask: Tensor) -> ErrorSum:
    """Sum the mean per joint position error (protocol 1).

    Args:
        predicted: (*, 3) [m].
        truth: (*, 3) [m].
        mask: (*) bool, points that count.

    Returns:
        Sum [m] and number of points.
    """
    return summed(distances(predicted, truth), mask)


def pck(predicted: Tensor, truth: Tensor, mask: Tensor, threshold_m: float) -> ErrorSum:
    """Count correct keypoints: those nearer to the truth than a threshold [m]."""
    return summed((distances(predicted, truth) < threshold_m).double(), mask)


def mahalanobis2(predicted: Tensor, truth: Tensor, covariance: Tensor) -> Tensor:
    """Return the squared length of the errors in their claimed standard deviations, in float64.

    Args:
        predicted: (*, 3) [m].
        truth: (*, 3) [m].
        covariance: (*, 3, 3) [m^2]; NaN gives NaN.

    Returns:
        (*), chi-squared with 3 degrees of freedom where the claim is true.
    """
    check_shape(covariance, "* 3 3", "covariance")
    error = (predicted.double() - truth.double()).unsqueeze(-1)
    square: Tensor = (
        (error.transpose(-1, -2) @ invert_3x3(covariance.double()) @ error).squeeze(-1).squeeze(-1)
    )
    return square


def is_inside(square: Tensor, percent: int, tail: float = 0.0) -> Tensor:
    """Say which errors lie inside the region of a probability.

    Args:
        square: (*) squared lengths, as of `mahalanobis2`.
        percent: One of `COVERAGE`.
        tail: Of the errors, as of `Estimate`.
    """
    edge = region_edges(tail)[COVERAGE.index(percent)]
    # A covariance that is none can give a negative square: it covers nothing.
    return (square >= 0) & (square <= edge)


def coverage(
    predicted: Tensor,
    truth: Tensor,
    covariance: Tensor,
    mask: Tensor,
    percent: int,
    tail: float = 0.0,
) -> ErrorSum:
    """Count the truths inside the claimed region of a probability, one of `COVERAGE`.

    Args:
        predicted: (*, 3) [m].
        truth: (*, 3) [m].
        covariance: (*, 3, 3) [m^2].
        mask: (*) bool; points without a claim (NaN) are left out.
        percent: Probability of the region [%].
        tail: Of the errors, as of `Estimate`.
    """
    mask = mask & covariance.isfinite().all(-1).all(-1)
    square = mahalanobis2(predicted[mask], truth[mask], covariance[mask])
    return ErrorSum(float(is_inside(square, percent, tail).sum()), int(mask.sum()))


def p_mpjpe(predicted: Tensor, truth: Tensor, mask: Tensor) -> ErrorSum:
    """Sum the error after the best similarity transform of each frame (protocol 2; Umeyama 1991).

    Args:
        predicted: (N, K, 3) [m].
        truth: (N, K, 3) [m].
        mask: (N, K) bool; frames with fewer than three points are left out: they fit anything.

    Returns:
        Sum [m] and number of points.
    """
    check_shape(predicted, "N K 3", "predicted")
    mask = mask & (mask.sum(-1, keepdim=True) >= 3)
    w = mask.double().unsqueeze(-1)
    count = w.sum(1, keepdim=True).clamp_min(1)
    x, y = predicted.double(), truth.double()
    x_mean, y_mean = (x * w).sum(1, keepdim=True) / count, (y * w).sum(1, keepdim=True) / count
    x0, y0 = (x - x_mean) * w, (y - y_mean) * w
    U, S, Vt = torch.linalg.svd(x0.transpose(1, 2) @ y0)
    sign = torch.ones_like(S)
    sign[:, 2] = torch.det(U @ Vt).sign()  # no reflections
    scale = (S * sign).sum(-1) / x0.square().sum((1, 2)).clamp_min(1e-12)
    aligned = scale[:, None, None] * (x0 @ (U * sign[:, None]) @ Vt) + y_mean
    return summed(distances(aligned, y), mask)


def n_mpjpe(predicted: Tensor, truth: Tensor, mask: Tensor) -> ErrorSum:
    """Sum the error after the best scaling of each frame about its centroid (protocol 3).

    Args:
        predicted: (N, K, 3) [m].
        truth: (N, K, 3) [m].
        mask: (N, K) bool; frames with fewer than two points are left out.

    Returns:
        Sum [m] and number of points.
    """
    check_shape(predicted, "N K 3", "predicted")
    mask = mask & (mask.sum(-1, keepdim=True) >= 2)
    w = mask.double().unsqueeze(-1)
    count = w.sum(1, keepdim=True).clamp_min(1)
    centroid = (predicted * w).sum(1, keepdim=True) / count
    x = (predicted - centroid) * w
    y = (truth - (truth * w).sum(1, keepdim=True) / count) * w
    scale = (x * y).sum((1, 2), keepdim=True) / x.square().sum((1, 2), keepdim=True).clamp_min(
        1e-12
    )
    return summed(distances(scale * x + centroid, truth.double()), mask)


def mean_velocity_error(
    predicted: Tensor, truth: Tensor, mask: Tensor, first: Tensor, frame_period_s: float
) -> ErrorSum:
    """Sum the error of the velocity between consecutive frames of one example.

    Args:
        predicted: (N, K, 3) [m].
        truth: (N, K, 3) [m].
        mask: (N, K) bool; both frames must count.
        first: (N,) number of the example's first frame.
        frame_period_s: Seconds between frames.

    Returns:
        Sum [m/s] and number of steps.
    """
    step = (predicted - truth)[1:] - (predicted - truth)[:-1]
    both = mask[1:] & mask[:-1] & (first[1:] == first[:-1])[:, None]
    return summed(step.norm(dim=-1) / frame_period_s, both)


def number(x: float) -> float | None:
    """Round for a report; None where there is no number."""
    return round(x, 6) if math.isfinite(x) else None


def mm(metres: float) -> float | None:
    """Give millimetres for a report; None where there is no number."""
    return number(1000 * metres)
