"""How far pairs of points are from the epipolar constraint of two cameras.

It is fast enough to try many orders of views.

The Sampson distance (Hartley, Zisserman 11.4.3) needs no triangulation. It has no sign of depth, so
what it proposes is to be confirmed by a triangulation.
"""

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.checks.hypotheses import Views, pair_orders

MAX_ORDERED = 6  # up to so many cameras, all their orders are tried
_MAX_PAIRS = 60  # points of each camera that are looked at
MAX_KEYPOINTS = 150
MIN_KEPT = 0.8  # share of the points that a hypothesis must leave


def essential(extrinsics: Tensor) -> Tensor:
    """Return E (V, V, 3, 3): x_j^T E[i, j] x_i = 0 for rays x of a point in cameras i and j."""
    R, t = extrinsics[:, :, :3], extrinsics[:, :, 3]
    turn = torch.einsum("jab,icb->ijac", R, R)  # R_j R_i^T
    shift = t[None] - torch.einsum("ijab,ib->ija", turn, t)
    x, y, z = shift.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    return cross @ turn


def sampson(E: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return how far rays a, b (*, 2) at depth 1 are from b^T E a = 0, in focal lengths."""
    a, b = (torch.cat([x, torch.ones_like(x[..., :1])], -1) for x in (a, b))
    Ea, Eb = torch.einsum("...ij,...j->...i", E, a), torch.einsum("...ji,...j->...i", E, b)
    value = (b * Ea).sum(-1).abs()
    distance: Tensor = value / (
        Ea[..., :2].square().sum(-1) + Eb[..., :2].square().sum(-1)
    ).sqrt().clamp_min(1e-12)
    return distance


def distance(views: Views) -> float:
    """Return the mean over pairs of cameras of their median distance, in focal lengths."""
    return float(distances(views, 1)[0])


def distances(views: Views, groups: int) -> Tensor:
    """Return `distance` of equally many frames each: (groups,)."""
    ideal, w = views.points()
    V = w.shape[1]
    rays = multi_view.normalise_uv(ideal.transpose(1, 2), views.rig.intrinsics.double()).reshape(
        groups, -1, V, 2
    )
    seen = (w > 0).transpose(1, 2).reshape(groups, -1, V)
    E = essential(views.rig.extrinsics.double())
    a, b = torch.triu_indices(V, V, 1)
    off = torch.where(
        seen[..., a] & seen[..., b], sampson(E[a, b], rays[..., a, :], rays[..., b, :]), torch.nan
    )
    result = off.nanmedian(1).values.nanmean(-1).nan_to_num(torch.inf)
    # A hypothesis for which most points have no inverse in the lens explains nothing.
    kept, given = seen.sum((1, 2)), (views.w > 0).reshape(groups, -1).sum(1)
    return torch.where(kept < MIN_KEPT * given, torch.inf, result)


def orders(views: Views, extrinsics_only: bool, best: int = 3) -> list[list[int]]:
    """Return the orders of views with the smallest epipolar distances."""
    V = views.w.shape[1]
    table = _order_table(views, extrinsics_only)
    pairs = sorted(pair_orders(V), key=lambda order: _cost(table, order))[:best]
    # Only cameras that agree with no other one may have another place in the order.
    alone = _pairwise(table, list(range(V))).nanmedian(1).values.nan_to_num(0.0)
    open_ = sorted(alone.argsort(descending=True).tolist()[:MAX_ORDERED])
    general = min(permutations(open_), key=lambda p: _cost(table, _completed(V, open_, p)))
    found = _completed(V, open_, general)
    return pairs + ([found] if sum(v != o for v, o in enumerate(found)) > 2 else [])


def _completed(V: int, open_: Sequence[int], chosen: Sequence[int]) -> list[int]:
    order = list(range(V))
    for v, other in zip(open_, chosen, strict=True):
        order[v] = other
    return order


def _order_table(views: Views, extrinsics_only: bool) -> Tensor:
    """Return the median distance [i, j, a, b] (V, V, V, V) of tracks a, b seen by cameras i, j."""
    V = views.w.shape[1]
    flat = views.raw.transpose(1, 2).flatten(0, 1), views.w.transpose(1, 2).flatten(0, 1)
    rows = (multi_view.count_views(flat[1]) >= 2).nonzero().squeeze(-1)
    rows = rows[:: max(1, len(rows) // _MAX_PAIRS)]
    raw, w = flat[0][rows], flat[1][rows]  # (n, V, 2)
    rays = torch.zeros(V, V, len(rows), 2, dtype=torch.float64)  # [camera, track]
    seen = torch.zeros(V, V, len(rows), dtype=torch.bool)
    for a in range(V):
        for i in range(V):
            lens = a if extrinsics_only else i
            ideal, lost = views.seen_by(lens, raw[:, a])
            rays[i, a] = multi_view.normalise_uv(
                ideal[:, None], views.rig.intrinsics[lens : lens + 1].double()
            )[:, 0]
            seen[i, a] = (w[:, a] > 0) & ~lost
    E = essential(views.rig.extrinsics.double())
    table = torch.full((V, V, V, V), torch.nan, dtype=torch.float64)
    for i in range(V):
        for j in range(V):
            if i == j:
                continue
            here, there = rays[i][:, None].expand(V, V, -1, 2), rays[j][None].expand(V, V, -1, 2)
            distance = sampson(E[i, j], here, there)
            both = seen[i][:, None] & seen[j][None]
            table[i, j] = torch.where(both, distance, torch.nan).nanmedian(-1).values
    return table


def _pairwise(table: Tensor, order: Sequence[int]) -> Tensor:
    V = len(order)
    o = torch.tensor(list(order))
    i = torch.arange(V)
    return table[i[:, None], i[None], o[:, None], o[None]]


def _cost(table: Tensor, order: Sequence[int]) -> float:
    return float(_pairwise(table, order).nanmean())


def label_costs(views: Views, view: int) -> Tensor:
    """Return the median distance [k, j] (K, K) of a view's keypoint j from keypoint k elsewhere.

    The mean over the other views, NaN where they share no frame.
    """
    ideal, w = views.points()
    rays = multi_view.normalise_uv(
        ideal.transpose(1, 2), views.rig.intrinsics.double()
    )  # (F, K, V, 2)
    E = essential(views.rig.extrinsics.double())
    F, V, K = w.shape
    costs = []
    for u in range(V):
        if u == view:
            continue
        a, b = rays[:, :, None, u].expand(F, K, K, 2), rays[:, None, :, view].expand(F, K, K, 2)
        distance = sampson(E[u, view], a, b)
        both = (w[:, u] > 0)[:, :, None] & (w[:, view] > 0)[:, None]
        costs.append(torch.where(both, distance, torch.nan).nanmedian(0).values)
    return torch.stack(costs).nanmean(0)


def best_labels(cost: Tensor) -> list[int]:
    """Return the order of keypoints with the least cost (K, K), found greedily."""
    K = len(cost)
    cost = cost.nan_to_num(1e6)
    order = list(range(K))
    if K < 2:
        return order
    free_k, free_j = set(range(K)), set(range(K))
    for index in cost.flatten().argsort(stable=True).tolist():
        k, j = divmod(index, K)
        if k in free_k and j in free_j:
            order[k] = j
            free_k.remove(k)
            free_j.remove(j)
    best = min((list(range(K)), order), key=lambda o: float(cost[range(K), o].sum()))
    for _ in range(3 * K):
        o = torch.tensor(best)
        own = cost[torch.arange(K), o]
        gain = own[:, None] + own[None] - cost[:, o] - cost[:, o].T
        top = int(gain.argmax())
        if float(gain.flatten()[top]) <= 1e-12:
            break
        a, b = divmod(top, K)
        best[a], best[b] = best[b], best[a]
    return best
