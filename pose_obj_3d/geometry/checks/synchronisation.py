"""Look for a camera whose frames come earlier or later than the others'."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_residuals import centred_residuals, normalised

MAX_SHIFT = 8  # shifts up to so many frames are tried, early and late
MIN_MOVING, MAX_MOVING = 50, 800  # number of moving points that are looked at
SYNCHRONISED = 1.25  # the residual must fall by this factor
BLOCKS, AGREEING = 4, 3  # parts of the recording, and how many of them must find the same shift
_MIN_BLOCK = 10  # points


@dataclass(frozen=True)
class Shift:
    """A camera that is late, or early where `frames` is negative.

    Attributes:
        view: Its number.
        frames: How many frames later it shows what the others show.
        before: Median residual of moving points as they are [px].
        after: The same with its frames shifted [px].
    """

    view: int
    frames: int
    before: float
    after: float

    def line(self, names: Sequence[str]) -> str:
        """Return the warning."""
        side = "late" if self.frames > 0 else "early"
        other = "" if len(names) > 2 else " (or the other one the other way)"
        return (
            f"camera {names[self.view]} seems {abs(self.frames)} frame(s) {side}{other}: with its"
            f" frames shifted, moving points agree within {self.after:.1f} px instead of"
            f" {self.before:.1f}; synchronise the recordings"
        )


def find_shift(uv: Tensor, weights: Tensor, rig: Rig, first: Tensor) -> Shift | None:
    """Find the shift in time of one camera with which moving points agree better.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K), 0 = missing.
        rig: The cameras.
        first: (N,) first frame of each frame's sequence.
    """
    frame, keypoint = _moving(uv, weights, first)
    if len(frame) < MIN_MOVING:
        return None
    rig = normalised(rig)
    points, w = uv[frame, :, keypoint].double(), (weights[frame, :, keypoint] > 0).double()
    before = centred_residuals(points, w, rig)
    rows = (w > 0).sum(1) >= 2
    table: dict[
        tuple[int, int], Tensor
    ] = {}  # (view, shift) -> residual of each point, NaN where two views are no more
    own = torch.full((len(points),), torch.nan, dtype=torch.float64).masked_scatter(rows, before)
    for v in range(uv.shape[1]):
        for shift in [*range(-MAX_SHIFT, 0), *range(1, MAX_SHIFT + 1)]:
            moved, seen = points.clone(), w.clone()
            moved[:, v] = uv[frame + shift, v, keypoint].double()
            seen[:, v] = (weights[frame + shift, v, keypoint] > 0).double()
            rows = (seen > 0).sum(1) >= 2
            table[v, shift] = torch.full_like(own, torch.nan).masked_scatter(
                rows, centred_residuals(moved, seen, rig)
            )
    return _agreed(table, own, frame)


def _agreed(table: dict[tuple[int, int], Tensor], own: Tensor, frame: Tensor) -> Shift | None:
    """Return the best shift, if several parts of the recording find it independently.

    One part is not enough: errors that last for a while fit some shift by chance.
    """
    keys = list(table)
    found = torch.stack([table[key] for key in keys])  # (shifts, n)
    medians, before = found.nanmedian(1).values, float(own.nanmedian())
    best = int(medians.nan_to_num(torch.inf).argmin())
    after, (v, shift) = float(medians[best]), keys[best]
    if not after * SYNCHRONISED < before:
        return None
    agreeing = blocks = 0
    for part in frame.argsort(stable=True).chunk(BLOCKS):
        if len(part) < _MIN_BLOCK:
            continue
        blocks += 1
        at = found[:, part].nanmedian(1).values.nan_to_num(torch.inf)
        u, other = keys[int(at.argmin())]
        is_same = (u == v and abs(other - shift) <= 1) or (
            len({key[0] for key in keys}) == 2 and u != v and abs(other + shift) <= 1
        )
        agreeing += is_same and bool(at.min() < own[part].nanmedian())
    return Shift(v, shift, before, after) if agreeing >= min(AGREEING, blocks) > 1 else None


def shifted(uv: Tensor, weights: Tensor, first: Tensor, shift: Shift) -> tuple[Tensor, Tensor]:
    """Undo a shift; what leaves its sequence is missing. Shapes as in `find_shift`."""
    N = len(uv)
    wanted = torch.arange(N, device=uv.device) + shift.frames
    rows = wanted.clamp(0, N - 1)
    is_there = (rows == wanted) & (first[rows] == first)
    uv, weights = uv.clone(), weights.clone()
    uv[:, shift.view], weights[:, shift.view] = (
        uv[rows, shift.view],
        weights[rows, shift.view] * is_there[:, None],
    )
    return uv, weights


def _moving(uv: Tensor, weights: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return frames and keypoints (n,) of the fastest points that can be shifted in time."""
    N = len(uv)
    frame = torch.arange(N, device=uv.device)
    before, after = (frame - MAX_SHIFT).clamp_min(0), (frame + MAX_SHIFT).clamp_max(N - 1)
    has_room = (after - before == 2 * MAX_SHIFT) & (first[before] == first[after])
    a, b = (frame - 2).clamp_min(0), (frame + 2).clamp_max(N - 1)
    is_there = (weights[a] > 0) & (weights[b] > 0) & (weights > 0) & has_room[:, None, None]
    speed = (
        torch.where(is_there, (uv[b] - uv[a]).norm(dim=-1), torch.nan).nanmedian(1).values
    )  # (N, K)
    usable = speed.isfinite() & ((weights > 0).sum(1) >= 2)
    if not usable.any():
        return frame[:0], frame[:0]
    some = speed[usable]
    fast = some[:: max(1, len(some) // 100_000)].quantile(0.7)
    rows = (usable & (speed >= fast)).nonzero()
    step = max(1, len(rows) // MAX_MOVING)
    return rows[::step, 0], rows[::step, 1]
