"""Symmetric 3 x 3 matrices, entries first: (6, *) holds the upper triangle, row by row.

Long rows of equal entries are added and multiplied many times faster than small matrices.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

UPPER = (0, 1, 2, 4, 5, 8)  # of the nine entries, row by row
FULL = (0, 1, 2, 1, 3, 4, 2, 4, 5)
DIAGONAL = (0, 3, 5)
_SMALLEST = 1e-30  # determinant


def pack(m: Tensor) -> Tensor:
    """Return (6, *) of (3, 3, *)."""
    return m.flatten(0, 1).index_select(0, _numbers(UPPER, m.device))


def unpack(s: Tensor) -> Tensor:
    """Return (3, 3, *) of (6, *)."""
    return s.index_select(0, _numbers(FULL, s.device)).view(3, 3, *s.shape[1:])


def add_to_diagonal(s: Tensor, x: Tensor | float) -> Tensor:
    """Return S + x Id: (6, *) and a number or (*)."""
    a, b, c, d, e, f = s.unbind(0)
    return torch.stack([a + x, b, c, d + x, e, f + x])


def outer(v: Tensor) -> Tensor:
    """Return v v^T: (3, *) -> (6, *)."""
    x, y, z = v.unbind(0)
    return torch.stack([x * x, x * y, x * z, y * y, y * z, z * z])


def inner(s: Tensor, t: Tensor) -> Tensor:
    """Return the trace of S T: (6, *), (6, *) -> (*)."""
    a, b, c, d, e, f = (s * t).unbind(0)
    return a + d + f + 2 * (b + c + e)


def apply(s: Tensor, v: Tensor) -> Tensor:
    """Return S v: (6, *), (3, *) -> (3, *). The axes after the first may broadcast."""
    if torch.is_grad_enabled() and (s.requires_grad or v.requires_grad):
        found: Tensor = _Apply.apply(s, v)  # type: ignore[no-untyped-call]
        return found
    return _apply(s, v)


def invert(s: Tensor) -> Tensor:
    """Return the inverse (6, *)."""
    if torch.is_grad_enabled() and s.requires_grad:
        found: Tensor = _Inverse.apply(s)  # type: ignore[no-untyped-call]
        return found
    return _invert(s)


def log_det(s: Tensor) -> Tensor:
    """Return the log determinant (*) of positive definite (6, *); -69 at least."""
    found: Tensor = _LogDet.apply(s)  # type: ignore[no-untyped-call]
    return found


def log_of(determinant: Tensor) -> Tensor:
    """Return the log of a determinant, which rounding may have made 0 or negative."""
    return determinant.clamp_min(_SMALLEST).log()


def between(s: Tensor, t: Tensor) -> Tensor:
    """Return S T S: (6, *), (6, *) -> (6, *)."""
    S = unpack(s)
    return pack(product(product(S, unpack(t)), S))


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return A B: (3, 3, *), (3, 3, *) -> (3, 3, *)."""
    return _dot(a.unsqueeze(2).unbind(1), b.unbind(0))


def symmetric_outer(v: Tensor, w: Tensor) -> Tensor:
    """Return (v w^T + w v^T) / 2: (3, *), (3, *) -> (6, *)."""
    return scale_off_diagonal(_entries_of_outer(v, w), 1 / 2)


def scale_off_diagonal(s: Tensor, factor: float) -> Tensor:
    """Multiply the entries beside the diagonal, each of which stands for two, in place."""
    s[1:3].mul_(factor)
    s[4].mul_(factor)
    return s


@cache
def _numbers(entries: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # it is kept, and used where gradients are needed, too
        return torch.tensor(entries, device=device)


def _dot(v: Sequence[Tensor], w: Sequence[Tensor]) -> Tensor:
    return torch.addcmul(torch.addcmul(v[0] * w[0], v[1], w[1]), v[2], w[2])


def _apply(s: Tensor, v: Tensor) -> Tensor:
    return _dot(unpack(s).unbind(1), v.unbind(0))


def _entries_of_outer(v: Tensor, w: Tensor) -> Tensor:
    """Return the sums of the entries of v w^T that each entry of (6, *) stands for."""
    a, b, c = v.unbind(0)
    x, y, z = w.unbind(0)
    off = [torch.addcmul(p * q, r, t) for p, q, r, t in ((a, y, b, x), (a, z, c, x), (b, z, c, y))]
    return torch.stack([a * x, off[0], off[1], b * y, off[2], c * z])


def invert_with_determinant(s: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverse (6, *) and the determinant (*), without a gradient."""
    a, b, c, d, e, f = s.unbind(0)
    pairs = ((d, f, e, e), (c, e, b, f), (b, e, c, d), (a, f, c, c), (b, c, a, e), (a, d, b, b))
    cofactors = [torch.addcmul(p * q, r, t, value=-1) for p, q, r, t in pairs]
    determinant = _dot((a, b, c), cofactors)
    return torch.stack(cofactors).div_(determinant), determinant


def _invert(s: Tensor) -> Tensor:
    return invert_with_determinant(s)[0]


class _Apply(torch.autograd.Function):
    """Its gradient is a product of the same kind: a few long rows in place of many small steps."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(s, v)
        return _apply(s, v)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        s, v = ctx.saved_tensors
        of_s = of_v = None
        if ctx.needs_input_grad[0]:
            of_s = _entries_of_outer(grad, v).sum_to_size(s.shape)
        if ctx.needs_input_grad[1]:
            of_v = _apply(s, grad).sum_to_size(v.shape)
        return of_s, of_v


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor) -> Tensor:
        inverse = _invert(s)
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        return scale_off_diagonal(between(inverse, scale_off_diagonal(-grad, 1 / 2)), 2)


class _LogDet(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor) -> Tensor:
        inverse, determinant = invert_with_determinant(s)
        ctx.save_for_backward(inverse, determinant)
        return log_of(determinant)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        inverse, determinant = ctx.saved_tensors
        by_entry = torch.where(determinant > _SMALLEST, grad * inverse, 0.0)
        return scale_off_diagonal(by_entry, 2)
