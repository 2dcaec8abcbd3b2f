"""Calibration without labels: by what factor the uncertainty of blind predictions is misjudged.

The difference between a blind prediction and the measurement that it has not seen has the
covariance of both. That of the measurement is known, so the scale of the prediction's can be
estimated. One number in one frame says next to nothing about a prediction that is much better than
a measurement; a hundred thousand frames do. Training by gradient steps sees the former, this fit
the latter.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pose_obj_3d.tracks.types import Tracks

# Of the log factor and the logit of the share: claims stand where nothing speaks against them.
PRIOR_STD = (0.4, 3.0)
FRAMES_A_WORD = 2.0  # so many frames in a row have much the same error of prediction
OUTLIER_SIGMAS = 5.0  # measurements further off than this are gross errors and say nothing
FRAMES = 40_000  # looked at, at most, evenly spread
SUMMARY = 3  # numbers about the covariance that the calibration sees
_ROUND_START = -3.0  # logit of the share of the round part before the fit
SHARE_BEFORE = 1 / (1 + math.exp(-_ROUND_START))  # before the fit; the factor is 1
_STEPS = 60


def scales(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factor on a claimed covariance and the share of it that is made round.

    A claim C becomes factor ((1 - share) C + share tr(C U) / 3 U^-1), with U the information of a
    frame.

    Args:
        features: (*, F).
        weights: (2, F); 0 = the claim nearly as it is.

    Returns:
        (*) and (*).
    """
    log_factor, logit = (features @ weights.T).unbind(-1)
    return log_factor.clamp(-4, 4).exp(), (logit + _ROUND_START).sigmoid()


def fit_scales(features: Tensor, variances: Tensor, deviations: Tensor) -> Tensor:
    """Fit the weights of `scales` by maximum posterior likelihood.

    In the frame in which a measurement's covariance is 1 and the claimed one diagonal, with
    variances c, a deviation of measurement and prediction is N(0, 1 + factor ((1 - share) c + share
    mean(c))).

    Args:
        features: (n, F) about each prediction, one of them constant.
        variances: (n, 3) claimed.
        deviations: (n, 3) of the measurement from the prediction.

    Returns:
        (2, F), float64.
    """
    x, c, z2 = features.double(), variances.double(), deviations.double().square()
    plausible = (z2 / (1 + c)).sum(-1) < OUTLIER_SIGMAS**2
    x, c, z2 = x[plausible], c[plausible], z2[plausible]
    w = torch.zeros(2, x.shape[1], dtype=torch.float64, device=x.device, requires_grad=True)
    # With F such terms, f . w has the variance PRIOR_STD^2 before the fit, for a typical f.
    prior = x.shape[1] * x.square().mean(0) / torch.tensor(PRIOR_STD).to(x).square()[:, None]
    round_c = c.mean(-1, keepdim=True)
    optimiser = torch.optim.LBFGS([w], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        factor, share = (y.unsqueeze(-1) for y in scales(x, w))
        variance = 1 + factor * (c + share * (round_c - c))
        loss = (variance.log() + z2 / variance).sum() / FRAMES_A_WORD / 2 + (
            prior * w.square()
        ).sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return w.detach()


def whitened(claimed: Tensor, measured_info: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
    """Express claimed covariances and differences where the measurement's covariance is 1.

    Args:
        claimed: (n, 3, 3) covariance of the predictions [m^2].
        measured_info: (n, 3, 3) information of the measurements [1/m^2], positive definite.
        difference: (n, 3) measurement less prediction [m].

    Returns:
        Variances (n, 3) along the axes of the claimed covariance, and the difference along them (n,
        3).
    """
    root = torch.linalg.cholesky(measured_info.double()).transpose(-1, -2)
    variances, axes = torch.linalg.eigh(root @ claimed.double() @ root.transpose(-1, -2))
    z = axes.transpose(-1, -2) @ (root @ difference.double().unsqueeze(-1))
    return variances.clamp_min(0), z.squeeze(-1)


def some_centres(parts: Sequence[Tracks], batch_size: int) -> Iterator[tuple[Tracks, Tensor]]:
    """Give at most `FRAMES` of them, evenly spread, in batches."""
    step = math.ceil(sum(len(tracks) for tracks in parts) / FRAMES)
    for tracks in parts:
        for centres in torch.split(torch.arange(0, len(tracks), step), batch_size):
            yield tracks, centres.to(tracks.uv.device)


def summary(token: Tensor, cov: Tensor) -> Tensor:
    """Return what the calibration may depend on (B, K, F): nothing of the centre frame."""
    size = (
        cov.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True).detach().clamp_min(1e-12).log() / 2
        + 7.0
    )
    constant = torch.ones_like(size)
    return torch.cat([token.detach(), constant, size, size.square(), size.relu()], -1).double()
