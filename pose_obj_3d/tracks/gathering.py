"""Windows and stretches of frames, cut out of tracks. Owns the window rule.

A window is a row of frame numbers, clamped to its example.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.tracks.types import Bins, Tracks, Windows


def take(windows: Windows, rows: slice) -> Windows:
    """Return some of the windows."""
    values: dict[str, Any] = {f.name: getattr(windows, f.name) for f in fields(windows)}
    taken: dict[str, Any] = {
        k: v[rows] if isinstance(v, Tensor) else None for k, v in values.items()
    }
    return Windows(**taken)


def mask_views(windows: Windows, keep: Tensor) -> Windows:
    """Set the weights of views to 0 where keep (B, V) is False.

    For models that read `uv` and `weights`: the triangulation of the frames still knows all views.
    """
    kept = keep[:, None, :, None]
    return replace(windows, weights=windows.weights * kept, robust=windows.robust * kept)


def gather_windows(
    tracks: Tracks, centres: Tensor, num_frames: int, used_frames: int | None = None
) -> Windows:
    """Cut windows by index: frames outside the example repeat its edge.

    Args:
        tracks: The data.
        centres: (B,) int64 numbers of the centre frames.
        num_frames: T, odd.
        used_frames: Odd; frames further from the centre count as not there (default: all are used).
    """
    pad = (num_frames - 1) // 2
    offsets = torch.arange(-pad, pad + 1, device=centres.device)
    wanted = centres[:, None] + offsets
    index = wanted.clamp(tracks.first[centres][:, None], tracks.last[centres][:, None])
    is_distinct = index == wanted
    if used_frames is not None:
        is_distinct = is_distinct & (offsets.abs() <= (used_frames - 1) // 2)
    rows = index.flatten()

    def cut(x: Tensor) -> Tensor:  # several times as fast as x[index]
        return x.index_select(0, rows).view(*index.shape, *x.shape[1:])

    return Windows(
        uv=cut(tracks.uv),
        weights=cut(tracks.weights),
        robust=cut(tracks.robust),
        xyz=cut(tracks.xyz),
        info=cut(tracks.info),
        is_distinct=is_distinct,
        keypoint=tracks.keypoint.index_select(0, centres),
        truth=None if tracks.truth is None else tracks.truth.index_select(0, centres),
    )


def gather_for(
    model: nn.Module,
    tracks: Tracks,
    centres: Tensor,
    num_frames: int,
    used_frames: int | None = None,
) -> Windows:
    """Cut windows by the model's own method `gather`, if it has one; else by `gather_windows`."""
    gather = getattr(model, "gather", gather_windows)
    windows: Windows = gather(tracks, centres, num_frames, used_frames)
    return windows


def gather_bins(
    tracks: Tracks,
    centres: Tensor,
    ranges: Sequence[tuple[int, int]],
    used_frames: int | None = None,
) -> Bins:
    """Average stretches of frames by their information: two look-ups in running sums for each.

    Args:
        tracks: The data.
        centres: (B,) numbers of the centre frames.
        ranges: (first, last) offsets of each stretch; what lies outside the example is left out.
        used_frames: Odd; frames further from the centre count as not there.
    """
    reach = (
        max(max(abs(a), abs(b)) for a, b in ranges)
        if used_frames is None
        else (used_frames - 1) // 2
    )
    cut = [(max(a, -reach), min(b, reach) + 1) for a, b in ranges]
    cut = [(a, b) if a < b else (0, 0) for a, b in cut]
    # A stretch that begins where the one before it ends shares the look-up.
    begins = [i for i, (a, _) in enumerate(cut) if i == 0 or a != cut[i - 1][1]]
    runs = [cut[i:j] for i, j in pairwise([*begins, len(cut)])]
    edges = torch.tensor(
        [x for run in runs for x in (run[0][0], *(b for _, b in run))], device=centres.device
    )
    at = (centres[:, None] + edges).clamp(
        tracks.first[centres][:, None], tracks.last[centres][:, None] + 1
    )
    B, R, K = len(centres), len(cut), tracks.xyz.shape[1]
    found, total = tracks.sums[at], tracks.sums.new_empty(B, K, R, 3, 4)
    frames, begin = at.new_empty(B, R), 0
    for number, run in enumerate(runs):
        inside, low = slice(begin, begin + len(run)), begin + number
        start, stop = slice(low, low + len(run)), slice(low + 1, low + len(run) + 1)
        total[:, :, inside] = (found[:, stop] - found[:, start]).transpose(1, 2)
        frames[:, inside] = at[:, stop] - at[:, start]
        begin += len(run)
    by_entry = total.movedim((-2, -1), (0, 1)).contiguous()
    is_empty = (by_entry[0, 1] + by_entry[1, 2] + by_entry[2, 3] < 1.0)[..., None]
    xyz = torch.stack(geometry.solve_information(by_entry)[0], -1)
    return Bins(
        xyz=xyz.float().masked_fill_(is_empty, 0.0),
        info=total[..., 1:].float().masked_fill_(is_empty[..., None], 0.0),
        frames=frames,
    )
