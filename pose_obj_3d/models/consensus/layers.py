"""Layers of STC's network.

With few keypoints a frame is small, but a batch has many frames. So where keypoints meet, each
number of a frame becomes a long row, one entry for each window: channels first, then keypoints,
windows last. Sums over keypoints and heads are sums of rows. Between these places the network works
on tokens (K B, D), as torch's own layers do; a product of matrices turns one into the other.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

_FEW = 6  # keypoints up to which all products are made at once and then summed


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a layer to (D, *): (D', *)."""
    return affine(layer.weight, layer.bias, x.flatten(1)).view(-1, *x.shape[1:])


def affine(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Return W x + b: (D', D), (D'), (D, n) -> (D', n); x may be the transpose of tokens."""
    return torch.addmm(bias.unsqueeze(1), weight, x)


def sequence(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Apply linear layers and functions, one after the other, to (D, *)."""
    for layer in layers:
        x = linear(layer, x) if isinstance(layer, nn.Linear) else layer(x)
    return x


def sum_of_products(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Sum A[n] B[n] over n, into `out` if it is given; the other axes broadcast.

    Without a gradient. Batches of small matrices whose windows come last are copied one by one to
    be multiplied: long rows are faster.
    """
    total = torch.mul(a[0], b[0], out=out)
    for x, y in zip(a[1:], b[1:], strict=True):
        total.addcmul_(x, y)
    return total


def quadratic(a: Tensor, x: Tensor) -> Tensor:
    """Return x^T A x: symmetric data (H, H), (H, *) -> (*)."""
    found: Tensor = _Quadratic.apply(a, x)  # type: ignore[no-untyped-call]
    return found


class _Quadratic(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor) -> Tensor:
        ax = (a @ x.flatten(1)).view(x.shape)
        ctx.save_for_backward(ax)
        return (x * ax).sum(0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (ax,) = ctx.saved_tensors
        return None, ax * (2 * grad)


def products(a: Tensor, b: Tensor) -> Tensor:
    """Multiply every keypoint j with every keypoint k: (h, D, K, B) twice -> (h, K, K, B)."""
    if a.shape[2] > _FEW:
        return sum_of_products(a.unsqueeze(3).movedim(1, 0), b.unsqueeze(2).movedim(1, 0))
    return (a.unsqueeze(3) * b.unsqueeze(2)).sum(1)


def _mix(share: Tensor, of: Tensor, axis: int, out: Tensor | None = None) -> Tensor:
    """Sum (h, D, K, B) with shares (h, K, K, B) over their first or second keypoint."""
    a = share.unsqueeze(1).movedim(2 + axis, 0)
    return sum_of_products(a, of.unsqueeze(3 - axis).movedim(2 + axis, 0), out)


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
        of_qkv = torch.empty_like(qkv)
        _mix(of_score, k, 0, of_qkv[0])
        _mix(of_score, q, 1, of_qkv[1])
        _mix(share, grad, 1, of_qkv[2])
        return of_qkv, None


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

    @property
    def is_on(self) -> bool:
        """Whether anything is dropped."""
        return self.training and self.rate > 0

    def forward(self, x: Tensor) -> Tensor:
        """Set a share of the entries (*, B) to 0 in training, and make up for it."""
        if not self.is_on:
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
            x: (K B, D), all windows of a keypoint one behind the other.
            is_hidden: (K, B); these keypoints are padding and are not listened to.

        Returns:
            (K B, D).
        """
        qkv = affine(self.qkv.weight, self.qkv.bias, self.norm_attention(x).T)
        qkv = qkv.view(3, self.heads, -1, *is_hidden.shape)
        mixed: Tensor = _Attend.apply(qkv, is_hidden)  # type: ignore[no-untyped-call]
        x = x + self._drop(self.out(mixed.view(x.shape[1], -1).T), is_hidden.shape)
        out: Tensor = x + self._drop(self.mlp(self.norm_mlp(x)), is_hidden.shape)
        return out

    def _drop(self, x: Tensor, shape: torch.Size) -> Tensor:
        if not self.dropout.is_on:
            return x
        kept: Tensor = self.dropout(x.T.reshape(-1, *shape))
        return kept.flatten(1).T
