"""How long errors last: the correlation of errors in time, from residuals between views. No labels.

With the errors e of a frame's views in units of their deviation, the residuals of the fitted point
are r = M e, M = I - H (the leverage of each view). Of two frames t and s, E[r_t r_s^T] is M_t C
M_s^T with the views' correlations C at that lag; so the sum of r_t . r_s over views and pairs of
frames, over the sum of tr(M_t M_s^T), is the correlation at that lag, although most of what errors
have in common moves the point and shows in no residual. No motion is assumed: every frame has a
point of its own.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_mixture import Mixture
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Fits, Scene, Verdict, fit_sets, judge

LAGS = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80)
"""Distances in time [frames] at which correlations are taken."""
GROUPS = 10  # of tracks; each in turn is left out to see how sure a number is (jackknife)
SIGNIFICANT = 3.0  # standard errors that a lasting part must have,
SURPRISING = 5.0  # and those that its correlations must have if errors do not last
_TIMES = tuple(2 ** (i / 4) for i in range(29))  # candidates of the time constant, 1 to 128 frames
_MIN_SHARE = 0.03  # a lasting part below this share of the square error is none
_SHORT, _LONG = 5, 20  # lags [frames] at which a slow part, and a constant one, must show
_FEW_TRACKS = 4  # fewer tracks are grouped by their time
_CHUNK = 4000


@dataclass(frozen=True)
class Lasting:
    """How the square error splits, and how sure that is (standard errors).

    Attributes:
        slow: Share of the part that lasts for some frames.
        offset: Share of the part that is constant.
        time_constant: Of the slow part [frames]; 0 where there is none.
        slow_error: Standard error of `slow`.
        offset_error: Standard error of `offset`.
        correlations: Lag [frames] -> correlation.
    """

    slow: float
    offset: float
    time_constant: float
    slow_error: float
    offset_error: float
    correlations: dict[int, float]


@dataclass(frozen=True)
class _Products:
    """Sums of products of residuals, and what they are at a correlation of 1: (GROUPS, 1 + lags).

    Attributes:
        found: Sums of r_t . r_s.
        full: Sums of tr(M_t M_s^T).
    """

    found: Tensor
    full: Tensor

    def correlations(self, left_out: int | None = None) -> Tensor:
        """Return the correlations (1 + lags), at lag 0 first; NaN where there are no pairs."""
        keep = torch.ones(len(self.found), dtype=torch.bool)
        if left_out is not None:
            keep[left_out] = False
        found, full = self.found[keep].sum(0), self.full[keep].sum(0)
        ratio = torch.where(full > 0, found / full.clamp_min(1e-9), torch.nan)
        # A core with heavier tails than a Gaussian has a variance of its own at lag 0.
        return ratio / ratio[0]

    def surprise(self, chosen: Tensor) -> bool:
        """Say whether correlations at chosen lags (bool) could hardly be those of white errors.

        The products of white errors of different frames have a variance of tr(M_t M_s^T), since
        M is a projection, and no correlation.
        """
        found, full = (x[:, 1:][:, chosen].sum() for x in (self.found, self.full))
        return bool(found > SURPRISING * full.clamp_min(1e-9).sqrt())


def fit_lasting(
    uv: Tensor,
    weights: Tensor,
    keypoint: Tensor,
    first: Tensor,
    rig: Rig,
    model: tuple[Mixture, Scene],
    claimed: Tensor,
) -> Lasting:
    """Split the noise into white, slow and constant parts.

    Args:
        uv: (N, V, K, 2) [px], frames of whole sequences in the order of time.
        weights: (N, V, K), 0 = missing.
        keypoint: (N, K) numbers of keypoints, -1 = none.
        first: (N,) first frame of each frame's sequence.
        rig: The cameras.
        model: How large errors are, of `noise_mixture.fit_mixture`, and its scene.
        claimed: (N, V, K) as in `noise_mixture.Sample`.
    """
    products = _products(uv, weights, keypoint, first, rig, *model, claimed)
    correlations = products.correlations()
    slow, offset, time_constant = _split(correlations, products.full.sum(0))
    # With the time constant of all: it means nothing where the slow part is small.
    others = torch.tensor(
        [
            _split(products.correlations(g), products.full.sum(0), time_constant)[:2]
            for g in range(GROUPS)
            if float(products.full[g].sum()) > 0
        ],
        dtype=torch.float64,
    )
    slow_error, offset_error = _jackknife_error(others)
    lags = torch.tensor(LAGS)
    if offset < max(_MIN_SHARE, SIGNIFICANT * offset_error) or not products.surprise(
        lags >= min(_LONG, time_constant)
    ):
        offset = 0.0
    if slow < max(_MIN_SHARE, SIGNIFICANT * slow_error) or not products.surprise(lags <= _SHORT):
        slow, time_constant = 0.0, 0.0
    named = {
        lag: float(value)
        for lag, value in zip(LAGS, correlations[1:], strict=True)
        if math.isfinite(float(value))
    }
    return Lasting(slow, offset, time_constant, slow_error, offset_error, named)


def _jackknife_error(others: Tensor) -> tuple[float, float]:
    """Return the standard errors of two numbers from their values without each group (g, 2)."""
    n = len(others)
    if n < 2:
        return math.inf, math.inf
    error = ((others - others.mean(0)).square().sum(0) * (n - 1) / n).sqrt()
    return float(error[0]), float(error[1])


def _split(
    correlations: Tensor, pairs: Tensor, time_constant: float | None = None
) -> tuple[float, float, float]:
    """Fit slow and constant shares, neither negative, and the time constant, by least squares."""
    y, known = correlations[1:], correlations[1:].isfinite()
    lags = torch.tensor(LAGS, dtype=torch.float64)[known]
    weight, y = (pairs[1:][known] / pairs[1:].max().clamp_min(1e-9)).sqrt(), y[known]
    best = (math.inf, 0.0, 0.0, 1.0)
    for tau in _TIMES if time_constant is None else (time_constant,):
        basis = torch.stack([(-lags / tau).exp(), torch.ones_like(lags)], -1)
        for slow, offset in _candidates(basis * weight[:, None], y * weight):
            off = (basis @ torch.tensor([slow, offset], dtype=torch.float64) - y) * weight
            cost = float(off.square().sum())
            if cost < best[0] - 1e-15:
                best = (cost, slow, offset, tau)
    return best[1], best[2], best[3]


def _candidates(basis: Tensor, y: Tensor) -> list[tuple[float, float]]:
    """Return least-squares solutions with both shares, or one, that are allowed."""
    if len(y) == 0:
        return [(0.0, 0.0)]
    both = torch.linalg.lstsq(basis, y.unsqueeze(-1)).solution.squeeze(-1).tolist()
    single = ((basis * y[:, None]).sum(0) / basis.square().sum(0).clamp_min(1e-12)).tolist()
    found = [(both[0], both[1]), (single[0], 0.0), (0.0, single[1]), (0.0, 0.0)]
    allowed = [(min(a, 1.0), min(b, 1.0)) for a, b in found if a >= 0 and b >= 0]
    return [(a, b * min(1.0, (1 - a) / b) if b > 0 else b) for a, b in allowed]


def _products(
    uv: Tensor,
    weights: Tensor,
    keypoint: Tensor,
    first: Tensor,
    rig: Rig,
    mixture: Mixture,
    scene: Scene,
    claimed: Tensor,
) -> _Products:
    N, V = uv.shape[:2]
    points = uv.transpose(1, 2).reshape(-1, V, 2).double()
    w = (weights * (keypoint >= 0)[:, None]).transpose(1, 2).reshape(-1, V).double()
    index, claimed = keypoint.clamp_min(0).flatten(), claimed.transpose(1, 2).reshape(-1, V)
    seen_by = geometry.count_views(w)
    smallest = min(3, max(2, int(seen_by.max()))) if len(w) else 2
    size = 2 * V
    r, M = points.new_zeros(len(points), size), points.new_zeros(len(points), size**2)
    enough = (seen_by >= smallest).nonzero().squeeze(-1)
    for rows in torch.split(enough, _CHUNK) if len(enough) else ():
        errors = mixture.errors(w[rows], index[rows], claimed[rows])
        fits = fit_sets(points[rows], errors, rig)
        verdict, fits = judge(points[rows], errors, rig, scene, fits)
        r[rows], M[rows] = _averaged(verdict, fits, smallest)
    r, M = r.reshape(N, -1, size), M.reshape(N, -1, size**2)
    group = _groups(first, r.shape[1])
    found = torch.zeros(GROUPS, 1 + len(LAGS), dtype=torch.float64)
    full = torch.zeros_like(found)
    for column, lag in enumerate((0, *LAGS)):
        if lag >= N:
            continue
        late, early = slice(lag, None), slice(None, N - lag)
        same = (first[late] == first[early]).double()[:, None]
        of_group = group[late].flatten()
        for sums, x in ((found, r), (full, M)):
            products = (x[late] * x[early]).sum(-1) * same
            sums[:, column].index_add_(0, of_group, products.flatten())
    return _Products(found, full)


def _groups(first: Tensor, keypoints: int) -> Tensor:
    """Put the frames and keypoints (N, K) of a recording into `GROUPS` that err independently.

    By demonstrations; where these are few, by keypoints too, and a single track by its time.
    """
    N = len(first)
    number = ((first == torch.arange(N)).cumsum(0) - 1)[:, None]
    count = int(number[-1]) + 1
    if count >= GROUPS:
        return (number * GROUPS // count).expand(N, keypoints)
    if count * keypoints >= _FEW_TRACKS:
        track = number * keypoints + torch.arange(keypoints)
        return track * GROUPS // max(count * keypoints, GROUPS)
    return (torch.arange(N) * GROUPS // N)[:, None].expand(N, keypoints)


def _averaged(verdict: Verdict, fits: Fits, smallest: int) -> tuple[Tensor, Tensor]:
    """Average residuals and M over the sets of views, in units of the errors' deviations.

    Returns:
        (n, V * 2) and (n, (V * 2)^2).
    """
    share = verdict.share * (fits.members.sum(-1) >= smallest)
    root = verdict.precision.sqrt()
    J = verdict.jacobian * root[..., None, None]
    S, n, V = root.shape
    H = torch.einsum("snvri,snij,snwtj->snvrwt", J, verdict.covariance, J)
    member = fits.members[..., None].expand(S, n, V, 2)
    one = torch.diag_embed(member.reshape(S, n, 2 * V)).reshape(S, n, V, 2, V, 2)
    share = share[..., None, None]
    scaled = verdict.residual * root[..., None]
    # What has no share may be infinite.
    r = torch.where(share > 0, share * scaled, 0.0)
    share = share[..., None, None]
    M = torch.where(share > 0, share * (one - H), 0.0)
    return r.sum(0).reshape(n, -1), M.sum(0).reshape(n, -1)
