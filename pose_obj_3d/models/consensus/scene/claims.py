"""What STC claims on its ground: the ground's covariance, scaled by what its errors depend on.

The covariance of a motion with heavy-tailed steps is too wide where things rest, and too narrow
where gross errors decide. By how much, and how heavy the tails of the errors are, is fitted to
errors that are known (`rehearsal`).
"""

from collections.abc import Collection

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import region_edges
from pose_obj_3d.tracks.types import Windows

# Share of errors inside a region, and what a missing percent costs.
REGIONS = ((0.68, 1.0), (0.95, 1.6))
GAUSSIAN = (0.0,)
"""The tail of errors that have none."""
COMMON = 5  # features that all keypoints have in common; then one for each keypoint
PRIOR_STD = (2.0, 0.5)  # of the weights of the common ones, and of each keypoint's own
_SOFTNESS = 0.05  # of the edge of a region, in the logarithm of the squared distance
_STEPS = 100


def features(windows: Windows, covariance: Tensor, unit: Tensor, num_keypoints: int) -> Tensor:
    """Describe what the scale of a claim depends on (B, K, COMMON + P), float64.

    The claim's size, the pace, and how far the keypoint gets in the window and beyond.

    Args:
        windows: Windows on a ground.
        covariance: (B, K, 3, 3) of the ground in the centre frames [m^2].
        unit: Standard deviation of a frame's position [m].
        num_keypoints: P.
    """
    bins, c = windows.bins, windows.centre
    assert bins is not None
    xyz = windows.xyz.double()
    size = covariance.diagonal(dim1=-2, dim2=-1).mean(-1).log() / 2 - unit.log()
    pace = (xyz[:, c + 1] - xyz[:, c - 1]).norm(dim=-1)
    near = (xyz - xyz[:, c : c + 1]).norm(dim=-1).amax(1)
    is_used = bins.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    far = ((bins.xyz.double() - xyz[:, c].unsqueeze(2)).norm(dim=-1) * is_used).amax(-1)
    common = [torch.ones_like(size), size - 1]
    common += [(y / unit).log1p() - z for y, z in ((pace, 1), (near, 1), (far, 2))]
    own = torch.nn.functional.one_hot(windows.keypoint.clamp_min(0), num_keypoints)
    return torch.cat([torch.stack(common, -1), own.to(size)], -1)


def fit_scale(
    features: Tensor,
    square: Tensor,
    shared: float,
    common: int = COMMON,
    tails: Collection[float] = GAUSSIAN,
) -> tuple[Tensor, float]:
    """Fit the logarithm of the factor on claimed covariances, so that their regions hold.

    The quantiles of both regions are fitted at once (by the pinball loss), and the tail is the one
    that suits both best. Where none does, the smaller region holds too much, and the larger one too
    little.

    Args:
        features: (n, F) about each claim, as of `features`.
        square: (n,) squared lengths of errors, in claimed standard deviations.
        shared: Claims in a row that count as one.
        common: Number of features that all keypoints have in common; they come first.
        tails: How heavy the tails may be, as of `Estimate`.

    Returns:
        (F,) weights, float64, and one of `tails`.
    """
    x, y = features.double(), square.double().clamp_min(1e-6).log()
    weights = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    fits = []
    for tail in tails:
        weights, loss = _fit_to_edges(x, y, weights, region_edges(tail), shared, common)
        fits.append((loss, tail, weights))
    _, tail, weights = min(fits, key=lambda fit: fit[0])
    return weights, tail


def _fit_to_edges(
    x: Tensor, y: Tensor, start: Tensor, edges: tuple[float, float], shared: float, common: int
) -> tuple[Tensor, float]:
    """Return the weights for regions with these edges, and what is lost with them."""
    weights = start.clone().requires_grad_()
    std = torch.full_like(start, PRIOR_STD[1])
    std[:common] = PRIOR_STD[0]
    optimiser = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")
    logs = torch.tensor(edges, dtype=torch.float64).log().tolist()

    def loss_of() -> Tensor:
        log_factor = x @ weights
        loss = (weights / std).square().sum() / 2
        for (share, cost), edge in zip(REGIONS, logs, strict=True):
            beyond = y - edge - log_factor
            softened = _SOFTNESS * torch.nn.functional.softplus(-beyond / _SOFTNESS)
            loss = loss + cost * (share * beyond + softened).sum() / shared
        return loss

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = loss_of()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return weights.detach(), float(loss_of())
