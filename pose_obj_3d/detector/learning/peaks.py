"""Peaks of heatmaps, and image points finer than the heatmap's cells.

Heatmaps are (B, K, h, w) logits; a cell (row, column) covers `stride` x `stride` pixels. Cells are
numbered row by row: row * w + column.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS = 5  # cells; two peaks are further apart than half of it


class Window(NamedTuple):
    """Logits of square windows around cells.

    Attributes:
        logits: (B, K, M, S) of the cells; cells beyond the border have `BEYOND`.
        x: (B, K, M, S) columns.
        y: (B, K, M, S) rows.
    """

    logits: Tensor
    x: Tensor
    y: Tensor


BEYOND = -1e4


def find_peaks(heat: Tensor, count: int) -> Tensor:
    """Return the cells (B, K, count) of the highest peaks, the highest one first.

    Where a map has fewer peaks, the lowest ones are any cells.
    """
    side, margin = NEIGHBOURS, NEIGHBOURS // 2
    highest = functional.max_pool2d(
        heat, (side, 1), 1, (margin, 0)
    )  # rows, then columns: half the time
    highest = functional.max_pool2d(highest, (1, side), 1, (0, margin))
    only_peaks = heat.masked_fill(heat < highest, BEYOND)
    return only_peaks.flatten(2).topk(count, dim=-1).indices


def window(heat: Tensor, cells: Tensor, radius: int) -> Window:
    """Cut (2 radius + 1)^2 windows out around cells (B, K, M)."""
    height, width = heat.shape[-2:]
    offsets = torch.arange(-radius, radius + 1, device=heat.device)
    rows = (cells // width)[..., None, None] + offsets[:, None]
    columns = (cells % width)[..., None, None] + offsets
    is_there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    found = heat.flatten(2).gather(2, flat.flatten(2)).view(flat.shape)
    shape = flat.shape
    return Window(
        found.masked_fill(~is_there, BEYOND).flatten(3),
        columns.expand(shape).flatten(3).to(heat.dtype),
        rows.expand(shape).flatten(3).to(heat.dtype),
    )


def soft_argmax(part: Window, stride: int) -> tuple[Tensor, Tensor]:
    """Return image points (B, K, M, 2) [px] and the entropies (B, K, M) [nats] of windows."""
    share = part.logits.softmax(-1)
    point = torch.stack([(share * part.x).sum(-1), (share * part.y).sum(-1)], -1)
    entropy = -(share * (share + 1e-9).log()).sum(-1)
    return (point + 0.5) * stride, entropy


def cells_at(uv: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Return the cells (...) in which image points (..., 2) lie, or the nearest ones.

    Args:
        uv: Image points [px].
        stride: Size of a cell [px].
        size: Height and width of the map [cells].
    """
    cell = (uv / stride).floor().long()
    return cell[..., 1].clamp(0, size[0] - 1) * size[1] + cell[..., 0].clamp(0, size[1] - 1)
