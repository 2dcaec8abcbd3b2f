"""Solve block tridiagonal systems, many at once, with the blocks of the inverse that are needed.

Odd-even reduction (Golub and Van Loan, Matrix Computations, 4.5.4): every second block is
eliminated at once, so that a system of M blocks needs log2(M) steps of tensor operations, and long
sequences are as fast as many short ones. The selected inverse comes from the same factors
(Takahashi, Fagan and Chin 1973).

Matrices have their rows and columns first: (n, n, M, B), n = 3 or 6. Products are sums over rows of
long tensors, several times faster than batches of small matrices.
"""

import torch
from torch import Tensor


def solve(diagonal: Tensor, coupling: Tensor, moment: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Solve B symmetric positive definite systems of M blocks of size n.

    Args:
        diagonal: (n, n, M, B) blocks on the diagonal, symmetric; n is 3 or 6.
        coupling: (n, n, M - 1, B) blocks above it: rows of block m, columns of block m + 1.
        moment: (n, M, B) right hand sides.

    Returns:
        The solutions (n, M, B); of the inverse, the blocks on the diagonal (n, n, M, B) and those
        above it (n, n, M - 1, B).
    """
    M = diagonal.shape[2]
    if M == 1:
        inverse = invert(diagonal)
        return times_vector(inverse, moment), inverse, coupling
    # An odd block i between l and r: x_i = D_i^-1 y_i + G_l x_l + G_r x_r.
    own = invert(diagonal[:, :, 1::2])
    left, right = coupling[:, :, 0::2], coupling[:, :, 1::2]
    n_left, n_right = left.shape[2], right.shape[2]  # the last odd block may have no right one
    to_left = -times(own, left.transpose(0, 1))
    to_right = -times(own[:, :, :n_right], right)
    odd, even = moment[:, 1::2], moment[:, 0::2].clone()
    even[:, :n_left] += times_vector(to_left.transpose(0, 1), odd)
    even[:, 1 : 1 + n_right] += times_vector(to_right.transpose(0, 1), odd[:, :n_right])
    kept = diagonal[:, :, 0::2].clone()
    kept[:, :, :n_left] += times(left, to_left)
    kept[:, :, 1 : 1 + n_right] += times(right.transpose(0, 1), to_right)
    x, inverse, above = solve(kept, times(left[:, :, :n_right], to_right), even)
    x_odd = times_vector(own, odd) + times_vector(to_left, x[:, :n_left])
    x_odd[:, :n_right] += times_vector(to_right, x[:, 1 : 1 + n_right])
    with_left = times(to_left, inverse[:, :, :n_left])
    with_left[:, :, :n_right] += times(to_right, above.transpose(0, 1))
    with_right = times(to_left[:, :, :n_right], above)
    with_right += times(to_right, inverse[:, :, 1 : 1 + n_right])
    inverse_odd = own + times(with_left, to_left.transpose(0, 1))
    inverse_odd[:, :, :n_right] += times(with_right, to_right.transpose(0, 1))
    return (
        _interleaved(x, x_odd, 1),
        _interleaved(inverse, inverse_odd, 2),
        _interleaved(with_left.transpose(0, 1), with_right, 2),
    )


def times(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices (n, m, *) and (m, k, *): (n, k, *)."""
    total = a[:, 0:1] * b[0:1]
    for i in range(1, a.shape[1]):
        total.addcmul_(a[:, i : i + 1], b[i : i + 1])
    return total


def times_vector(a: Tensor, x: Tensor) -> Tensor:
    """Multiply matrices (n, m, *) and vectors (m, *): (n, *)."""
    total = a[:, 0] * x[0:1]
    for i in range(1, a.shape[1]):
        total.addcmul_(a[:, i], x[i : i + 1])
    return total


def invert(m: Tensor) -> Tensor:
    """Invert symmetric positive definite matrices (n, n, *), n = 3 or 6."""
    if len(m) == 3:
        return _invert_3(m)
    a, b, d = m[:3, :3], m[:3, 3:], m[3:, 3:]
    a_inverse = _invert_3(a)
    g = times(a_inverse, b)
    d_inverse = _invert_3(d - times(b.transpose(0, 1), g))
    across = times(g, d_inverse)
    upper = torch.cat([a_inverse + times(across, g.transpose(0, 1)), -across], 1)
    return torch.cat([upper, torch.cat([-across.transpose(0, 1), d_inverse], 1)], 0)


def _invert_3(m: Tensor) -> Tensor:
    a, b, c = m[0]
    d, e, f = m[1, 1], m[1, 2], m[2, 2]
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d
    D, E, F = a * f - c * c, b * c - a * e, a * d - b * b
    scale = (a * A + b * B + c * C).reciprocal()
    entries = torch.stack([A, B, C, B, D, E, C, E, F]) * scale
    inverse: Tensor = entries.reshape(3, 3, *a.shape)
    return inverse


def _interleaved(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """Put slices of two tensors in turn along an axis; the first begins."""
    shape = list(even.shape)
    shape[axis] += odd.shape[axis]
    joined = even.new_empty(shape)
    every = [slice(None)] * axis
    joined[(*every, slice(0, None, 2))] = even
    joined[(*every, slice(1, None, 2))] = odd
    return joined
