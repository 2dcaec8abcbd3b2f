"""Find how large detections' errors are, and how many are gross, by view and keypoint. No labels.

Expectation-maximisation over which views of a point are sound (`view_sets`). Given the sets, the
variances are those of restricted maximum likelihood: the residuals of a fitted point are smaller
than the errors, by the leverage of each view, see `noise`. A gross error is never left out by a
threshold, so noise is not taken for that of the core that agrees.

Small samples: the numbers of a view and keypoint are drawn towards those of the view, and these
towards the common one, in the logarithm, by how sure they are beside how much they differ
(empirical Bayes).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.common.facts import DETECTION_GRID_PX
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_parts import shifted_rates
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import (
    Errors,
    Fits,
    Scene,
    Verdict,
    describe_scene,
    fit_sets,
    judge,
)

ROUNDS = 12
_START_QUANTILE = 0.25  # of the points' residuals: of points that have no gross error
_START_RATE = 0.1
_START_GROSS = 10.0  # scale of gross errors, in standard deviations of sound ones
_MIN_GROSS = 3.0  # the same, at least: smaller ones are noise
_RATE_FRAMES = 20.0  # frames that a prior rate of gross errors counts as
_RATES = (1e-4, 0.7)
_RATES_OF_ONE = (1e-5, 0.98)  # of a detection, by its claim
_SLOPES = (0.0, 4.0)
_SLOPE_PRIOR = 20.0  # sum of p (1 - p) x^2 that the slope 0 counts as
_STEP = 4.0  # a variance changes by this factor in a round, at most
_MIN_VIEWS = 3  # who errs shows with three views only
_MIN_REDUNDANCY = 5.0
_CHUNK = 4000


@dataclass(frozen=True)
class Sample:
    """Points to learn from.

    Attributes:
        points: (n, V, 2) [px], float64.
        weights: (n, V) how precise a detection is beside others; 0 = missing.
        keypoint: (n,) numbers of keypoints below `count`.
        count: Number of keypoints I.
        claimed: (n, V) logarithm of each detection's claimed deviation beside the usual one, on
            which the probability of a gross error may depend; 0 = no claim.
        repeats: How many points tell as much as one of independent errors, about variances.
    """

    points: Tensor
    weights: Tensor
    keypoint: Tensor
    count: int
    claimed: Tensor
    repeats: float = 1.0

    def errors(self, mixture: "Mixture", rows: Tensor) -> Errors:
        """Tell how the detections of some points may err."""
        return mixture.errors(self.weights[rows], self.keypoint[rows], self.claimed[rows])


@dataclass(frozen=True)
class Mixture:
    """How detections of weight 1 err, by view and keypoint.

    Attributes:
        sigma: (V, I) standard deviation of a coordinate of a sound detection [px]; I keypoints.
        gross_rate: (V, I) share of gross errors.
        gross_scale: Their scale [px], as in `view_sets.Errors`.
        gross_slope: By so much the logarithm of their odds grows with that of the claim.
    """

    sigma: Tensor
    gross_rate: Tensor
    gross_scale: float
    gross_slope: float = 0.0

    def errors(self, weights: Tensor, keypoint: Tensor, claimed: Tensor | None = None) -> Errors:
        """Tell how detections of weights (n, V) of keypoints (n,) may err.

        `claimed` (n, V) as in `Sample`; without it all have the usual claim.
        """
        variance = self.sigma[:, keypoint].T.square() / weights
        rate = self.gross_rate[:, keypoint].T
        if claimed is not None and self.gross_slope != 0:
            rate = shifted_rates(rate, self.gross_slope * claimed).clamp(*_RATES_OF_ONE)
        return Errors(variance, rate, self.gross_scale)


@dataclass
class _Sums:
    """Sufficient statistics by view and keypoint (V, I).

    Attributes:
        square: Squared residuals in units of the present variance.
        redundancy: Their expectation.
        pair_square: Of sets of two views, both sums: sum over views and keypoints.
        pair_redundancy: The same.
        sound: Expected number of sound detections.
        gross: Expected number of gross errors by the present rates, before looking.
        seen: Number of detections.
        slope: Gradient and curvature of the likelihood in the slope of gross errors.
    """

    square: Tensor
    redundancy: Tensor
    pair_square: float
    pair_redundancy: float
    sound: Tensor
    gross: Tensor
    seen: Tensor
    slope: Tensor
    log_likelihood: float
    lengths: list[tuple[Tensor, Tensor]]


def fit_mixture(
    sample: Sample, rig: Rig, start: Mixture | None = None, rounds: int = ROUNDS
) -> tuple[Mixture, Scene, float]:
    """Fit the mixture of sound and gross errors to points.

    Returns:
        The mixture, the scene that it was fitted in, and the mean logarithm of the likelihood of a
        point's detections.
    """
    scene = describe_scene(sample.points, sample.weights, rig)
    mixture = _start(sample, rig) if start is None else start
    chunks = torch.split(torch.arange(len(sample.points)), _CHUNK)
    fits: list[Fits] = []
    value = -math.inf
    for number in range(rounds):
        sums = _empty(sample, rig)
        if number in (0, rounds // 2):  # again, since the noise is better known
            fits = [_fit(sample, rows, rig, mixture) for rows in chunks]
        for chunk, rows in enumerate(chunks):
            errors = sample.errors(mixture, rows)
            verdict, fits[chunk] = judge(sample.points[rows], errors, rig, scene, fits[chunk])
            _add(sums, verdict, fits[chunk], errors, sample.keypoint[rows])
            _add_rates(sums, verdict, fits[chunk], errors, sample, rows)
        mixture = _maximise(sums, mixture, sample.repeats)
        value = sums.log_likelihood / max(1, len(sample.points))
    return mixture, scene, value


def _fit(sample: Sample, rows: Tensor, rig: Rig, mixture: Mixture) -> Fits:
    return fit_sets(sample.points[rows], sample.errors(mixture, rows), rig)


def _start(sample: Sample, rig: Rig) -> Mixture:
    """Start with one noise for all, from the smaller residuals of all views together."""
    unit = Rig(rig.intrinsics, rig.extrinsics, 1.0, rig.view_ids)
    xyz = estimators.maximum_likelihood(sample.points, sample.weights, unit).xyz
    predicted, _ = geometry.project(xyz, rig.intrinsics.double(), rig.extrinsics.double())
    square = (sample.points - predicted).square().sum(-1) * sample.weights
    square = torch.where(sample.weights > 0, square, 0.0).sum(-1)
    freedom = (2 * geometry.count_views(sample.weights) - 3).clamp_min(1)
    ratio = (square / freedom)[square.isfinite()]
    sigma = math.sqrt(float(ratio.quantile(_START_QUANTILE))) if len(ratio) else 1.0
    shape = (len(rig.intrinsics), sample.count)
    sigmas = torch.full(shape, max(sigma, DETECTION_GRID_PX), dtype=torch.float64)
    return Mixture(sigmas, torch.full_like(sigmas, _START_RATE), _START_GROSS * float(sigmas[0, 0]))


def _empty(sample: Sample, rig: Rig) -> _Sums:
    shape = (len(rig.intrinsics), sample.count)
    square, redundancy, sound, gross, seen = torch.zeros(5, *shape, dtype=torch.float64)
    slope = torch.zeros(2, dtype=torch.float64)
    return _Sums(square, redundancy, 0.0, 0.0, sound, gross, seen, slope, 0.0, [])


def _add(sums: _Sums, verdict: Verdict, fits: Fits, errors: Errors, keypoint: Tensor) -> None:
    share, members = verdict.share[..., None], fits.members
    square = verdict.residual.square().sum(-1)
    leverage = torch.einsum(
        "snvri,snij,snvrj->snv", verdict.jacobian, verdict.covariance, verdict.jacobian
    )
    redundancy = (2 - leverage * verdict.precision).clamp(0.0, 2.0) * members
    is_used = (share > 0) & (members > 0)
    normal = torch.where(is_used, share * square * verdict.precision, 0.0)
    redundancy = torch.where(is_used, share * redundancy, 0.0)
    several = (members.sum(-1, keepdim=True) >= _MIN_VIEWS).double()

    def add(total: Tensor, values: Tensor) -> None:
        total.index_add_(1, keypoint, values.T)

    add(sums.square, (normal * several).sum(0))
    add(sums.redundancy, (redundancy * several).sum(0))
    sums.pair_square += float((normal * (1 - several)).sum())
    sums.pair_redundancy += float((redundancy * (1 - several)).sum())
    there = errors.is_there
    sums.log_likelihood += float(verdict.log_likelihood.sum())
    is_gross = (share > 0.01) & (members == 0) & there & (members.sum(-1, True) >= 2)
    lengths = square.sqrt()[is_gross]
    shares = share.expand_as(members)[is_gross]
    sums.lengths.append((lengths, shares))


def _add_rates(
    sums: _Sums, verdict: Verdict, fits: Fits, errors: Errors, sample: Sample, rows: Tensor
) -> None:
    share, there = verdict.share[..., None], errors.is_there
    sound = torch.where(share > 0, share * fits.members, 0.0).sum(0)
    prior = torch.where(there, errors.gross_rate, 0.0)
    keypoint, x = sample.keypoint[rows], sample.claimed[rows]
    for total, values in ((sums.sound, sound), (sums.gross, prior), (sums.seen, there.double())):
        total.index_add_(1, keypoint, values.T)
    found = torch.where(there, 1 - sound, 0.0)
    sums.slope[0] += (x * (found - prior)).sum()
    sums.slope[1] += (x.square() * prior * (1 - prior)).sum()


def _maximise(sums: _Sums, old: Mixture, repeats: float) -> Mixture:
    redundancy = sums.redundancy
    total = float(sums.square.sum()) + sums.pair_square
    expected = float(redundancy.sum()) + sums.pair_redundancy
    if expected <= 0:
        return old
    common = min(max(total / expected, 1 / _STEP), _STEP)
    is_own = redundancy >= _MIN_REDUNDANCY
    factor = sums.square / redundancy.clamp_min(1e-9)
    variance = old.sigma.square() * torch.where(is_own, factor.clamp(1 / _STEP, _STEP), common)
    freedom = torch.where(is_own, redundancy / repeats, 0.0)
    level = variance.mean() if not is_own.any() else _mean_log(variance, freedom).exp()
    shrunk = _shrunk(variance.log(), freedom, float(level.log()))
    sigma = shrunk.exp().sqrt().clamp_min(DETECTION_GRID_PX)
    rates = _rates(sums, old, repeats)
    return Mixture(sigma, rates, _gross_scale(sums, old, sigma), _slope(sums, old))


def _mean_log(variance: Tensor, freedom: Tensor) -> Tensor:
    return (variance.log() * freedom).sum() / freedom.sum().clamp_min(1e-9)


def _shrunk(value: Tensor, freedom: Tensor, common: float) -> Tensor:
    """Draw logarithms of variances (V, I) to the views', and these to the common one.

    The logarithm of a variance of n degrees of freedom has a variance of 2 / n.
    """
    error = 2 / freedom.clamp_min(1e-9)
    of_view = (value * freedom).sum(1) / freedom.sum(1).clamp_min(1e-9)
    within = _spread(value - of_view[:, None], error, freedom)
    # A view's mean is as sure as its keypoints' differences and errors let it be.
    weight = torch.where(freedom > 0, 1 / (error + within), 0.0)
    of_view = (value * weight).sum(1) / weight.sum(1).clamp_min(1e-9)
    view_error = 1 / weight.sum(1).clamp_min(1e-9)
    between = _spread(of_view - common, view_error, weight.sum(1))
    of_view = common + (of_view - common) * between / (between + view_error)
    return of_view[:, None] + (value - of_view[:, None]) * within / (within + error)


def _spread(off: Tensor, error: Tensor, weight: Tensor) -> float:
    """Return the variance of true differences, given observed ones and their errors' variance."""
    known = weight > 0
    if not known.any():
        return 0.0
    precision = torch.where(known, 1 / (error + 0.05), 0.0)
    excess = torch.where(known, off.square() - error, 0.0)
    return max(1e-6, float((precision.square() * excess).sum() / precision.square().sum()))


def _rates(sums: _Sums, old: Mixture, repeats: float) -> Tensor:
    """Return the share of gross errors, drawn to the view's and the common one.

    Where it depends on claims, its odds change by the ratio of what was found to what the present
    rates expect.
    """
    prior = _RATE_FRAMES * repeats
    found = (sums.seen - sums.sound).clamp_min(0.0)
    factor = (found.sum() + 0.5) / (sums.gross.sum() + 0.5)
    of_view = _changed(old.gross_rate.mean(), factor)
    found_of_view, expected = found.sum(1) + prior * of_view, sums.gross.sum(1)
    mean = (old.gross_rate * sums.seen).sum(1) / sums.seen.sum(1).clamp_min(1)
    of_views = _changed(mean, found_of_view / (expected + prior * mean).clamp_min(1e-9))
    expected = sums.gross + prior * old.gross_rate
    changed = _changed(old.gross_rate, (found + prior * of_views[:, None]) / expected)
    return changed.clamp(*_RATES)


def _changed(rate: Tensor, factor: Tensor) -> Tensor:
    odds = rate / (1 - rate) * factor
    return odds / (1 + odds)


def _slope(sums: _Sums, old: Mixture) -> float:
    """Return the slope of gross errors after a step of Newton's method, drawn to 0."""
    gradient, curvature = float(sums.slope[0]), float(sums.slope[1])
    step = (gradient - _SLOPE_PRIOR * old.gross_slope) / (curvature + _SLOPE_PRIOR)
    return min(max(old.gross_slope + max(-1.0, min(1.0, step)), _SLOPES[0]), _SLOPES[1])


def _gross_scale(sums: _Sums, old: Mixture, sigma: Tensor) -> float:
    lengths = torch.cat([x for x, _ in sums.lengths])
    shares = torch.cat([x for _, x in sums.lengths])
    smallest = _MIN_GROSS * float(sigma.square().mean().sqrt())
    if float(shares.sum()) < _RATE_FRAMES:
        return max(old.gross_scale, smallest)
    order = lengths.argsort()
    below = shares[order].cumsum(0)
    middle = int((below < below[-1] / 2).sum())
    return max(float(lengths[order][min(middle, len(lengths) - 1)]) / math.sqrt(3), smallest)
