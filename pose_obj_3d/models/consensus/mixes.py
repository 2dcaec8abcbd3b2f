"""Mixes of filters: their weights, and what they are before training."""

from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.models.consensus.layers import sum_of_products

# Before training, from long to short, in standard deviations of a frame.
NOISE_OF_MIXES = (0.35, 0.6, 0.75, 0.9)


def mixes_before_training(kernels: Tensor, num_mixes: int) -> Tensor:
    """Return logits (M, H + 1) that prefer filters with the noise that each mix wants."""
    noise = kernels.square().sum(-1).sqrt()
    centre = kernels.shape[1] // 2
    is_one_sided = (kernels[:, :centre].abs().sum(-1) < 1e-6) != (
        kernels[:, centre + 1 :].abs().sum(-1) < 1e-6
    )
    wanted = torch.linspace(0, len(NOISE_OF_MIXES) - 1, num_mixes).round().long()
    targets = torch.tensor(NOISE_OF_MIXES, dtype=noise.dtype)[wanted]
    logits = -3 * (noise.log() - targets.log()[:, None]).abs() - 2.0 * is_one_sided
    of_mean = torch.full_like(targets, -4.0).index_fill(0, torch.tensor([0]), 0.0)
    return torch.cat([logits, of_mean[:, None]], 1).float()


def first_and_changes(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of the first mix, and how those of the others differ from the one before.

    Args:
        logits: (M, H + 1, K, B) of the filters, the mean of all bins last.

    Returns:
        (H + 1, K, B) with sum 1, and (M - 1, H + 1, K, B) with sum 0.
    """
    first, changes = _Mixes.apply(logits)  # type: ignore[no-untyped-call]
    return first, changes


class _Mixes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> tuple[Tensor, Tensor]:
        mixes = logits.softmax(1)
        ctx.save_for_backward(mixes)
        return mixes[0].clone(), mixes[1:] - mixes[:-1]

    @staticmethod
    def backward(ctx: Any, of_first: Tensor, of_changes: Tensor) -> Tensor:
        (mixes,) = ctx.saved_tensors
        of_mixes = torch.cat([of_first.unsqueeze(0), of_changes])
        of_mixes[:-1].sub_(of_changes)
        product = of_mixes.mul_(mixes)
        return product.addcmul_(mixes, product.sum(1, keepdim=True), value=-1)


def mixed(
    first: Tensor, changes: Tensor, full: Tensor, blind: Tensor, full_mean: Tensor, mean: Tensor
) -> tuple[Tensor, Tensor]:
    """Mix a keypoint's own filters, and, as if they were its own, those of the others.

    Args:
        first: (H + 1, K, B) weights of the filters, the mean of all bins last.
        changes: (n, H + 1, K, B) other weights.
        full: (H, 3, K, B) filters with the centre frame: of the others; get no gradient [m].
        blind: (H, 3, K, B) without it: of the keypoint itself; get no gradient [m].
        full_mean: (3, K, B) mean of all bins with the centre frame [m].
        mean: (3, K, B) without it [m].

    Returns:
        (3, K, B) what `first` makes of the own filters [m], and what `changes` make of those of
        keypoint j with the weights of k: (3, K, n, K, B), at [:, j, i, k, b]; of j = k, of the own.
    """
    own, all_ = _Mixed.apply(first, changes, full, blind, full_mean, mean)  # type: ignore[no-untyped-call]
    return own, all_


class _Mixed(torch.autograd.Function):
    """The gradient by hand: sums of long rows, without a copy of what is left out of them."""

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        changes: Tensor,
        full: Tensor,
        blind: Tensor,
        full_mean: Tensor,
        mean: Tensor,
    ) -> tuple[Tensor, Tensor]:
        full, blind = torch.cat([full, full_mean[None]]), torch.cat([blind, mean[None]])
        weights = torch.cat([first[None], changes]).transpose(0, 1)
        own = sum_of_products(blind.unsqueeze(2), weights.unsqueeze(1))  # (3, n + 1, K, B)
        all_ = sum_of_products(full[..., None, None, :], weights[:, None, None, 1:])
        _itself(all_).copy_(own[:, 1:])
        ctx.save_for_backward(weights, full, blind)
        return own[:, 0].clone(), all_

    @staticmethod
    def backward(ctx: Any, of_first: Tensor, of_all: Tensor) -> tuple[Tensor | None, ...]:
        weights, full, blind = ctx.saved_tensors
        of_own = torch.cat([of_first.unsqueeze(1), _itself(of_all)], 1)
        of_others = of_all.clone()
        _itself(of_others).zero_()
        of_weights = sum_of_products(blind.transpose(0, 1).unsqueeze(1), of_own.unsqueeze(2))
        rows = full.permute(1, 2, 0, 3).flatten(0, 1)[:, None, :, None]
        of_changes = of_weights[1:]
        of_changes += sum_of_products(rows, of_others.flatten(0, 1).unsqueeze(2))
        of_full_mean = (of_others * weights[-1, 1:]).sum((2, 3))
        of_mean = (of_own * weights[-1]).sum(1)
        return of_weights[0], of_changes, None, None, of_full_mean, of_mean


def _itself(x: Tensor) -> Tensor:
    """Give the entries of (3, K, n, K, B) with twice the same keypoint: a view (3, n, K, B)."""
    return x.diagonal(dim1=1, dim2=3).transpose(-1, -2)
