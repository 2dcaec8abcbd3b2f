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
        repeats: How many points tell as much as one of independent errors, about variances.
    """

    points: Tensor
    weights: Tensor
    keypoint: Tensor
    count: int
    repeats: float = 1.0


@dataclass(frozen=True)
class Mixture:
    """How detections of weight 1 err, by view and keypoint.

    Attributes:
        sigma: (V, I) standard deviation of a coordinate of a sound detection [px]; I keypoints.
        gross_rate: (V, I) share of gross errors.
        gross_scale: Their scale [px], as in `view_sets.Errors`.
    """

    sigma: Tensor
    gross_rate: Tensor
    gross_scale: float

    def errors(self, weights: Tensor, keypoint: Tensor) -> Errors:
        """Tell how detections of weights (n, V) of keypoints (n,) may err."""
        variance = self.sigma[:, keypoint].T.square() / weights
        return Errors(variance, self.gross_rate[:, keypoint].T, self.gross_scale)


@dataclass
class _Sums:
    """Sufficient statistics by view and keypoint (V, I).

    Attributes:
        square: Squared residuals in units of the present variance.
        redundancy: Their expectation.
        pair_square: Of sets of two views, both sums: sum over views and keypoints.
        pair_redundancy: The same.
        sound: Expected number of sound detections.
        seen: Number of detections.
    """

    square: Tensor
    redundancy: Tensor
    pair_square: float
    pair_redundancy: float
    sound: Tensor
    seen: Tensor
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
            weights, keypoint = sample.weights[rows], sample.keypoint[rows]
            errors = mixture.errors(weights, keypoint)
            verdict, fits[chunk] = judge(sample.points[rows], errors, rig, scene, fits[chunk])
            _add(sums, verdict, fits[chunk], weights, keypoint)
        mixture = _maximise(sums, mixture, sample.repeats)
        value = sums.log_likelihood / max(1, len(sample.points))
    return mixture, scene, value


def _fit(sample: Sample, rows: Tensor, rig: Rig, mixture: Mixture) -> Fits:
    errors = mixture.errors(sample.weights[rows], sample.keypoint[rows])
    return fit_sets(sample.points[rows], errors, rig)


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
    nothing = torch.zeros(len(rig.intrinsics), sample.count, dtype=torch.float64)
    return _Sums(nothing, nothing.clone(), 0.0, 0.0, nothing.clone(), nothing.clone(), 0.0, [])


def _add(sums: _Sums, verdict: Verdict, fits: Fits, weights: Tensor, keypoint: Tensor) -> None:
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
    there = (weights > 0).double()
    add(sums.sound, torch.where(is_used, share * members, 0.0).sum(0))
    add(sums.seen, there)
    sums.log_likelihood += float(verdict.log_likelihood.sum())
    is_gross = (share > 0.01) & (members == 0) & (there > 0) & (members.sum(-1, True) >= 2)
    lengths = square.sqrt()[is_gross]
    shares = share.expand_as(members)[is_gross]
    sums.lengths.append((lengths, shares))


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
    return Mixture(sigma, _rates(sums, repeats), _gross_scale(sums, old, sigma))


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


def _rates(sums: _Sums, repeats: float) -> Tensor:
    """Return the share of gross errors, drawn to the view's and the common one."""
    prior = _RATE_FRAMES * repeats
    gross = (sums.seen - sums.sound).clamp_min(0.0)
    common = (gross.sum() + 0.5) / (sums.seen.sum() + 10)
    of_view = (gross.sum(1) + prior * common) / (sums.seen.sum(1) + prior)
    return ((gross + prior * of_view[:, None]) / (sums.seen + prior)).clamp(*_RATES)


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
