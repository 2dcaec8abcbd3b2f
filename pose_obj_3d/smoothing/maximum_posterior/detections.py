"""What detections say about a point: a likelihood with gross errors, and its quadratic form.

A detection with residual r [px] of a point is sound with probability 1 - g, else it is a gross
error. A sound one has a Gaussian mixture of a few scales around its claimed deviation, since no
claim is exact; a gross error has a wide Gaussian, or is anywhere in the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.geometry.multi_view import MIN_DEPTH_M

LADDER = (0.5, 1.0, 2.0)
"""Scales of the error of a sound detection, in units of the claimed deviation."""
WIDE = 0.1  # standard deviation of a gross error [image widths]
ANYWHERE = 0.2  # share of gross errors that may be anywhere in the image
MIN_WIDE = 6.0  # a gross error is at least so many claimed deviations wide
_ENTRIES = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of a symmetric 3 x 3 matrix


@dataclass(frozen=True)
class Detections:
    """Detections of B tracks of T frames in V views, and the cameras.

    Attributes:
        uv: (V, 2, T, B) [px].
        whitening: (V, 2, 2, T, B) matrix that turns a sound detection's error into one of unit
            covariance [1/px], or None where each claims the same deviation along all directions.
        sigma: (V, T, B) claimed standard deviation [px], the geometric mean of the axes.
        gross: (V, T, B) probability of a gross error, before the detections are compared.
        is_used: (V, T, B) False where there is no detection.
        projection: (V, 3, 4) camera matrices.
        width: (V,) of the images [px].
        shares: (L,) of the scales of `LADDER`.
    """

    uv: Tensor
    whitening: Tensor | None
    sigma: Tensor
    gross: Tensor
    is_used: Tensor
    projection: Tensor
    width: Tensor
    shares: Tensor

    def without_each(self, views: Sequence[int]) -> "Detections":
        """Repeat the tracks along the last axis, each time without one of the views."""
        V, T, B = self.is_used.shape
        n = len(views)
        others = torch.ones(V, n, dtype=torch.bool, device=self.uv.device)
        others[list(views), list(range(n))] = False
        used = self.is_used[:, :, None] & others[:, None, :, None]
        return replace(
            self,
            uv=self.uv.repeat(1, 1, 1, n),
            whitening=None if self.whitening is None else self.whitening.repeat(1, 1, 1, 1, n),
            sigma=self.sigma.repeat(1, 1, n),
            gross=self.gross.repeat(1, 1, n),
            is_used=used.reshape(V, T, n * B),
        )


@dataclass(frozen=True)
class Sight:
    """Detections seen from a track.

    Attributes:
        residual: (V, 2, T, B) detection minus projection, whitened where detections are.
        jacobian: (V, 2, 3, T, B) of the projection, likewise.
        square: (V, T, B) squared residual in claimed variances, with what the track's own
            covariance adds.
        spread: (V, T, B) what it adds for each axis.
    """

    residual: Tensor
    jacobian: Tensor
    square: Tensor
    spread: Tensor


def look(found: Detections, x: Tensor, covariance: Tensor | None) -> Sight:
    """Project tracks x (3, T, B) with covariance (3, 3, T, B), if any, into the views."""
    V, T, B = found.sigma.shape
    P = found.projection
    seen = (P[:, :, :3].reshape(-1, 3) @ x.reshape(3, -1)).reshape(V, 3, T, B)
    seen = seen + P[:, :, 3, None, None]
    depth = seen[:, 2:].clamp_min(MIN_DEPTH_M)
    uv = seen[:, :2] / depth
    rows = P[:, :2, :3, None, None] - uv[:, :, None] * P[:, 2:, :3, None, None]
    residual, jacobian = found.uv - uv, rows / depth[:, :, None]
    if found.whitening is None:
        residual = residual / found.sigma[:, None]
        jacobian = jacobian / found.sigma[:, None, None]
    else:
        residual = torch.einsum("vrstb,vstb->vrtb", found.whitening, residual)
        jacobian = torch.einsum("vrstb,vsitb->vritb", found.whitening, jacobian)
    spread = torch.zeros_like(found.sigma)
    if covariance is not None:
        for i, j in _ENTRIES:
            product = (jacobian[:, :, i] * jacobian[:, :, j]).sum(1)
            spread.addcmul_(product, covariance[i, j], value=0.5 if i == j else 1.0)
    square = residual.square().sum(1)
    return Sight(residual, jacobian, square + 2 * spread, spread)


@dataclass(frozen=True)
class Verdict:
    """How likely each detection is sound, and what weight it gets.

    Attributes:
        weight: (V, T, B) in claimed precisions, 0 where unused.
        sound: (V, T, B) probability that it is sound.
        ladder: (L, V, T, B) probabilities of the scales, if it is sound.
    """

    weight: Tensor
    sound: Tensor
    ladder: Tensor


def judge(found: Detections, square: Tensor, widening: float = 1.0) -> Verdict:
    """Weigh detections by their squared residuals (V, T, B) [claimed variances].

    Args:
        found: The detections.
        square: Their squared residuals.
        widening: Factor on the claimed deviations.
    """
    variances = _variances(square, widening)
    scales = _log_scales(found, square, variances)
    sound = torch.logsumexp(scales, 0)
    ladder = (scales - sound).exp()
    log_wide, log_gross, wide = _log_gross(found, square)
    odds = sound - log_gross + torch.log1p(-found.gross) - found.gross.log()
    probability = torch.sigmoid(odds)
    weight = probability * (ladder / variances).sum(0)
    weight = weight + (1 - probability) * (log_wide - log_gross).exp() / wide
    return Verdict(weight * found.is_used, probability, ladder)


def log_likelihood(found: Detections, sight: Sight) -> Tensor:
    """Return the log likelihood (V, T, B) of detections that had no part in the track.

    Their variance has the track's own along with it; `sight` must have been made with it.
    """
    square = sight.square - 2 * sight.spread
    variances = _variances(square, 1.0) + sight.spread
    sound = torch.logsumexp(_log_scales(found, square, variances), 0)
    _, log_gross, _ = _log_gross(found, square, sight.spread)
    return torch.logaddexp(sound + torch.log1p(-found.gross), log_gross + found.gross.log())


def information(sight: Sight, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sum what the views say: information (3, 3, T, B), and that times the step (3, T, B)."""
    T, B = weight.shape[1:]
    info = weight.new_empty(3, 3, T, B)
    weighted = sight.jacobian * weight[:, None, None]
    for i, j in _ENTRIES:
        info[i, j] = info[j, i] = (weighted[:, :, i] * sight.jacobian[:, :, j]).sum((0, 1))
    return info, (weighted * sight.residual[:, :, None]).sum((0, 1))


def _variances(square: Tensor, widening: float) -> Tensor:
    return (torch.tensor(LADDER).to(square) * widening).square()[:, None, None, None]


def _log_scales(found: Detections, square: Tensor, variances: Tensor) -> Tensor:
    """Return the logarithm of share times density [claimed variances] of each scale."""
    shares = found.shares.log()[:, None, None, None]
    return shares - square / (2 * variances) - variances.log()


def _log_gross(
    found: Detections, square: Tensor, spread: Tensor | float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log densities of wide and of all gross errors, and the wide ones' variance.

    All in units of the claimed deviations, and without the factor 1 / (2 pi) of a Gaussian.
    """
    width = found.width[:, None, None] / found.sigma
    wide = (WIDE * width).clamp_min(MIN_WIDE).square() + spread
    log_wide = math.log(1 - ANYWHERE) - square / (2 * wide) - wide.log()
    anywhere = math.log(ANYWHERE * 2 * math.pi) - 2 * width.log()
    return log_wide, torch.logaddexp(log_wide, anywhere), wide
