"""Which views of a point are sound: every set of views that may be, and its probability.

A detection is either sound, with a Gaussian error, or gross: then it tells next to nothing about
the point. For each set of two or more views of a point, the likelihood that exactly these are sound
is that of all detections, with the point integrated out over the space of the scene (Laplace's
method). So a set that agrees well is not better only because it is small, and no threshold decides.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig

MAX_VIEWS_FOR_ALL_SETS = 5  # with more views, only sets near the consensus are looked at
LOG_TWO_PI = math.log(2 * math.pi)
_START_STEPS = 3  # Gauss-Newton steps from the linear start
_MIN_SPACE_M = 0.05  # edge of the space that points are in, at least


@dataclass(frozen=True)
class Scene:
    """What a gross error and a point may be at all.

    Attributes:
        log_space: Logarithm of the volume that points are in [m^3].
        log_areas: (V,) logarithm of the images' areas [px^2].
    """

    log_space: float
    log_areas: Tensor


@dataclass(frozen=True)
class Errors:
    """How the detections of n points may err.

    Attributes:
        variance: (n, V) of a coordinate of a sound detection [px^2]; infinite = missing.
        gross_rate: (n, V) prior probability of a gross error.
        gross_scale: Scale of these [px]. They have the density of a bivariate Cauchy distribution,
            s / (2 pi (s^2 + |e|^2)^(3/2)), whose median length is sqrt(3) s.
    """

    variance: Tensor
    gross_rate: Tensor
    gross_scale: float

    @property
    def is_there(self) -> Tensor:
        """(n, V) whether there is a detection."""
        return self.variance.isfinite()


@dataclass(frozen=True)
class Fits:
    """Points triangulated from each of S sets of views.

    Attributes:
        xyz: (S, n, 3) [m].
        members: (S, n, V) 1 = the view is in the set.
    """

    xyz: Tensor
    members: Tensor


@dataclass(frozen=True)
class Verdict:
    """What the detections of n points say about their views.

    Attributes:
        share: (S, n) probability of each set. What is missing to 1: fewer than two views are sound.
        residual: (S, n, V, 2) of all views from the point of the set [px].
        jacobian: (S, n, V, 2, 3) [px/m].
        precision: (S, n, V) of the set's views [1/px^2], 0 of the others.
        covariance: (S, n, 3, 3) of the point of the set [m^2].
        log_likelihood: (n,) of the points' detections.
    """

    share: Tensor
    residual: Tensor
    jacobian: Tensor
    precision: Tensor
    covariance: Tensor
    log_likelihood: Tensor


def describe_scene(points: Tensor, weights: Tensor, rig: Rig) -> Scene:
    """Measure images by their principal points and the space by most points (n, V, 2)."""
    xyz = estimators.maximum_likelihood(points, weights, rig).xyz
    xyz = xyz[xyz.isfinite().all(-1)]
    tenths = torch.tensor([0.1, 0.9], dtype=xyz.dtype)
    low, high = xyz.quantile(tenths, dim=0) if len(xyz) else xyz.new_zeros(2, 3)
    space = float((2 * (high - low)).clamp_min(_MIN_SPACE_M).log().sum())
    size = (2 * rig.intrinsics[:, :2, 2].double()).clamp_min(1.0)
    return Scene(space, size.log().sum(-1))


def agreeing(points: Tensor, errors: Errors, rig: Rig) -> Estimate:
    """Find the consensus of the views of points (n, V, 2) [px]."""
    return estimators.consensus(points, 1 / errors.variance, replace(rig, sigma_px=1.0))


def fit_sets(points: Tensor, errors: Errors, rig: Rig, inliers: Tensor | None = None) -> Fits:
    """Triangulate points (n, V, 2) [px] from every set of views that may be sound.

    Args:
        points: (n, V, 2) [px].
        errors: How their detections may err.
        rig: The cameras; its `sigma_px` is not used.
        inliers: (n, V) of the views' consensus, above 0 = agrees; found here by default.
    """
    weights = 1 / errors.variance
    if inliers is None and weights.shape[1] > MAX_VIEWS_FOR_ALL_SETS:
        inliers = agreeing(points, errors, rig).inliers
    members = _candidates(weights, inliers)
    cameras = (rig.intrinsics.double(), rig.extrinsics.double())
    used = members * weights
    start = estimators.linear(points, used, *cameras)
    xyz = geometry.refine_ml(start, points, used, *cameras, iterations=_START_STEPS)
    return Fits(xyz, members)


def _candidates(weights: Tensor, inliers: Tensor | None) -> Tensor:
    """Return sets of views (S, n, V), 1 = in the set; none has a missing view.

    Up to five views these are all sets of two and more. With more views they are the consensus and
    the sets that differ from it by one view. A set that a point does not have is empty.
    """
    V = weights.shape[1]
    there = (weights > 0).double()
    if V <= MAX_VIEWS_FOR_ALL_SETS:
        chosen = [c for size in range(2, V + 1) for c in combinations(range(V), size)]
        sets = torch.zeros(len(chosen), 1, V, dtype=torch.float64)
        for row, views in enumerate(chosen):
            sets[row, 0, list(views)] = 1
        is_whole = (sets <= there).all(-1, keepdim=True)
        return torch.where(is_whole, sets, 0.0)
    assert inliers is not None
    base = (inliers > 0).double()
    toggled = torch.eye(V, dtype=torch.float64)[:, None]
    others = (base - toggled).abs() * there
    others = torch.where((toggled * there).sum(-1, keepdim=True) > 0, others, 0.0)
    sets = torch.cat([base[None], others])
    return torch.where((sets.sum(-1) >= 2)[..., None], sets, 0.0)


def judge(
    points: Tensor, errors: Errors, rig: Rig, scene: Scene, fits: Fits
) -> tuple[Verdict, Fits]:
    """Weigh the sets of views of n points against each other.

    Args:
        points: (n, V, 2) [px].
        errors: How their detections may err.
        rig: The cameras; its `sigma_px` is not used.
        scene: Of `describe_scene`.
        fits: Of `fit_sets`, or those that an earlier call has returned.

    Returns:
        The verdict, and the fits after one more step towards the maximum likelihood.
    """
    cameras = (rig.intrinsics.double(), rig.extrinsics.double())
    there, members, rate = errors.is_there.double(), fits.members, errors.gross_rate
    variance = errors.variance.clamp_max(1e12)
    precision = members / variance
    xyz = geometry.refine_ml(fits.xyz, points, precision, *cameras, iterations=1)
    predicted, J = geometry.projection_jacobian(xyz, *cameras)
    is_ahead = geometry.is_in_front(xyz, cameras[1])
    residual = points - predicted
    square = residual.square().sum(-1)
    info = torch.einsum("snvri,snv,snvrj->snij", J, precision, J)
    is_valid = (members.sum(-1) >= 2) & (is_ahead | (members == 0)).all(-1)
    is_valid &= xyz.isfinite().all(-1) & info.isfinite().all(-1).all(-1)
    # The space bounds what a set that hardly determines the point can say.
    prior = torch.eye(3, dtype=info.dtype) * math.exp(-2 / 3 * scene.log_space)
    info = torch.where(is_valid[..., None, None], info, 0.0) + prior
    sound = torch.log1p(-rate) - LOG_TWO_PI - variance.log() - 0.5 * square * precision
    scale = errors.gross_scale
    gross = rate.log() + math.log(scale) - LOG_TWO_PI - 1.5 * (square + scale**2).log()
    each = torch.where(members > 0, sound, torch.where(there > 0, gross, 0.0)).sum(-1)
    volume = 1.5 * LOG_TWO_PI - 0.5 * torch.linalg.slogdet(info).logabsdet
    together = each + volume - scene.log_space
    together = torch.where(is_valid & together.isfinite(), together, -torch.inf)
    every = torch.cat([together, none_sound(rate, there, scene)[None]])
    total = torch.logsumexp(every, 0)
    share = (together - total).exp()
    found = Verdict(share, residual, J, precision, geometry.invert_3x3(info), total)
    return found, Fits(torch.where(is_valid[..., None], xyz, fits.xyz), members)


def none_sound(rate: Tensor, there: Tensor, scene: Scene) -> Tensor:
    """Return the logarithm of the likelihood (n,) that at most one view is sound."""
    gross = torch.where(there > 0, rate, 1.0)
    odds = there * (1 - rate) / rate
    return gross.log().sum(-1) + (1 + odds.sum(-1)).log() - (there * scene.log_areas).sum(-1)
