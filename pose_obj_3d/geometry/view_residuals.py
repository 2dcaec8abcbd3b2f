"""How far the views of points disagree [px], and the cameras about their middle, in no unit."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig

BEHIND_PX = 1e5  # counts as residual of a point behind a camera that sees it
_MAX_SHOWN_PX = 10000
_MAX_LISTED = 6  # cameras


def normalised(rig: Rig) -> Rig:
    """Return the cameras about their middle, the two furthest 1 apart, so in no unit; float64."""
    E = rig.extrinsics.double()
    R = E[:, :, :3]
    centre = centres(rig)
    scale = torch.cdist(centre[None], centre[None]).max().clamp_min(1e-12)
    t = (E[:, :, 3] + R @ centre.mean(0)) / scale
    return Rig(rig.intrinsics.double(), torch.cat([R, t.unsqueeze(-1)], -1), 1.0, rig.view_ids)


def centres(rig: Rig) -> Tensor:
    """Return the cameras' places (V, 3)."""
    E = rig.extrinsics.double()
    return -(E[:, :, :3].transpose(1, 2) @ E[:, :, 3:]).squeeze(-1)


def disagreement(points: Tensor, w: Tensor, rig: Rig) -> float:
    """Return the median residual of the views [px], corrected for the point having been fitted."""
    found = centred_residuals(points, w, rig)
    return float(found.median()) if len(found) else float("inf")


def centred_residuals(points: Tensor, w: Tensor, rig: Rig) -> Tensor:
    """Return how far the views of each point disagree (m,) [px].

    Only the m points that two or more views see count. Points behind a camera count as `BEHIND_PX`.
    """
    count = geometry.count_views(w)
    points, w, count = points[count >= 2], w[count >= 2], count[count >= 2]
    if len(points) == 0:
        return points.new_zeros(0)
    found = estimators.maximum_likelihood(points, w, rig)
    predicted, depth = geometry.project(found.xyz, rig.intrinsics, rig.extrinsics)
    square = ((points - predicted).square().sum(-1) * w).sum(-1) * 2 / (2 * count - 3)
    behind = ((depth <= 0) & (w > 0)).any(-1) | ~square.isfinite()
    # A point behind a camera fits the equations, not the world.
    return torch.where(behind, BEHIND_PX**2, square).sqrt()


def residuals(points: Tensor, w: Tensor, rig: Rig) -> list[float]:
    """Return each camera's median distance from the points that all of them triangulate [px]."""
    xyz = estimators.maximum_likelihood(points, w, rig).xyz
    predicted, _ = geometry.project(xyz, rig.intrinsics, rig.extrinsics)
    off = torch.where(w > 0, (points - predicted).norm(dim=-1), torch.nan)
    return [float(x) for x in off.nanmedian(0).values]


def listed(names: Sequence[str], values: Sequence[float]) -> str:
    """Return one number [px] for each camera; the largest of many."""
    order = sorted(
        range(len(names)), key=lambda v: -values[v] if values[v] == values[v] else math.inf
    )
    shown = sorted(order[:_MAX_LISTED])
    rest = f", {len(names) - _MAX_LISTED} others less" if len(names) > _MAX_LISTED else ""
    return ", ".join(f"{names[v]} {px(values[v])}" for v in shown) + rest


def px(value: float) -> str:
    """Return a number of pixels, `-` for none."""
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if value < _MAX_SHOWN_PX else f"over {_MAX_SHOWN_PX}"
