"""Single-frame estimators of a point from its views: linear, maximum likelihood, robust, consensus.

Shapes: `*` is any batch (frames, keypoints, view subsets), V views. `uv` (*, V, 2) [px] and weights
(*, V) broadcast against each other, so that `view_subsets` evaluates many subsets at once. A weight
is the precision of a view in units of 1 / rig.sigma_px^2; 0 means unused. All work is done in
float64.
"""

from bisect import bisect
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig

# Residual, in noise standard deviations, where a view starts to count as an outlier.
ROBUST_SIGMAS = 3.5
# A third view agrees with a pair within this many standard deviations of its prediction.
GATE_SIGMAS = 4.0
_CONSENSUS_STEPS = 4
_CHUNK = 32768  # (point, pair) candidates at once; bounds the memory
_ALL_PAIRS_VIEWS = 8  # with more views a consensus starts from fewer pairs: those so many apart,
_SHIFTS = (1, 3, 6)
_ENOUGH_PAIRS = 8  # if the point is seen by so many of these
# Many views need no search where, without the worst of them, so large a share of them agrees.
_CLEAR_SHARE, _CLEAR_ROUNDS, _CLEAR_STEPS = 2 / 3, 6, 3


# Tails of errors: 1 / degrees of freedom of a Student t distribution in space (0: Gaussian) -> the
# squared distance, in standard deviations of its covariance, within which 68 % and 95 % lie.
TAILS = {
    0.0: (3.505882, 7.814728),
    1 / 30: (3.412166, 8.182376),
    1 / 15: (3.304957, 8.547193),
    1 / 10: (3.183168, 8.899836),
    1 / 7: (3.003200, 9.314639),
    1 / 5: (2.717601, 9.737012),
    1 / 4: (2.419240, 9.887073),
}


def region_edges(tail: float) -> tuple[float, float]:
    """Return the squared distances of the edges of the regions of 68 % and 95 %.

    Args:
        tail: As of `Estimate`; those between the ones of `TAILS` are interpolated.
    """
    tails = sorted(TAILS)
    after = min(max(bisect(tails, tail), 1), len(tails) - 1)
    low, high = tails[after - 1], tails[after]
    share = min(max((tail - low) / (high - low), 0.0), 1.0)
    small, large = (a + share * (b - a) for a, b in zip(TAILS[low], TAILS[high], strict=True))
    return small, large


@dataclass(frozen=True)
class Estimate:
    """Points with their uncertainty.

    Attributes:
        xyz: (*, 3) world [m]; NaN where the measurements do not determine the point.
        covariance: (*, 3, 3) [m^2]; NaN there.
        inliers: (*, V) weights that the estimate has used, between 0 and the given ones; None where
            the method has no views.
        tail: How heavy the tails of the errors are, with this covariance: 1 / degrees of freedom of
            a Student t distribution, 0 for a Gaussian (`region_edges`).
    """

    xyz: Tensor
    covariance: Tensor
    inliers: Tensor | None = None
    tail: float = 0.0

    @property
    def info(self) -> Tensor:
        """Return the inverse covariance (*, 3, 3) [1/m^2], 0 where the point is unknown."""
        is_known = self.covariance.isfinite().all(-1).all(-1)[..., None, None]
        eye = torch.eye(3, dtype=self.covariance.dtype, device=self.covariance.device)
        return torch.where(
            is_known, geometry.invert_3x3(torch.where(is_known, self.covariance, eye)), 0.0
        )

    def filled(self, xyz: Tensor) -> Tensor:
        """Return the points, and those of `xyz` (*, 3) where they are unknown."""
        return torch.where(
            self.xyz.isfinite().all(-1, keepdim=True), self.xyz, xyz.to(self.xyz.dtype)
        )


def view_subsets(num_views: int, size: int) -> Tensor:
    """Return 0/1 weights (S, V) of all S subsets of `size` views.

    Reshaped to (S, 1, ..., V) and multiplied by weights (*, V), they select the subsets.
    """
    if not 2 <= size <= num_views:
        raise ConfigError(
            f"subsets of {size} of {num_views} views asked for; allowed: 2 to {num_views}"
        )
    chosen = torch.tensor(list(combinations(range(num_views), size)))
    return torch.zeros(len(chosen), num_views, dtype=torch.float64).scatter(1, chosen, 1.0)


def dlt(uv: Tensor, weights: Tensor, rig: Rig) -> Estimate:
    """Triangulate linearly (Hartley, Zisserman 12.2); the covariance is propagated to first order.

    The algebraic residual of a view is its reprojection error in normalised coordinates times the
    depth, so views far away weigh more than they should; the covariance says by how much this
    costs.
    """
    uv, weights, K, E = _prepare(uv, weights, rig)
    xyz = geometry.triangulate_dlt(uv, weights, K, E)
    _, depth = geometry.project(xyz, K, E)
    focal = torch.stack([K[:, 0, 0], K[:, 1, 1]], -1)
    _, J = geometry.projection_jacobian(xyz, K, E)
    scale = (weights * depth).unsqueeze(
        -1
    ) / focal  # (*, V, 2): pixels to the rows that DLT minimises
    rows = J * scale.unsqueeze(-1)
    bread = geometry.invert_3x3(torch.einsum("...vri,...vrj->...ij", rows, rows))
    variance = rig.sigma_px**2 / weights.clamp_min(1e-12)
    noisy = rows * (scale * (weights > 0).unsqueeze(-1)).unsqueeze(-1)
    meat = torch.einsum("...vri,...v,...vrj->...ij", noisy, variance, noisy)
    return _masked(xyz, bread @ meat @ bread, weights)


def maximum_likelihood(uv: Tensor, weights: Tensor, rig: Rig) -> Estimate:
    """Refine DLT by Gauss-Newton: the best under Gaussian noise of variance sigma_px^2 / weight."""
    uv, weights, K, E = _prepare(uv, weights, rig)
    start = geometry.triangulate_dlt(uv, weights, K, E)
    return _refined(start, uv, weights, rig)


def huber(uv: Tensor, weights: Tensor, rig: Rig, sigmas: float = ROBUST_SIGMAS) -> Estimate:
    """Refine DLT with the Huber loss, by iteratively reweighted least squares.

    `inliers` holds the final weights times the given ones. Two views cannot tell which one errs, so
    they keep their weights in the covariance.
    """
    uv, weights, K, E = _prepare(uv, weights, rig)
    start = geometry.triangulate_dlt(uv, weights, K, E)
    xyz = geometry.refine_ml(start, uv, weights, K, E, huber_px=sigmas * rig.sigma_px)
    irls = geometry.huber_weights(
        uv - geometry.project(xyz, K, E)[0], sigmas * rig.sigma_px
    ).nan_to_num(1.0)
    used = weights * torch.where((geometry.count_views(weights) > 2).unsqueeze(-1), irls, 1.0)
    return _with_information(xyz, used, rig)


def consensus(uv: Tensor, weights: Tensor, rig: Rig, sigmas: float = ROBUST_SIGMAS) -> Estimate:
    """Find the largest set of views that agree, from every pair of views, and refine on it.

    Where the maximum likelihood of all views is within `sigmas` of each, all agree. Elsewhere each
    pair is triangulated; a further view joins where its residual is within what the noise and the
    pair's own covariance allow; the set is refined by maximum likelihood, and scored by the
    residuals of all views, each capped at `sigmas` (the score of MSAC: Torr, Zisserman, CVIU 2000).
    The best candidate's views within `sigmas` are refined once more. All pairs are tried, of many
    views always the same ones, so nothing is random. Of more than eight views no pairs are tried
    where two thirds agree once the worst are left out: another set would share most of them.
    Three views name an outlier only as far as it breaks the epipolar constraints with the other
    two.

    Args:
        uv: (*, V, 2) [px].
        weights: (*, V), 0 = unused; two or more views.
        rig: The cameras.
        sigmas: Cap of a residual, in noise standard deviations.
    """
    uv, weights, _, _ = _prepare(uv, weights, rig)
    V = weights.shape[-1]
    shape = torch.broadcast_shapes(uv.shape[:-2], weights.shape[:-1])  # type: ignore[no-untyped-call]
    points, w = uv.expand(*shape, V, 2).reshape(-1, V, 2), weights.expand(*shape, V).reshape(-1, V)
    agreed = maximum_likelihood(points, w, rig)
    xyz, covariance, inliers = agreed.xyz, agreed.covariance, w.clone()
    worst = _deviations(xyz, points, w, rig).amax(-1)
    open_rows = ((worst >= sigmas) & (geometry.count_views(w) >= 2)).nonzero().squeeze(-1)
    if V > _ALL_PAIRS_VIEWS and len(open_rows):
        of_open = xyz[open_rows], points[open_rows], w[open_rows]
        found, is_clear = _without_worst(*of_open, rig, sigmas)
        rows = open_rows[is_clear]
        assert found.inliers is not None
        xyz[rows], covariance[rows] = found.xyz[is_clear], found.covariance[is_clear]
        inliers[rows], open_rows = found.inliers[is_clear], open_rows[~is_clear]
    some, everything = _some_pairs(V).to(points), view_subsets(V, 2).to(points)
    whole = ((w[open_rows] > 0).to(points) @ some.T == 2).sum(-1)  # pairs that see the point
    is_enough = whole >= min(_ENOUGH_PAIRS, len(everything))
    for pairs, of_pairs in ((some, open_rows[is_enough]), (everything, open_rows[~is_enough])):
        for rows in torch.split(of_pairs, max(1, _CHUNK // len(pairs))):
            found = _consensus_chunk(points[rows], w[rows], pairs, rig, sigmas)
            assert found.inliers is not None
            xyz[rows], covariance[rows], inliers[rows] = found.xyz, found.covariance, found.inliers
    return Estimate(
        xyz.reshape(*shape, 3), covariance.reshape(*shape, 3, 3), inliers.reshape(*shape, V)
    )


def _without_worst(
    xyz: Tensor, uv: Tensor, weights: Tensor, rig: Rig, sigmas: float
) -> tuple[Estimate, Tensor]:
    """Leave out the worst views of n points until the others agree, starting from xyz (n, 3).

    Returns:
        The estimates, and for which points (n,) a clear majority of the views agrees, with all
        others beyond `sigmas`.
    """
    cameras = (rig.intrinsics.to(uv), rig.extrinsics.to(uv))
    used, x = weights.clone(), xyz.clone()
    is_settled = torch.zeros(len(uv), dtype=torch.bool, device=uv.device)
    for _ in range(_CLEAR_ROUNDS):
        rows = (~is_settled).nonzero().squeeze(-1)
        if not len(rows):
            break
        u, w = uv[rows], weights[rows]
        deviation = _deviations(x[rows], u, w, rig)
        worst = (deviation * (used[rows] > 0)).amax(-1, keepdim=True)
        limit = (worst / 2).clamp_min(sigmas)
        chosen = w * (deviation < limit)
        x[rows] = geometry.refine_ml(x[rows], u, chosen, *cameras, _CLEAR_STEPS)
        used[rows] = chosen
        agrees = (_deviations(x[rows], u, w, rig) < sigmas) & (w > 0)
        is_settled[rows] = (agrees == (chosen > 0)).all(-1)
    share = geometry.count_views(used) / geometry.count_views(weights).clamp_min(1)
    found = _refined(x, uv, used, rig, _CLEAR_STEPS)
    return found, is_settled & (share >= _CLEAR_SHARE) & x.isfinite().all(-1)


def _some_pairs(num_views: int) -> Tensor:
    """Return the pairs (S, V) of views that start a search: all, or of many views those near."""
    pairs = view_subsets(num_views, 2)
    if num_views <= _ALL_PAIRS_VIEWS:
        return pairs
    frame = torch.arange(num_views)
    shifts = [pairs.new_zeros(num_views, num_views) for _ in _SHIFTS]
    for of_shift, shift in zip(shifts, _SHIFTS, strict=True):
        of_shift[frame, frame] = 1
        of_shift[frame, (frame + shift) % num_views] = 1
    return torch.cat(shifts)


def _consensus_chunk(
    uv: Tensor, weights: Tensor, pairs: Tensor, rig: Rig, sigmas: float
) -> Estimate:
    """Work on n points: uv (n, V, 2), weights (n, V), pairs (P, V)."""
    K, E = rig.intrinsics.to(uv), rig.extrinsics.to(uv)
    w = pairs[:, None] * weights  # (P, n, V)
    is_pair = geometry.count_views(w) == 2
    x = geometry.refine_ml(linear(uv, w, K, E), uv, w, K, E, 2)
    predicted, J = geometry.projection_jacobian(x, K, E)
    r = uv - predicted  # (P, n, V, 2)
    spread = torch.einsum("...vri,...ij,...vsj->...vrs", J, _covariance(x, w, rig), J)
    spread = (
        spread + torch.eye(2).to(uv) * (rig.sigma_px**2 / weights.clamp_min(1e-12))[..., None, None]
    )
    agrees = _mahalanobis2(r, spread) < GATE_SIGMAS**2
    support = torch.where((w > 0) | agrees, weights, 0.0)
    x = geometry.refine_ml(x, uv, support, K, E, _CONSENSUS_STEPS)
    deviation = _deviations(x, uv, weights, rig)  # (P, n, V)
    cost = deviation.square().clamp_max(sigmas**2).nan_to_num(sigmas**2).sum(-1)
    best = torch.where(is_pair, cost, torch.inf).argmin(0)  # (n)
    rows = torch.arange(len(best), device=best.device)
    x, is_inlier = x[best, rows], deviation[best, rows] < sigmas
    # A pair that disagrees has fewer than two inliers: then its own views remain.
    enough = (geometry.count_views(weights * is_inlier) >= 2).unsqueeze(-1)
    used = torch.where(enough, weights * is_inlier, w[best, rows])
    x = torch.where(is_pair.any(0)[:, None], x, torch.nan)
    return _refined(x, uv, used, rig, _CONSENSUS_STEPS + 2)


def linear(uv: Tensor, weights: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> Tensor:
    """Triangulate by the inhomogeneous linear method: (*, 3) [m], as a start for others.

    Hartley, Zisserman 12.2. It needs a 3 x 3 inverse where DLT needs an eigenvector, and is as good
    for points of finite depth.
    """
    xy = geometry.normalise_uv(uv, intrinsics)
    rows = (xy.unsqueeze(-1) * extrinsics[:, 2:3] - extrinsics[:, :2]) * weights[..., None, None]
    left, right = rows[..., :3], rows[..., 3]
    normal = torch.einsum("...vri,...vrj->...ij", left, left)
    few = (geometry.count_views(weights) < 2)[..., None, None]
    normal = torch.where(few, torch.eye(3).to(normal), normal)
    moment = torch.einsum("...vri,...vr->...i", left, right)
    xyz: Tensor = -(geometry.invert_3x3(normal) @ moment.unsqueeze(-1)).squeeze(-1)
    return xyz


def _prepare(uv: Tensor, weights: Tensor, rig: Rig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Check shapes and return everything in float64: uv, weights, intrinsics, extrinsics."""
    V = len(rig.intrinsics)
    geometry.check_shape(uv, f"* {V} 2", "uv")
    geometry.check_shape(weights, f"* {V}", "weights")
    return uv.double(), weights.double(), rig.intrinsics.double(), rig.extrinsics.double()


def _refined(start: Tensor, uv: Tensor, weights: Tensor, rig: Rig, steps: int = 8) -> Estimate:
    cameras = (rig.intrinsics.to(uv), rig.extrinsics.to(uv))
    return _with_information(geometry.refine_ml(start, uv, weights, *cameras, steps), weights, rig)


def _with_information(xyz: Tensor, weights: Tensor, rig: Rig) -> Estimate:
    return _masked(xyz, _covariance(xyz, weights, rig), weights)


def _covariance(xyz: Tensor, weights: Tensor, rig: Rig) -> Tensor:
    cameras = (rig.intrinsics.to(xyz), rig.extrinsics.to(xyz))
    return geometry.invert_3x3(geometry.information(xyz, weights, *cameras, rig.sigma_px))


def _masked(xyz: Tensor, covariance: Tensor, weights: Tensor) -> Estimate:
    """Put NaN where fewer than two views are usable."""
    few = (geometry.count_views(weights) < 2).unsqueeze(-1)
    inliers = weights.expand(*xyz.shape[:-1], weights.shape[-1])
    return Estimate(
        xyz.masked_fill(few, torch.nan),
        covariance.masked_fill(few.unsqueeze(-1), torch.nan),
        inliers,
    )


def _deviations(xyz: Tensor, uv: Tensor, weights: Tensor, rig: Rig) -> Tensor:
    """Return residuals (*, V) in their own noise standard deviations, 0 for unused views."""
    predicted, _ = geometry.project(xyz, rig.intrinsics.to(uv), rig.extrinsics.to(uv))
    deviations: Tensor = (uv - predicted).norm(dim=-1) * weights.sqrt() / rig.sigma_px
    return deviations


def _mahalanobis2(r: Tensor, m: Tensor) -> Tensor:
    """Return r^T m^-1 r for r (*, 2), m (*, 2, 2)."""
    determinant = m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    square = m[..., 1, 1] * r[..., 0] ** 2 + m[..., 0, 0] * r[..., 1] ** 2
    both: Tensor = (square - (m[..., 0, 1] + m[..., 1, 0]) * r[..., 0] * r[..., 1]) / determinant
    return both
