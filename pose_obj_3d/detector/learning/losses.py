"""What the network is trained by: heatmaps, points, heavy-tailed claims, presence."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pose_obj_3d.detector.learning.batches import Targets
from pose_obj_3d.detector.learning.network import COARSE, Candidates

TARGET_SD = 1.0  # of the heatmap's target [cells]
CAPTURE_PX = 12.0  # a peak nearer than this is the right one; only its place is then learned
LARGEST_PX = 8.0  # of the error of a point that is learned from
TAIL = 4.0  # degrees of freedom of a claim
LOG_SD = (-3.0, 4.0)  # range of a claimed sd [log px]
WIDE_PX = 40.0  # sd of a gross error
MAX_RHO = 0.95
MARGIN_NATS = 2.0  # by which the other order must be likelier
WEIGHTS = {"heatmap": 1.0, "point": 0.3, "claim": 0.1, "inside": 0.2, "seen": 0.3}


class Claim(NamedTuple):
    """A claimed distribution of an error.

    Attributes:
        log_sd: (..., 2) along u and v [log px].
        rho: (...) correlation.
        gross: (...) log odds of a gross error.
    """

    log_sd: Tensor
    rho: Tensor
    gross: Tensor


def claim_of(numbers: Tensor) -> Claim:
    """Read the network's numbers (..., 4)."""
    low, high = LOG_SD
    middle, half = (high + low) / 2, (high - low) / 2
    log_sd = middle + half * torch.tanh((numbers[..., :2] - middle) / half)
    return Claim(log_sd, MAX_RHO * torch.tanh(numbers[..., 2]), numbers[..., 3])


def square_distance(error: Tensor, log_sd: Tensor, rho: Tensor) -> Tensor:
    """Return the squared Mahalanobis distances (...) of errors (..., 2) [px]."""
    z = error / log_sd.exp()
    crossed = z.square().sum(-1) - 2 * rho * z[..., 0] * z[..., 1]
    return crossed / (1 - rho.square())


def claim_loss(numbers: Tensor, error: Tensor) -> Tensor:
    """Negative log likelihood [nats] of errors (..., 2) [px] under claims (..., 4).

    A mixture of a Student-t distribution with `TAIL` degrees of freedom, whose scale is claimed,
    and of a wide normal one, whose share is claimed.
    """
    log_sd, rho, gross = claim_of(numbers)
    volume = log_sd.sum(-1) + 0.5 * torch.log1p(-rho.square()) + math.log(2 * math.pi)
    distance = square_distance(error, log_sd, rho)
    core = -volume - (TAIL / 2 + 1) * torch.log1p(distance / TAIL)
    wide = -0.5 * (error / WIDE_PX).square().sum(-1) - math.log(2 * math.pi * WIDE_PX**2)
    return -torch.logaddexp(
        core + functional.logsigmoid(-gross), wide + functional.logsigmoid(gross)
    )


def heatmap_target(uv: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the wanted shares (B, K, h * w) of the cells for image points (B, K, 2) [px]."""
    rows = torch.arange(size[0], device=uv.device) + 0.5
    columns = torch.arange(size[1], device=uv.device) + 0.5
    u = ((columns - uv[..., :1] / COARSE) / TARGET_SD).square()
    v = ((rows - uv[..., 1:] / COARSE) / TARGET_SD).square()
    share: Tensor = (-0.5 * (v[..., :, None] + u[..., None, :])).flatten(2).softmax(-1)
    return share


def told_apart(
    found: Candidates, targets: Targets, size: tuple[int, int], pairs: Sequence[tuple[int, int]]
) -> Targets:
    """Exchange the targets of look-alikes where the network clearly names them the other way.

    A single picture often cannot tell which of two is which; a network that is blamed for the wrong
    name shows both at both places. Paths through time tell them apart.

    Args:
        found: What the network says.
        targets: What it should say, by the labels.
        size: Height and width of the heatmaps [cells].
        pairs: Numbers of keypoints that look alike.
    """
    uv, inside, seen = targets
    for a, b in pairs:
        both = [a, b]
        heat = heatmap_target(uv[:, both].nan_to_num(), size)  # (B, 2, cells)
        log_heat = found.log_heat.detach()[:, both]
        used = inside[:, both]
        straight = -((heat * log_heat).sum(-1) * used).sum(-1)
        crossed = -((heat * log_heat.flip(1)).sum(-1) * used).sum(-1)
        is_other = crossed + MARGIN_NATS < straight
        order = torch.where(is_other[:, None], torch.tensor([b, a]), torch.tensor([a, b]))
        order = order.to(uv.device)
        uv, inside, seen = uv.clone(), inside.clone(), seen.clone()
        uv[:, both] = targets.uv.gather(1, order[..., None].expand(-1, -1, 2))
        inside[:, both] = targets.inside.gather(1, order)
        seen[:, both] = targets.seen.gather(1, order)
    return Targets(uv, inside, seen)


def detector_loss(
    found: Candidates,
    targets: Targets,
    size: tuple[int, int],
    pairs: Sequence[tuple[int, int]] = (),
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its parts.

    Args:
        found: What the network says.
        targets: What it should say.
        size: Height and width of the heatmaps [cells].
        pairs: Numbers of keypoints that look alike; see `told_apart`.
    """
    targets = told_apart(found, targets, size, pairs)
    has_label = ~torch.isnan(targets.uv).any(-1)
    is_used = has_label & (targets.inside > 0)
    weight = is_used / is_used.sum().clamp(min=1)
    uv = targets.uv.nan_to_num()
    heatmap = -(heatmap_target(uv, size) * found.log_heat).sum(-1)
    error = found.uv - uv[..., None, :]
    coarse = (found.coarse_uv - uv[..., None, :]).norm(dim=-1)
    is_near = is_used[..., None] & (coarse.detach() < CAPTURE_PX)
    distance = coarse.clamp(max=LARGEST_PX) + error.norm(dim=-1).clamp(max=LARGEST_PX)
    count = is_near.sum().clamp(min=1)
    parts = {
        "heatmap": (heatmap * weight).sum(),
        "point": (distance * is_near).sum() / count,
        "claim": (claim_loss(found.claim, error.detach()).mean(-1) * weight).sum(),
        "inside": _presence(found.inside, targets.inside, has_label),
        "seen": _presence(found.seen, targets.seen, has_label),
    }
    total = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
    return total, {name: part.detach() for name, part in parts.items()}


def _presence(logit: Tensor, wanted: Tensor, is_used: Tensor) -> Tensor:
    entropy = functional.binary_cross_entropy_with_logits(logit, wanted, reduction="none")
    return (entropy * is_used).sum() / is_used.sum().clamp(min=1)
