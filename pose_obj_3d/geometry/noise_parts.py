"""The errors of detections in three parts: white, slow and constant. What averages claim then.

The error of a coordinate of a sound detection of weight 1 is, at frame t of a demonstration,

    white e(t) + slow s(t) + offset o

where e is independent in each frame, s is an autoregressive process of first order with a
correlation of exp(-1 / time_constant) from frame to frame, o is constant for a demonstration, view
and keypoint, and all three have unit variance. A detection of weight w has 1 / w of this variance.
Beside it, a share of the detections are gross errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.common.facts import DETECTION_GRID_PX

_CLAIM_RANGE = 30.0  # a claim counts as at most so many times the usual one, and as at least 1 / it


@dataclass(frozen=True)
class ClaimScale:
    """What a detector's claimed deviations are worth: a power of them, and a prior of gross errors.

    Attributes:
        usual_px: (V,) median claimed standard deviation [px].
        exponent: b. The deviation of a sound detection that claims s is `NoiseParts.sigma` times
            (s / usual_px)^b: 1 = claims are in proportion, 0 = they say nothing.
        gross_slope: By so much the logarithm of the odds of a gross error grows with log(s /
            usual_px).
    """

    usual_px: Tensor
    exponent: float
    gross_slope: float

    def relative(self, claims: Tensor) -> Tensor:
        """Return log(s / usual_px) of claims (N, V, K, 2, 2) [px^2]: (N, V, K), 0 for none."""
        return relative_claims(claims, self.usual_px)

    def weights(self, claims: Tensor) -> Tensor:
        """Return precisions (N, V, K) beside that of a detection with the usual claim."""
        return (-2 * self.exponent * self.relative(claims)).exp()


def relative_claims(claims: Tensor, usual_px: Tensor) -> Tensor:
    """Return the logarithm of claimed deviations (N, V, K) beside usual ones (V,); 0 for no claim.

    The deviation of a claimed covariance is the fourth root of its determinant: the mean of the
    axes of its ellipse, in the logarithm.
    """
    determinant = claims[..., 0, 0] * claims[..., 1, 1] - claims[..., 0, 1] * claims[..., 1, 0]
    relative = determinant.double().clamp_min(1e-12).log() / 4 - usual_px.log()[:, None]
    limit = math.log(_CLAIM_RANGE)
    return torch.where(determinant > 0, relative.clamp(-limit, limit), 0.0)


@dataclass(frozen=True)
class NoiseParts:
    """How detections err: V views, I keypoints (`Tracks.keypoint` has their numbers).

    Attributes:
        white: (V, I) standard deviation of the part that is independent in each frame [px].
        slow: (V, I) of the part that lasts for some frames [px].
        offset: (V, I) of the part that is constant for a demonstration [px].
        time_constant: Of the slow part [frames]; 0 where there is none.
        gross_rate: (V, I) share of gross errors.
        gross_scale: Median length of a gross error [px].
        claims: What the detector's own claims are worth; None where it makes none. The deviations
            and rates above are then those of a detection with the usual claim.
    """

    white: Tensor
    slow: Tensor
    offset: Tensor
    time_constant: float
    gross_rate: Tensor
    gross_scale: float
    claims: ClaimScale | None = None

    @property
    def sigma(self) -> Tensor:
        """(V, I) standard deviation of a coordinate of a sound detection of weight 1 [px]."""
        return (self.white.square() + self.slow.square() + self.offset.square()).sqrt()

    @property
    def memory(self) -> float:
        """Correlation of the slow part from one frame to the next."""
        return math.exp(-1 / self.time_constant) if self.time_constant > 0 else 0.0

    @property
    def shares(self) -> tuple[float, float, float]:
        """White, slow and constant share of the square error; the mean of views and keypoints."""
        total = self.sigma.square().sum().clamp_min(1e-12)
        white, slow, offset = (
            float(part.square().sum() / total) for part in (self.white, self.slow, self.offset)
        )
        return white, slow, offset

    @property
    def is_white(self) -> bool:
        """Whether no error lasts longer than a frame."""
        return bool((self.slow == 0).all() and (self.offset == 0).all())

    @property
    def is_plain(self) -> bool:
        """Whether there is no more to know than how large each view's and keypoint's errors are."""
        return self.is_white and self.claims is None

    def to(self, device: torch.device) -> "NoiseParts":
        """Return the parts on a device."""
        return replace(
            self,
            white=self.white.to(device),
            slow=self.slow.to(device),
            offset=self.offset.to(device),
            gross_rate=self.gross_rate.to(device),
            claims=None
            if self.claims is None
            else replace(self.claims, usual_px=self.claims.usual_px.to(device)),
        )

    def of_views(self, views: Sequence[int]) -> "NoiseParts":
        """Return the parts of some views."""
        chosen = list(views)
        return replace(
            self,
            white=self.white[chosen],
            slow=self.slow[chosen],
            offset=self.offset[chosen],
            gross_rate=self.gross_rate[chosen],
            claims=None
            if self.claims is None
            else replace(self.claims, usual_px=self.claims.usual_px[chosen]),
        )

    def precision(self, keypoint: Tensor, claims: Tensor | None) -> Tensor:
        """Return the precision of detections (N, V, K) [1/px^2], by their claims too; 0 = none.

        Args:
            keypoint: (N, K), -1 = none.
            claims: (N, V, K, 2, 2) as in `Tracks.claims`, or None.
        """
        sigma = self.of(keypoint, self.sigma)
        found = torch.where(sigma > 0, sigma.clamp_min(DETECTION_GRID_PX).pow(-2), 0.0)
        if self.claims is None or claims is None:
            return found
        return found * self.claims.weights(claims)

    def gross_rates(self, keypoint: Tensor, claims: Tensor | None) -> Tensor:
        """Return the probability that detections are gross errors (N, V, K), by their claims too.

        Arguments as in `precision`.
        """
        rate = self.of(keypoint, self.gross_rate)
        if self.claims is None or claims is None:
            return rate
        return shifted_rates(rate, self.claims.gross_slope * self.claims.relative(claims))

    def of(self, keypoint: Tensor, values: Tensor) -> Tensor:
        """Look values (V, I) up for keypoints (N, K): (N, V, K); 0 where there is none (-1)."""
        found = values[:, keypoint.clamp_min(0)].transpose(0, 1)
        return torch.where((keypoint >= 0)[:, None], found, 0.0)

    def autocorrelation(self, lags: Tensor) -> Tensor:
        """Return the correlation of errors that are lags [frames] apart, shape as lags."""
        return self.varying_autocorrelation(lags) + self.floor_share

    def varying_spectrum(self, frequency: Tensor) -> Tensor:
        """Return the power spectrum of the varying part at frequencies [radians a frame].

        In units of the whole variance: that of white noise alone is 1 everywhere.
        """
        white, slow, _ = self.shares
        spectrum = torch.full_like(frequency, white)
        if slow > 0:
            c = self.memory
            spectrum += slow * (1 - c**2) / (1 - 2 * c * torch.cos(frequency) + c**2)
        return spectrum

    def varying_autocorrelation(self, lags: Tensor) -> Tensor:
        """Return the same without the constant part, still in units of the whole variance."""
        white, slow, _ = self.shares
        lags = lags.abs().to(torch.float64)
        lasting = slow * self.memory**lags if slow > 0 else torch.zeros_like(lags)
        return torch.where(lags == 0, white, 0.0) + lasting

    def inflation(self, frames: Tensor) -> Tensor:
        """Return by what an average over frames claims too little, if errors count as independent.

        Args:
            frames: Numbers of consecutive frames n, all of the same weight.

        Returns:
            Shape as `frames`, at least 1: n times the variance of the mean of n errors, in units of
            a frame's. It is 1 for n = 1, and grows as n times `floor_share`.
        """
        n = frames.to(torch.float64).clamp_min(1)
        return self.varying_inflation(n) + self.floor_share * n

    def varying_inflation(self, frames: Tensor) -> Tensor:
        """Return the same without the constant part, which no number of frames averages out."""
        white, slow, _ = self.shares
        n, a = frames.to(torch.float64).clamp_min(1), self.memory
        # The sum of a^|t - s| over all pairs of n frames, divided by n.
        return white + slow * ((1 + a) / (1 - a) - 2 * a * (1 - a**n) / (n * (1 - a) ** 2))

    @property
    def long_run(self) -> float:
        """Frames that tell as much as one independent frame, over times longer than the slow part.

        Without the offsets. 1 for white noise.
        """
        white, slow, _ = self.shares
        a = self.memory
        varying = white + slow
        return max(1.0, (white + slow * (1 + a) / (1 - a)) / varying) if varying > 0 else 1.0

    @property
    def gross_scale_cauchy(self) -> float:
        """Scale [px] of the bivariate Cauchy distribution with gross errors' median length."""
        return self.gross_scale / math.sqrt(3)

    @property
    def floor_share(self) -> float:
        """Share of a frame's covariance that remains however many frames are averaged."""
        return self.shares[2]


def shifted_rates(rate: Tensor, shift: Tensor) -> Tensor:
    """Add to the logarithm of the odds of rates; 0 stays 0."""
    odds = rate / (1 - rate) * shift.exp()
    return odds / (1 + odds)


def pooled(parts: Sequence[NoiseParts], sizes: Sequence[float]) -> NoiseParts:
    """Return the mean of estimates from different data, by their numbers of detections.

    Args:
        parts: One or more, with the same views, keypoints and detector.
        sizes: Their numbers of detections.
    """
    share = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)

    def mean(values: Sequence[Tensor]) -> Tensor:
        return torch.einsum("n,n...->...", share, torch.stack(list(values)).double())

    def number(values: Sequence[float]) -> float:
        return float(mean([torch.tensor(value) for value in values]))

    slow = [float(part.slow.square().sum()) * n for part, n in zip(parts, sizes, strict=True)]
    lasts = sum(w * part.time_constant for w, part in zip(slow, parts, strict=True))
    claims = [part.claims for part in parts if part.claims is not None]
    return NoiseParts(
        white=mean([part.white.square() for part in parts]).sqrt(),
        slow=mean([part.slow.square() for part in parts]).sqrt(),
        offset=mean([part.offset.square() for part in parts]).sqrt(),
        time_constant=lasts / sum(slow) if sum(slow) > 0 else 0.0,
        gross_rate=mean([part.gross_rate for part in parts]),
        gross_scale=number([part.gross_scale for part in parts]),
        claims=ClaimScale(
            mean([claim.usual_px for claim in claims]),
            number([claim.exponent for claim in claims]),
            number([claim.gross_slope for claim in claims]),
        )
        if len(claims) == len(parts)
        else None,
    )


def white_noise(sigma: Tensor) -> NoiseParts:
    """Return errors that are independent in each frame, without gross ones: sigma (V, I) [px]."""
    nothing = torch.zeros_like(sigma)
    return NoiseParts(sigma, nothing, nothing.clone(), 0.0, nothing.clone(), 0.0)
