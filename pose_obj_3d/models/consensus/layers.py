"""Layers of STC's network: channels first, then keypoints, windows last.

With few keypoints a frame is small, but a batch has many frames. So each number of a frame becomes
a long row, one entry for each window; sums over keypoints, heads and channels are sums of rows.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

_FEW = 6  # keypoints up to which sums of rows are faster than many small products of matrices


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a layer to (D, *): (D', *)."""
    return affine(layer.weight, layer.bias, x)


def affine(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Return W x + b: (D', D), (D'), (D, *) -> (D', *)."""
    return torch.addmm(bias.unsqueeze(1), weight, x.flatten(1)).view(-1, *x.shape[1:])


def sequence(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Apply linear layers and functions, one after the other."""
    for layer in layers:
        x = linear(layer, x) if isinstance(layer, nn.Linear) else layer(x)
    return x


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        centred = x - x.mean(0)
        scale = (centred.square().mean(0) + eps).rsqrt_()
        normed = centred.mul_(scale)
        ctx.save_for_backward(normed, scale, weight)
        return torch.addcmul(bias.unsqueeze(1), normed, weight.unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normed, scale, weight = ctx.saved_tensors
        product = grad * normed
        of_weight, of_bias = product.sum(1), grad.sum(1)
        along = weight @ product
        along /= len(weight)
        of_normed = grad * weight.unsqueeze(1)
        of_x = of_normed.sub_(of_normed.mean(0)).addcmul_(normed, along, value=-1).mul_(scale)
        return of_x, of_weight, of_bias, None


def layer_norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    """Normalise each column of (D, *)."""
    found: Tensor = _Norm.apply(x.flatten(1), layer.weight, layer.bias, layer.eps)  # type: ignore[no-untyped-call]
    return found.view(x.shape)


def sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """Sum A[n] B[n] over n; the other axes broadcast.

    Without a gradient. Batches of small matrices whose windows come last are copied one by one to
    be multiplied: long rows are faster.
    """
    total = a[0] * b[0]
    for x, y in zip(a[1:], b[1:], strict=True):
        total.addcmul_(x, y)
    return total


def products(a: Tensor, b: Tensor) -> Tensor:
    """Multiply every keypoint j with every keypoint k: (h, D, K, B) twice -> (h, K, K, B)."""
    if a.shape[2] > _FEW:
        return torch.einsum("hdjb,hdkb->hjkb", a, b).contiguous()
    return (a.unsqueeze(3) * b.unsqueeze(2)).sum(1)


def _mix(share: Tensor, of: Tensor, axis: int) -> Tensor:
    """Sum (h, D, K, B) with shares (h, K, K, B) over their first or second keypoint."""
    if of.shape[2] > _FEW:
        rule = "hjkb,hdjb->hdkb" if axis == 0 else "hjkb,hdkb->hdjb"
        return torch.einsum(rule, share, of).contiguous()
    return (share.unsqueeze(1) * of.unsqueeze(3 - axis)).sum(2 + axis)


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return products(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return _mix(grad, b, 1), _mix(grad, a, 0)


def all_products(a: Tensor, b: Tensor) -> Tensor:
    """Compute `products` with a gradient."""
    found: Tensor = _Products.apply(a, b)  # type: ignore[no-untyped-call]
    return found


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, is_hidden: Tensor) -> Tensor:
        q, k, v = qkv.unbind(0)
        score = products(k, q).mul_(1 / math.sqrt(q.shape[1]))
        score.masked_fill_(is_hidden.unsqueeze(1), -1e4)
        share = score.sub_(score.amax(1, keepdim=True)).exp_()
        share.div_(share.sum(1, keepdim=True))
        ctx.save_for_backward(qkv, share)
        return _mix(share, v, 0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        qkv, share = ctx.saved_tensors
        q, k, v = qkv.unbind(0)
        of_share = products(v, grad).mul_(share)
        of_score = of_share.addcmul_(share, of_share.sum(1, keepdim=True), value=-1)
        of_score.mul_(1 / math.sqrt(q.shape[1]))
        parts = (_mix(of_score, k, 0), _mix(of_score, q, 1), _mix(share, grad, 1))
        return torch.stack(parts), None


class BatchDropout(nn.Module):
    """Dropout by draws for a whole batch, of which this process may have only some windows.

    So what is drawn for a window does not depend on the number of processes.

    Attributes:
        part: Which windows of the batch are here, and how many it has; None: all.
    """

    part: tuple[slice, int] | None = None

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Set a share of the entries (*, B) to 0 in training, and make up for it."""
        if not self.training or self.rate == 0:
            return x
        rows, total = self.part or (slice(None), x.shape[-1])
        keep = torch.empty(*x.shape[:-1], total, device=x.device).bernoulli_(1 - self.rate)
        return x * keep[..., rows][..., : x.shape[-1]] / (1 - self.rate)


class KeypointAttention(nn.Module):
    """Pre-norm transformer layer over the K keypoints of a frame."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.dropout = BatchDropout(dropout)

    def forward(self, x: Tensor, is_hidden: Tensor) -> Tensor:
        """Exchange information between keypoints.

        Args:
            x: (D, K, B).
            is_hidden: (K, B); these keypoints are padding and are not listened to.

        Returns:
            (D, K, B).
        """
        qkv = linear(self.qkv, layer_norm(self.norm_attention, x))
        qkv = qkv.view(3, self.heads, -1, *x.shape[1:])
        mixed = _Attend.apply(qkv, is_hidden)  # type: ignore[no-untyped-call]
        x = x + self.dropout(linear(self.out, mixed.flatten(0, 1)))
        out: Tensor = x + self.dropout(sequence(self.mlp, layer_norm(self.norm_mlp, x)))
        return out
