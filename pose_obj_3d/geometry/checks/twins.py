"""Find keypoints with identical points: one label used twice, or one detection given to both."""

from collections.abc import Sequence

import torch
from torch import Tensor

MIN_FRAMES = 5  # in which both are seen
SHARE = 0.5  # of these frames, in which the points are identical
_MAX_FRAMES, _MAX_SHOWN = 100, 5
_CELLS = 4_000_000  # compared at once


def without_twins(
    raw: Tensor, weights: Tensor, views: Sequence[str], keypoints: Sequence[str]
) -> tuple[list[str], Tensor]:
    """Name keypoints with identical points, and leave them out of further checks.

    Args:
        raw: (N, V, K, 2) as detected [px].
        weights: (N, V, K), 0 = missing.
        views: V names.
        keypoints: K names.

    Returns:
        One line for each group of keypoints, and the weights without them. Of a group that is the
        same in all views, one keypoint stays. Where only some views show it, the whole group is
        left out in these views: any of its keypoints may be wrong there.
    """
    same = torch.stack([_same(raw[:, v], weights[:, v]) for v in range(len(views))])  # (V, K, K)
    lines, weights = [], weights.clone()
    seen = (weights > 0).any(0)  # (V, K)
    for group in _groups(same.any(0)):
        rows = [v for v in range(len(views)) if bool(same[v][group][:, group].any())]
        able = [v for v in range(len(views)) if int(seen[v, group].sum()) > 1]
        everywhere = rows == able
        where = (
            "all cameras"
            if everywhere
            else f"camera {', '.join(views[v] for v in rows[:_MAX_SHOWN])}"
        )
        named = ", ".join(keypoints[k] for k in group[:_MAX_SHOWN]) + (
            f" and {len(group) - _MAX_SHOWN} more" if len(group) > _MAX_SHOWN else ""
        )
        advice = (
            "is one label used twice?"
            if everywhere
            else "one detection was given to both; only one of them can be right there"
        )
        lines.append(f"keypoints {named} have identical points in {where}: {advice}")
        for v in rows:
            weights[:, v, group[1:] if everywhere else group] = 0
    return lines, weights


def _same(raw: Tensor, weights: Tensor) -> Tensor:
    """Say which keypoints (K, K) of a view (N, K, 2) are identical in most frames with both."""
    K = weights.shape[1]
    both_seen = (weights > 0).sum(1) >= 2
    frames = both_seen.nonzero().squeeze(-1)
    if len(frames) == 0 or K < 2:
        return torch.zeros(K, K, dtype=torch.bool, device=raw.device)
    limit = max(MIN_FRAMES, min(_MAX_FRAMES, _CELLS // (K * K)))
    frames = frames[
        torch.linspace(0, len(frames) - 1, min(limit, len(frames)), dtype=torch.float64)
        .round()
        .long()
    ]
    x, w = raw[frames], weights[frames] > 0
    both = w[:, :, None] & w[:, None]
    equal = ((x[:, :, None] == x[:, None]).all(-1) & both).sum(0)
    count = both.sum(0)
    same: Tensor = (equal > SHARE * count) & (count >= min(MIN_FRAMES, len(raw)))
    return same.fill_diagonal_(False)


def _groups(same: Tensor) -> list[list[int]]:
    """Return the groups of keypoints that are linked (K, K)."""
    left = set(same.any(0).nonzero().squeeze(-1).tolist())
    groups = []
    while left:
        group, new = set(), {min(left)}
        while new:
            group |= new
            new = {j for k in new for j in same[k].nonzero().squeeze(-1).tolist()} - group
        left -= group
        groups.append(sorted(group))
    return groups
