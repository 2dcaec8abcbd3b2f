"""Estimate the detectors' noise from how far the views of a point disagree. Reads no 3D truth.

The residuals of a triangulation are smaller than the errors, since the point follows them, and a
view that pulls the point harder shows less of its own error. With the stacked Jacobian J, the
views' precisions P and the hat matrix H = J (J^T P J)^-1 J^T P, the expected squared residual of
view v is sigma_v^2 / c_v times its redundancy number r_v, the trace of its block of I - H; the
numbers of a point's views add up to 2 V - 3. Iterating sigma_v^2 <- sum c_v |residual_v|^2 / sum
r_v is the restricted maximum likelihood of the variances (Foerstner, Zeitschrift fuer
Vermessungswesen 104, 1979; Koch, Parameter Estimation and Hypothesis Testing in Linear Models,
3.6). What is wrong with the calibration counts as noise, too.

Outliers: views that disagree with the consensus of the others are left out, then points whose
residuals together are beyond a quantile of their chi-squared distribution. The part of that
distribution beyond the quantile is corrected for.
"""

import math

import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.facts import DETECTION_GRID_PX
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig

MAX_POINTS = 8000  # used points, evenly spread: about 1 % precision for each of four views
MIN_REDUNDANCY = 100.0  # sum of a view's redundancy numbers below which it has no noise of its own
_ROUNDS, _STEPS = 4, 4  # choices of inliers; updates of the variances in each
_REFINEMENTS = 3  # Gauss-Newton steps from the consensus
# A view beyond this is left out; noise alone is beyond it once in 3000 times.
_OUTLIER_SIGMAS = 4.0
_START_QUANTILE = 0.1  # of the residuals: of points without outliers, if these are a fifth of all
_POINT_QUANTILE = 0.99
STATED_TOLERANCE = 0.1  # an archive's stated noise stands up to this relative difference
# Stretches of frames; each in turn is left out to see how sure an estimate is (jackknife).
GROUPS = 20
LAGS = 3  # groups after a group that may be like it
# Standard errors; Student's t with GROUPS - 1 degrees of freedom is beyond them 1 time in 800.
SIGNIFICANT = 3.5


def contradiction(uv: Tensor, weights: Tensor, rig: Rig, claimed: Tensor) -> Tensor | None:
    """Test whether detections contradict a claimed noise.

    They do where the noise of some view, or the common factor of all, is off by more than
    `STATED_TOLERANCE`, and `SIGNIFICANT` standard errors more. The errors come from leaving out one
    stretch of frames after the
    other: residuals of one frame, and of frames close in time, need not be independent.

    Args:
        uv: As in `estimate_sigma`, frames in the order of time.
        weights: As there.
        rig: As there.
        claimed: (V,) [px].

    Returns:
        (V,) the noise to use [px]: the claimed one times the common factor, or, where the views
        contradict that too, each view's own; None where the claim stands.
    """
    points, w = _points(uv, weights)
    sigma, xyz, inliers = _estimate(points, w, rig)
    ratio = (sigma / claimed).log()
    tolerance = math.log1p(STATED_TOLERANCE)
    if (ratio.abs() <= tolerance).all():
        return None
    found = []
    for left_out in torch.arange(len(points)).tensor_split(GROUPS):
        keep = torch.ones(len(points), dtype=torch.bool)
        keep[left_out] = False
        found.append(
            (_iterated(xyz[keep], points[keep], inliers[keep], rig, sigma) / claimed).log()
        )
    ratios = torch.stack(found)

    def is_beyond(value: Tensor, replicates: Tensor) -> Tensor:
        return value.abs() > tolerance + SIGNIFICANT * _jackknife_error(replicates)

    # In a mean over views the disagreement that a point spreads over them cancels: it is the surest
    # number.
    common, commons = ratio.mean(), ratios.mean(1)
    if is_beyond(ratio - common, ratios - commons[:, None]).any():
        return sigma
    if is_beyond(common, commons):
        return claimed * common.exp()
    return sigma if is_beyond(ratio, ratios).any() else None


def _jackknife_error(replicates: Tensor) -> Tensor:
    """Return the standard error of a value from its replicates (GROUPS, *), in the order of time.

    Noise that lasts longer than a group makes neighbours alike; their products, weighted as by
    Newey and West (Econometrica 55, 1987), then enlarge it.
    """
    off = replicates - replicates.mean(0)
    variance = off.square().sum(0)
    together = sum(
        2 * (1 - lag / (LAGS + 1)) * (off[lag:] * off[:-lag]).sum(0) for lag in range(1, LAGS + 1)
    )
    error: Tensor = ((variance + together).maximum(variance) * (GROUPS - 1) / GROUPS).sqrt()
    return error


def estimate_sigma(uv: Tensor, weights: Tensor, rig: Rig) -> Tensor:
    """Estimate each view's noise.

    Args:
        uv: (N, V, K, 2) detected [px].
        weights: (N, V, K) how precise a detection is beside others of its view (a confidence); 0 =
            missing.
        rig: The cameras; its `sigma_px` is not used.

    Returns:
        (V,) standard deviation of a coordinate of a detection of weight 1 [px], float64. With two
        views it is the same for both: who errs is not to be seen from the residuals of a pair.

    Raises:
        DataError: No point is seen by two views.
    """
    return _estimate(*_points(uv, weights), rig)[0]


def _estimate(points: Tensor, w: Tensor, rig: Rig) -> tuple[Tensor, Tensor, Tensor]:
    """Return sigma (V,), consensus points (n, 3), and weights of views (n, V), 0 = outlier."""
    sigma = torch.full((w.shape[1],), _start(points, w, rig), dtype=torch.float64)
    for _ in range(_ROUNDS):
        reference = float(sigma.median())
        scaled = Rig(rig.intrinsics, rig.extrinsics, reference, rig.view_ids)
        found = estimators.consensus(
            points, w * (reference / sigma).square(), scaled, _OUTLIER_SIGMAS
        )
        assert found.inliers is not None
        inliers = torch.where(found.inliers > 0, w, 0.0)
        sigma = _iterated(found.xyz, points, inliers, rig, sigma)
    return sigma, found.xyz, inliers


def _iterated(xyz: Tensor, points: Tensor, inliers: Tensor, rig: Rig, sigma: Tensor) -> Tensor:
    for _ in range(_STEPS):
        sigma = _update(xyz, points, inliers, rig, sigma).clamp_min(DETECTION_GRID_PX)
    return sigma


def _points(uv: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Choose points of two or more views, of three or more if there are enough.

    Returns:
        Points (n, V, 2) [px] and weights (n, V), float64.
    """
    w = weights.transpose(1, 2).flatten(0, 1).double()  # (N * K, V)
    count = geometry.count_views(w)
    if not (count >= 2).any():
        raise DataError(
            "no keypoint is seen by two views in any frame, so neither noise nor 3D can be found; "
            "check the views' points and confidence"
        )
    several = count >= 3
    rows = (several if int(several.sum()) >= MAX_POINTS // 4 else count >= 2).nonzero().squeeze(-1)
    if len(rows) > MAX_POINTS:
        rows = rows[
            torch.linspace(0, len(rows) - 1, MAX_POINTS, dtype=torch.float64).round().long()
        ]
    return uv.transpose(1, 2).flatten(0, 1)[rows].double(), w[rows]


def _start(points: Tensor, weights: Tensor, rig: Rig) -> float:
    """Guess a noise common to all views [px] from the smallest residuals."""
    unit = Rig(rig.intrinsics, rig.extrinsics, 1.0, rig.view_ids)
    xyz = estimators.maximum_likelihood(points, weights, unit).xyz
    residual, _ = _residuals(xyz, points, weights, unit)
    square = (residual.square().sum(-1) * weights).sum(-1)
    freedom = (2 * geometry.count_views(weights) - 3).double()
    ratio = square / _chi2_quantile(freedom, _START_QUANTILE)
    return max(
        math.sqrt(float(ratio[ratio.isfinite()].quantile(_START_QUANTILE))), DETECTION_GRID_PX
    )


def _update(start: Tensor, points: Tensor, weights: Tensor, rig: Rig, sigma: Tensor) -> Tensor:
    """Do one step of the estimation of variance components: sigma (V,) -> (V,) [px].

    `start` (n, 3) are points near those of maximum likelihood.
    """
    precision = weights / sigma.square()
    cameras = rig.intrinsics.double(), rig.extrinsics.double()
    xyz = geometry.refine_ml(start, points, precision, *cameras, iterations=_REFINEMENTS)
    residual, J = _residuals(xyz, points, precision, rig)
    square = residual.square().sum(-1) * precision  # (n, V)
    covariance = geometry.invert_3x3(torch.einsum("nvri,nv,nvrj->nij", J, precision, J))
    leverage = torch.einsum("nvri,nij,nvrj->nv", J, covariance, J) * precision
    redundancy = (2.0 - leverage).clamp_min(0.0) * (weights > 0)
    freedom = (2 * geometry.count_views(weights) - 3).double()
    limit = _chi2_quantile(freedom, _POINT_QUANTILE)
    is_used = (square.sum(-1) <= limit) & (freedom > 0) & redundancy.isfinite().all(-1)
    # E[x | x < q] / E[x] of a chi-squared x with k degrees of freedom is F_(k+2)(q) / F_k(q).
    kept = (_chi2_cdf(freedom + 2, limit) / _chi2_cdf(freedom, limit))[is_used]
    expected = redundancy[is_used] * kept[:, None]
    factor = square[is_used].sum(0) / expected.sum(0).clamp_min(1e-9)
    if not is_used.any():
        return sigma
    common = (square[is_used].sum() / expected.sum().clamp_min(1e-9)).clamp_min(1e-12)
    several = is_used & (freedom > 1)  # who errs shows with three views only
    is_own = (redundancy * several[:, None]).sum(0) >= MIN_REDUNDANCY
    return sigma * torch.where(is_own, factor.clamp_min(1e-12), common).sqrt()


def _residuals(xyz: Tensor, points: Tensor, weights: Tensor, rig: Rig) -> tuple[Tensor, Tensor]:
    """Return residuals (n, V, 2) [px], 0 where unused, and Jacobians (n, V, 2, 3) [px/m]."""
    cameras = rig.intrinsics.double(), rig.extrinsics.double()
    predicted, J = geometry.projection_jacobian(xyz, *cameras)
    return torch.where((weights > 0)[..., None], points - predicted, 0.0), J


def _chi2_cdf(freedom: Tensor, x: Tensor) -> Tensor:
    share: Tensor = torch.special.gammainc(freedom / 2, x / 2)
    return share


def _chi2_quantile(freedom: Tensor, probability: float) -> Tensor:
    """Invert the chi-squared distribution by bisection; infinite without freedom."""
    kinds = freedom.unique()  # type: ignore[no-untyped-call]
    low, high = torch.zeros_like(kinds), kinds.clamp_min(1.0) * 20 + 50
    for _ in range(60):
        middle = (low + high) / 2
        is_below = _chi2_cdf(kinds.clamp_min(1.0), middle) < probability
        low, high = torch.where(is_below, middle, low), torch.where(is_below, high, middle)
    quantiles = torch.where(kinds > 0, high, torch.inf)
    return quantiles[torch.searchsorted(kinds, freedom)]
