"""Whether claimed covariances are true, by the detections of left-out cameras. Reads no truth.

A detection of a left-out camera should be where the other cameras predict it, within what the
prediction claims, seen by that camera, and the camera's own noise. This is the one check of
covariances that needs no truth. Where they claim too little, as they do with errors that no model
of the noise knows (a poor calibration, points that cameras take for different places), they are
multiplied by what is missing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.tracks.types import Tracks

PERCENTS = (68, 95)
_FACTORS = (0.5, 1e4)  # on covariances: smallest, largest
_ROUNDS = 10
_TINY = 1e-9
_MIN_SCORED = 30  # fewer detections say nothing of how wide regions must be
_BLOCKS = 10  # stretches of time; odd ones are checked by factors of the even ones, and vice versa


@dataclass(frozen=True)
class Held:
    """What the regions of a method's predictions hold of left-out detections.

    Attributes:
        percent_68: Share of detections, without gross errors, inside their regions of 68 %
            probability [%], as the method claims them.
        percent_95: The same for 95 %.
        factor: By so much the method's covariances are multiplied.
        widened_68: As `percent_68`, with a factor from other stretches of time.
        widened_95: The same for 95 %.
        count: Number of detections that are no gross errors.
    """

    percent_68: float
    percent_95: float
    factor: float
    widened_68: float
    widened_95: float
    count: int


@dataclass(frozen=True)
class Missed:
    """How n left-out detections miss their predictions.

    Attributes:
        square: (n,) squared distance in units of the predicted variance: chi-squared with two
            degrees of freedom, if all is true.
        off: (n,) distance [px].
        gross: (n,) probability of a gross error.
        scale: Scale of gross errors [px].
        block: (n,) stretch of time.
    """

    square: Tensor
    off: Tensor
    gross: Tensor
    scale: float
    block: Tensor

    def soundness(self, factor: float) -> Tensor:
        """Return the probability (n,) of being no gross error, for variances times a factor."""
        if self.scale <= 0:
            return torch.ones_like(self.square)
        square = self.off.square() + _TINY
        variance = factor * square / (self.square + _TINY)
        sound = (1 - self.gross) * (-self.square / (2 * factor)).exp() / variance
        gross = self.gross * self.scale / (square + self.scale**2).pow(1.5)
        return sound / (sound + gross).clamp_min(1e-300)

    def share_inside(self, percent: float, factor: float, soundness: Tensor) -> float:
        """Return the share of the sound ones inside the region of a probability [%]."""
        is_inside = self.square < factor * _limit(percent)
        return float((soundness * is_inside).sum() / soundness.sum().clamp_min(1e-9))

    def of(self, chosen: Tensor) -> "Missed":
        """Return some of them (n,) bool."""
        return Missed(
            self.square[chosen],
            self.off[chosen],
            self.gross[chosen],
            self.scale,
            self.block[chosen],
        )


def missed(deviation: Tensor, off: Tensor, tracks: Tracks, noise: NoiseParts | None) -> Missed:
    """Gather the left-out detections that are scored.

    Args:
        deviation: (N', V, K) distance in standard deviations of the prediction; NaN = not scored.
        off: (N', V, K) the same [px].
        tracks: The data, of which the first N' frames are scored.
        noise: How detections err; None: no gross errors are known.
    """
    scored = deviation.isfinite() & off.isfinite()
    n = len(deviation)
    gross = torch.zeros_like(deviation, dtype=torch.float64)
    if noise is not None:
        claims = None if tracks.claims is None else tracks.claims[:n]
        gross = noise.gross_rates(tracks.keypoint[:n], claims).double()
    block = (torch.arange(n) * _BLOCKS // max(n, 1))[:, None, None].expand_as(deviation)
    return Missed(
        deviation[scored].double().square(),
        off[scored].double(),
        gross[scored],
        0.0 if noise is None else noise.gross_scale_cauchy,
        block[scored],
    )


def factor_of(found: Missed) -> float:
    """Return the factor on variances with which 68 % and 95 % regions hold what they should.

    Of the detections that are no gross errors; the geometric mean of what the two ask for, since
    errors have heavier tails than a Gaussian. 1 where too few detections are scored.
    """
    if len(found.square) < _MIN_SCORED:
        return 1.0
    ordered, order = found.square.sort()
    factor = 1.0
    for _ in range(_ROUNDS):
        below = found.soundness(factor)[order].cumsum(0)
        logs = []
        for percent in PERCENTS:
            at = int((below < percent / 100 * below[-1]).sum())
            square = float(ordered[min(at, len(ordered) - 1)])
            logs.append(math.log(max(square, 1e-12) / _limit(percent)))
        factor = min(max(math.exp(sum(logs) / len(logs)), _FACTORS[0]), _FACTORS[1])
    return factor


def _limit(percent: float) -> float:
    """Return the squared distance within which a Gaussian in two dimensions has a share [%]."""
    return -2 * math.log(1 - percent / 100)


def held(found: Missed) -> Held | None:
    """Say what the predicted regions hold; None where too few detections are scored."""
    if len(found.square) < _MIN_SCORED:
        return None
    factor = factor_of(found)
    soundness = found.soundness(factor)
    factors = torch.zeros_like(found.square)
    for half in (0, 1):
        own = found.block % 2 == half
        factors[own] = factor_of(found.of(~own))
    other = replace(found, square=found.square / factors)
    plain, wider = (
        [round(100 * x.share_inside(p, 1.0, soundness), 1) for p in PERCENTS]
        for x in (found, other)
    )
    return Held(plain[0], plain[1], factor, wider[0], wider[1], round(float(soundness.sum())))


def widened(estimate: Estimate, factor: float) -> Estimate:
    """Multiply the covariances of an estimate."""
    return replace(estimate, covariance=estimate.covariance * factor)


def describe(found: dict[str, Held], names: Sequence[str]) -> list[str]:
    """Say in words what the covariances of the kept methods hold, one line each."""
    return [
        f"covariances of {name}: of {x.count} sound detections of left-out cameras"
        f" {x.percent_68:.0f} and {x.percent_95:.0f} % lay inside the predicted regions of 68 and"
        f" 95 %; covariances are multiplied by {x.factor:.2g}, with which the regions hold"
        f" {x.widened_68:.0f} and {x.widened_95:.0f} %"
        for name, x in found.items()
        if name in names
    ]
