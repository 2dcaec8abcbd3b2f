"""Choose the unit in which `lift` works by the size of the scene, not by the unit of the file.

Steps, priors, process noise and trained models have numbers in them that suit scenes of some
metres. So the scene is scaled to that size first, and the result is scaled back.
"""

import math

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_residuals import centres, normalised

# Distance between the shipped cameras that are furthest apart [m]: their unit is 1 m.
REFERENCE_SPREAD = 1.7458880261918286
MAX_POINTS = 3000  # looked at, evenly spread
_STEP = 4.0  # the unit changes in such steps, so that two recordings have the same one
_MAX_STEPS = 5
SAME_SCALE = 10.0  # a model's unit is used if it differs from the file's by less than this


def unit_of(uv: Tensor, weights: Tensor, rig: Rig) -> float:
    """Choose the length of the unit [m].

    It is in proportion to the largest distance between two cameras that see anything; where the
    points are many times further or nearer than that, as with a stereo pair, by a power of four
    more or less.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K), 0 = missing.
        rig: The cameras [m].
    """
    views = (weights > 0).any(0).any(-1).nonzero().squeeze(-1)
    if len(views) < 2:
        return 1.0
    cameras = Rig(rig.intrinsics[views], rig.extrinsics[views], rig.sigma_px, tuple(views.tolist()))
    centre = centres(cameras)
    spread = float(torch.cdist(centre[None], centre[None]).max())
    if not 0 < spread < math.inf:
        return 1.0
    distance = _distance(uv[:, views], weights[:, views], normalised(cameras))
    steps = round(math.log(distance) / math.log(_STEP)) if 0 < distance < math.inf else 0
    return spread / REFERENCE_SPREAD * _STEP ** min(max(steps, -_MAX_STEPS), _MAX_STEPS)


def _distance(uv: Tensor, weights: Tensor, rig: Rig) -> float:
    """Return the median depth of points in front of cameras that see them, in the rig's unit."""
    points, w = uv.transpose(1, 2).flatten(0, 1), weights.transpose(1, 2).flatten(0, 1)
    rows = (multi_view.count_views(w) >= 2).nonzero().squeeze(-1)
    rows = rows[
        torch.linspace(0, len(rows) - 1, min(len(rows), MAX_POINTS), dtype=torch.float64)
        .round()
        .long()
    ]
    points, w = points[rows].double(), w[rows].double()
    xyz = multi_view.triangulate_dlt(points, w, rig.intrinsics, rig.extrinsics)
    _, depth = multi_view.project(xyz, rig.intrinsics, rig.extrinsics)
    seen = depth[(w > 0) & (depth > 0)]
    return float(seen.median()) if len(seen) else math.nan


def unit_for(own: float, trained: float | None) -> float:
    """Return the unit [m] for tracks that a model lifts which was trained in another unit [m].

    What a model has learned about lengths holds for other cameras too, so its unit is used. But a
    scene that is `SAME_SCALE` times larger or smaller keeps its own unit.
    """
    if trained is None or not 1 / SAME_SCALE < own / trained < SAME_SCALE:
        return own
    return trained


def scaled(rig: Rig, unit: float) -> Rig:
    """Return cameras [m] in units of `unit` metres."""
    E = rig.extrinsics.clone()
    E[:, :, 3] /= unit
    return Rig(rig.intrinsics, E, rig.sigma_px, rig.view_ids)


def significant(value: float, digits: int = 6) -> float:
    """Round to so many significant digits: nothing is lost in small units."""
    return float(f"{value:.{digits}g}")
