"""Means and covariances of chains of frames: block tridiagonal systems, many at once."""

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry


def solve_chain(own: Tensor, link: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Solve for the states of chains in which every state is tied to the one before and after.

    The information matrix has the blocks `own` on its diagonal, and -diag(link) beside it. It is
    factored forward in time and solved backward.

    Args:
        own: (T, S, n, n) blocks of S chains of T frames, positive definite together.
        link: (T - 1, S, n) how strongly each coordinate is tied to the next frame's.
        moment: (T, S, n) right hand side.

    Returns:
        The states (T, S, n), and the covariance of each (T, S, n, n).
    """
    T = len(own)
    spread, part = [_inverse(own[0])], [moment[0]]
    for t in range(1, T):
        tie = link[t - 1]
        carried = tie.unsqueeze(-1) * spread[-1]
        spread.append(_inverse(own[t] - carried * tie.unsqueeze(-2)))
        part.append(moment[t] + (carried @ part[-1].unsqueeze(-1)).squeeze(-1))
    states = [(spread[-1] @ part[-1].unsqueeze(-1)).squeeze(-1)]
    covariances = [spread[-1]]
    for t in range(T - 2, -1, -1):
        states.append((spread[t] @ (part[t] + link[t] * states[-1]).unsqueeze(-1)).squeeze(-1))
        gain = spread[t] * link[t].unsqueeze(-2)
        covariances.append(spread[t] + gain @ covariances[-1] @ gain.transpose(-1, -2))
    return torch.stack(states[::-1]), torch.stack(covariances[::-1])


def _inverse(m: Tensor) -> Tensor:
    """Invert positive definite (S, n, n)."""
    if m.shape[-1] == 3:
        return geometry.invert_3x3(m)
    factor, _ = torch.linalg.cholesky_ex((m + m.transpose(-1, -2)) / 2)
    found: Tensor = torch.cholesky_inverse(factor)
    return found
