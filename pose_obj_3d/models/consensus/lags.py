"""How far a long mix of filters lags, by the keypoints that move like the one in question."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.geometry import symmetric
from pose_obj_3d.models.consensus.layers import all_products, sum_of_products
from pose_obj_3d.models.consensus.rigid import rigid_displacement
from pose_obj_3d.models.consensus.seen import Seen

OUTPUTS = 5  # log of the lag's deviation: unit, acceleration, velocity; trust; log of the turn
_GATE = 9.0  # squared lag, per coordinate in variances, at which trust in a keypoint has halved
_STARTS = (3.5, 2.0, 3.0)  # minus log of the lag's deviation: unit, acceleration, velocity
_TURN_INFO = 1e4  # [1/rad^2] before training


@dataclass(frozen=True)
class Opinion:
    """What the network thinks of lags, for n corrections.

    Attributes:
        outputs: (5 n, K, B) of each correction: `OUTPUTS`.
        query: (n D, K, B) of the keypoint that looks.
        key: (n D, K, B) of the one that is looked at.
        of_pairs: (n, K, K, B) from invariants of pairs: other keypoint, the one that looks.
    """

    outputs: Tensor
    query: Tensor
    key: Tensor
    of_pairs: Tensor


def lags(
    seen: Seen, opinion: Opinion, mixes: Tensor, full_mean: Tensor, mean: Tensor, gram: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate how far each mix lags behind the next shorter one.

    Args:
        seen: The input.
        opinion: What the network thinks of it.
        mixes: (M, H + 1, K, B) weights of the filters, the mean of all bins last.
        full_mean: (3, K, B) that mean with the centre frame: of the other keypoints [m].
        mean: (3, K, B) without it: of the keypoint itself [m].
        gram: (H, H) products of the filters, in variances of a frame.

    Returns:
        Displacements (3, M - 1, K, B) [m] with covariance (6, M - 1, K, B) [m^2].
    """
    n, K = len(opinion.of_pairs), full_mean.shape[1]
    change = mixes[1:] - mixes[:-1]
    filters, means = change[:, :-1], change[:, -1]
    size, bend, pace, trust, turn = opinion.outputs.view(n, OUTPUTS, *mean.shape[1:]).unbind(1)
    prior = seen.spread.unsqueeze(1) * (2 * (size - _STARTS[0])).clamp(-10, 8).exp()
    for v, s, start in (
        (seen.acceleration, bend, _STARTS[1]),
        (seen.velocity, pace, _STARTS[2]),
    ):
        prior = prior + symmetric.outer(v).unsqueeze(1) * (2 * (s - start)).clamp(-12, 4).exp()
    # At [:, other, i, keypoint that looks, window]: its changes of the other's filters.
    others = _Changes.apply(seen.full, filters) + full_mean[:, :, None, None] * means  # type: ignore[no-untyped-call]
    own = (seen.blind.unsqueeze(2) * filters.transpose(0, 1).unsqueeze(1)).sum(0)
    own = own + mean.unsqueeze(1) * means
    itself = torch.eye(K, dtype=torch.bool, device=own.device)
    delta = torch.where(itself[:, None, :, None], own.unsqueeze(1), others)
    force = symmetric.apply(seen.unit[:, :, None, None], delta)
    # In variances of a frame.
    noise = (torch.einsum("hg,igkb->ihkb", gram, filters) * filters).sum(1) + 1e-2
    plausible = noise + 4 / 3 * symmetric.inner(prior, seen.unit.unsqueeze(1))
    square = (delta * force).sum(0) / (3 * plausible)
    belief = (trust.exp().clamp(0.05, 20) / noise) / (1 + square / _GATE)
    weight = belief * _alike(seen, opinion).transpose(0, 1)
    return rigid_displacement(
        force,
        weight,
        seen.unit,
        seen.reference,
        symmetric.invert(prior.double()),
        _TURN_INFO * (2 * turn).clamp(-8, 8).exp(),
    )


class _Changes(torch.autograd.Function):
    """Filters (H, 3, K, B) of all keypoints j by weights (n, H, K, B) of k: (3, K, n, K, B).

    The filters get no gradient: they are data.
    """

    @staticmethod
    def forward(ctx: Any, full: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(full)
        return sum_of_products(full[..., None, None, :], weights.transpose(0, 1)[:, None, None])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (full,) = ctx.saved_tensors
        of_filters = full.permute(1, 2, 0, 3).flatten(0, 1)[:, None, :, None]
        return None, sum_of_products(of_filters, grad.flatten(0, 1).unsqueeze(2))


def _alike(seen: Seen, opinion: Opinion) -> Tensor:
    """Return how much keypoints move alike (n, K, K, B); 0 where the other has no measurement."""
    n, K = len(opinion.of_pairs), seen.pairs.shape[1]
    query, key = (x.view(n, -1, *x.shape[1:]) for x in (opinion.query, opinion.key))
    itself = torch.eye(K, device=key.device)[..., None] * seen.is_used.amax(0).unsqueeze(1)
    counts = torch.maximum(seen.is_measured.unsqueeze(1), itself)
    product = all_products(key, query) / math.sqrt(key.shape[1])
    return torch.sigmoid(product + opinion.of_pairs + (1 - seen.pairs[0] / 2)) * counts
