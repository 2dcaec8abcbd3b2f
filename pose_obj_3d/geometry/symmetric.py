"""Symmetric 3 x 3 matrices, entries first: (6, *) holds the upper triangle, row by row.

Long rows of equal entries are added and multiplied many times faster than small matrices.
"""

from typing import Any

import torch
from torch import Tensor

UPPER = (0, 1, 2, 4, 5, 8)  # of the nine entries, row by row
FULL = (0, 1, 2, 1, 3, 4, 2, 4, 5)
DIAGONAL = (0, 3, 5)


def pack(m: Tensor) -> Tensor:
    """Return (6, *) of (3, 3, *)."""
    entries = m.flatten(0, 1).unbind(0)
    return torch.stack([entries[i] for i in UPPER])


def unpack(s: Tensor) -> Tensor:
    """Return (3, 3, *) of (6, *)."""
    entries = s.unbind(0)
    return torch.stack([entries[i] for i in FULL]).view(3, 3, *s.shape[1:])


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


def between(s: Tensor, t: Tensor) -> Tensor:
    """Return S T S: (6, *), (6, *) -> (6, *)."""
    S, T = unpack(s), unpack(t)
    ST = [[_dot(S[i], T[:, j]) for j in range(3)] for i in range(3)]
    rows = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    return torch.stack([_dot(ST[i], S[:, j]) for i, j in rows])


def symmetric_outer(v: Tensor, w: Tensor) -> Tensor:
    """Return (v w^T + w v^T) / 2: (3, *), (3, *) -> (6, *)."""
    a, b = v.unbind(0), w.unbind(0)
    return torch.stack(
        [
            a[0] * b[0],
            (a[0] * b[1] + a[1] * b[0]) / 2,
            (a[0] * b[2] + a[2] * b[0]) / 2,
            a[1] * b[1],
            (a[1] * b[2] + a[2] * b[1]) / 2,
            a[2] * b[2],
        ]
    )


def _dot(v: Any, w: Any) -> Tensor:
    found: Tensor = torch.addcmul(torch.addcmul(v[0] * w[0], v[1], w[1]), v[2], w[2])
    return found


def _apply(s: Tensor, v: Tensor) -> Tensor:
    a, b, c, d, e, f = s.unbind(0)
    return torch.stack([_dot(row, v) for row in ((a, b, c), (b, d, e), (c, e, f))])


def _invert(s: Tensor) -> Tensor:
    a, b, c, d, e, f = s.unbind(0)
    pairs = ((d, f, e, e), (c, e, b, f), (b, e, c, d), (a, f, c, c), (b, c, a, e), (a, d, b, b))
    cofactors = [torch.addcmul(p * q, r, t, value=-1) for p, q, r, t in pairs]
    return torch.stack(cofactors) / _dot((a, b, c), cofactors)


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
            of_s = symmetric_outer(grad, v)
            of_s[[1, 2, 4]] *= 2  # each of these entries stands for two
            of_s = of_s.sum_to_size(s.shape)
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
        half = -grad
        half[[1, 2, 4]] /= 2
        found = between(inverse, half)
        found[[1, 2, 4]] *= 2
        return found
