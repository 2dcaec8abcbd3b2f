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

OUTPUTS = 5  # logs: the lag's deviation (unit, acceleration, velocity), trust, the turn
_GATE = 9.0  # squared lag, per coordinate in variances, at which trust in a keypoint has halved
_STARTS = torch.tensor([3.5, 2.0, 3.0, 0.0, 0.0])  # subtracted from the outputs
# Powers of their exponentials, and what these powers stay within.
_POWERS = torch.tensor([2.0, 2.0, 2.0, 1.0, 2.0])
_LOWEST = torch.tensor([-10.0, -12.0, -12.0, math.log(0.05), -8.0])
_HIGHEST = torch.tensor([8.0, 4.0, 4.0, math.log(20.0), 8.0])
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


def lags(seen: Seen, opinion: Opinion, delta: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate how far each mix lags behind the next shorter one.

    Args:
        seen: The input.
        opinion: What the network thinks of it.
        delta: (3, K, n, K, B) displacement i of keypoint j as k sees it, at [:, j, i, k, b] [m].
        noise: (n, K, B) of the own displacements, in variances of a frame.

    Returns:
        Displacements (3, n, K, B) [m] with covariance (6, n, K, B) [m^2].
    """
    shape = len(opinion.of_pairs), OUTPUTS, *noise.shape[1:]
    start, power, low, high = (
        x.to(noise)[:, None, None, None] for x in (_STARTS, _POWERS, _LOWEST, _HIGHEST)
    )
    outputs = opinion.outputs.view(shape).transpose(0, 1)
    scale = ((outputs - start) * power).clamp(low, high).exp()  # (5, n, K, B)
    spans = [seen.spread, symmetric.outer(seen.acceleration), symmetric.outer(seen.velocity)]
    prior = (torch.stack(spans).unsqueeze(2) * scale[:3].unsqueeze(1)).sum(0)
    noise = noise + 1e-2
    unit = symmetric.scale_off_diagonal(seen.unit.clone(), 2)
    plausible = noise + 4 / 3 * (prior * unit.unsqueeze(1)).sum(0)
    alike = _alike(seen, opinion).transpose(0, 1)
    force, weight = believed(delta, seen.unit, alike, scale[3] / noise, plausible)
    return rigid_displacement(
        force,
        weight,
        seen.unit,
        seen.reference,
        symmetric.invert(prior.double()),
        _TURN_INFO * scale[4],
    )


def believed(
    delta: Tensor, unit: Tensor, alike: Tensor, certain: Tensor, plausible: Tensor
) -> tuple[Tensor, Tensor]:
    """Weigh what keypoints say about each other's displacements.

    Args:
        delta: (3, K, n, K, B) displacement of keypoint j as k sees it, at [:, j, i, k, b] [m].
        unit: (6, K, B) information of a frame of keypoint j; gets no gradient [1/m^2].
        alike: (K, n, K, B) how much both move alike, at [j, i, k, b].
        certain: (n, K, B) how certain a displacement is.
        plausible: (n, K, B) its size in variances of a frame, as k expects it.

    Returns:
        Information times displacement (3, K, n, K, B) [1/m]; how much k believes it (K, n, K, B).
    """
    force, weight = _Believed.apply(delta, unit, alike, certain, plausible)  # type: ignore[no-untyped-call]
    return force, weight


class _Believed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, delta: Tensor, unit: Tensor, alike: Tensor, certain: Tensor, plausible: Tensor
    ) -> tuple[Tensor, Tensor]:
        unit, plausible = unit[:, :, None, None], 3 * _GATE * plausible
        force = symmetric.apply(unit, delta)
        square = sum_of_products(delta, force).div_(plausible)
        gate = square + 1
        belief = certain / gate
        ctx.save_for_backward(unit, alike, plausible, force, square, gate, belief)
        return force, belief * alike

    @staticmethod
    def backward(ctx: Any, of_force: Tensor, of_weight: Tensor) -> tuple[Tensor | None, ...]:
        unit, alike, plausible, force, square, gate, belief = ctx.saved_tensors
        of_certain = (of_weight * alike).div_(gate)
        of_square = of_certain * belief
        of_plausible = sum_of_products(of_square, square).div_(plausible).mul_(3 * _GATE)
        of_delta = symmetric.apply(unit, of_force)
        of_delta.addcmul_(force, of_square.div_(plausible), value=-2)
        return of_delta, None, of_weight * belief, of_certain.sum(0), of_plausible


def _alike(seen: Seen, opinion: Opinion) -> Tensor:
    """Return how much keypoints move alike (n, K, K, B); 0 where the other has no measurement."""
    n, K = len(opinion.of_pairs), seen.pairs.shape[1]
    query, key = (x.view(n, -1, *x.shape[1:]) for x in (opinion.query, opinion.key))
    itself = torch.eye(K, device=key.device)[..., None] * seen.is_used.amax(0).unsqueeze(1)
    counts = torch.maximum(seen.is_measured.unsqueeze(1), itself)
    product = all_products(key, query) / math.sqrt(key.shape[1])
    return torch.sigmoid(product + opinion.of_pairs + (1 - seen.pairs[0] / 2)) * counts
