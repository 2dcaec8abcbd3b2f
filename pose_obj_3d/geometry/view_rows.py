"""What views see of many points, in long rows (V, n): 4 times faster than small matrices."""

from collections.abc import Sequence

import torch
from torch import Tensor


def seen_rows(xyz_world: Tensor, weights: Tensor, P: Tensor) -> tuple[list[Tensor], Tensor]:
    """Multiply points (*, 3) by matrices (V, 3, 4).

    Returns:
        Three coordinates (V, n) each, and the weights (*, V) as (V, n).
    """
    V, points = len(P), xyz_world.reshape(-1, 3).T
    seen = (P[:, :, :3].reshape(-1, 3) @ points).reshape(V, 3, -1) + P[:, :, 3:]
    w = weights.expand(*xyz_world.shape[:-1], V).reshape(-1, V).T
    return list(seen.unbind(1)), w


def sum_of_products(a: list[Tensor], b: list[Tensor], w: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the sum over views of w (a a^T + b b^T), (*, 3, 3), of rows (V, n) of a and b."""
    entries: dict[tuple[int, int], Tensor] = {}
    for i in range(3):
        wa, wb = w * a[i], w * b[i]
        for j in range(i, 3):
            entries[i, j] = entries[j, i] = torch.addcmul(wa * a[j], wb, b[j]).sum(0)
    stacked = torch.stack([entries[i, j] for i in range(3) for j in range(3)], -1)
    return stacked.reshape(*shape, 3, 3)
