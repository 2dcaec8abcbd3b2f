"""Say how well the views of a point agree, and which camera or convention is wrong otherwise.

No 3D truth is read. A camera is blamed only if the other views agree well without it, or with it
corrected.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry import estimators, multi_view
from pose_obj_3d.geometry.checks import causes
from pose_obj_3d.geometry.checks.hypotheses import Views
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_residuals import (
    BEHIND_PX,
    disagreement,
    listed,
    normalised,
    residuals,
)

SUSPECT = 0.01  # residual in focal lengths (0.6 degrees) above which views disagree
FACTOR = 4.0  # a wrong camera is this many times further off than the others' noise allows
# Without the wrong camera the others agree this many times better than without any other one.
DISTINCT = 1.5
# Share of a camera's points that lie behind it: above the first there is a warning, above the
# second the camera is left out.
BEHIND, USELESS = 0.2, 0.5
# An affine map removes at least this share of a calibration error, but hardly any noise.
SYSTEMATIC = 0.5
# Independent pieces of evidence that a keypoint gives: its detections share a bias.
_PLACES_A_KEYPOINT = 2.0
_AFFINE_ROUNDS, _MIN_AFFINE = 4, 12
_REST = (
    "no other convention of extrinsics, no swap of cameras or keypoints, and no mirrored, turned or"
    " scaled image explains it: detections may be noisy or of other subjects, calibration or"
    " synchronisation may be wrong, or there may be several faults"
)


@dataclass(frozen=True)
class Verdict:
    """What the views' agreement says.

    Attributes:
        warnings: One line for each finding; none where the views agree.
        behind: Views whose points lie mostly behind them, while the others agree.
        is_explained: Whether one fault, such as another convention, explains everything.
        corrected: The cameras in the right convention, where that explains it.
    """

    warnings: list[str]
    behind: list[int]
    is_explained: bool = False
    corrected: Rig | None = None


@dataclass(frozen=True)
class _LeftOut:
    """How one camera fits the others, over the points that they see with it.

    Attributes:
        off: Median distance of its detections from their prediction [px].
        relative: The same in units of what their own noise allows.
        others: How far they disagree among themselves [px].
        behind: Share of the points that lie behind it.
        mapped: What an affine map of the prediction leaves of `off`: little where the error is
            systematic [px].
    """

    off: float
    relative: float
    others: float
    behind: float
    mapped: float


def judge(
    points: Tensor,
    w: Tensor,
    rig: Rig,
    names: Sequence[str],
    views: Views | None = None,
    keypoints: Sequence[str] = (),
) -> Verdict:
    """Say whether the views agree, and look for the cause where they do not.

    Args:
        points: (n, V, 2) [px].
        w: (n, V), 0 = not seen.
        rig: The V cameras as the user gave them, not moved: their inverse counts too.
        names: V names.
        views: The same data as detected, in which `causes` looks for faults; None: it does not.
        keypoints: Names of its keypoints.
    """
    rig = normalised(rig)
    limit = SUSPECT * float(rig.intrinsics[:, 0, 0].median())
    before = disagreement(points, w, rig)
    text = f"the views disagree: median residual {before:.1f} px"
    if before >= BEHIND_PX:
        text = "most points come out behind a camera"
    text = f"{text} ({listed(names, residuals(points, w, rig))})"
    apart = [_leave_out(points, w, rig, v) for v in range(len(names))] if len(names) > 2 else []
    if views is not None:
        found = causes.find_causes(views, names, keypoints, is_small=before <= limit)
        # A single wrong camera, without which three or more agree far better, is a better
        # explanation than a fault that leaves much disagreement.
        others = min(x.others for x in apart) if len(names) > 3 else math.inf
        if found and others > found[0].after / causes.EQUAL:
            best = found[0].hypothesis
            return Verdict(
                [f"{text}, {causes.explained(found)}"],
                [],
                True,
                best.views.rig if best.is_convention else None,
            )
    share = _shares_behind(points, w, rig, apart, limit)
    behind = [v for v in range(len(names)) if share[v] > BEHIND]
    if behind:
        lines = [
            f"{100 * share[v]:.0f} % of the points of camera {names[v]} lie behind it: does its z"
            " axis look backwards?"
            for v in behind
        ]
        return Verdict(
            lines, [v for v in behind if apart and share[v] > USELESS and apart[v].others < limit]
        )

    def places() -> float:  # counting takes long: only where a camera is suspected
        if not keypoints:
            return math.inf
        most = float(_PLACES_A_KEYPOINT * len(keypoints) * max(2 * len(names) - 5, 1))
        if views is None:
            return most
        return min(causes.evidence(views, min(x.others for x in apart)), most)

    single = _single(apart, names, limit, places)
    if single or before <= limit:
        return Verdict(single, [])
    blame = (
        "no single camera is to blame"
        if len(names) > 2
        else "two cameras cannot tell which of them is wrong"
    )
    return Verdict([f"{text}; {blame}; {_REST}"], [])


def _leave_out(points: Tensor, w: Tensor, rig: Rig, view: int) -> _LeftOut:
    keep = torch.ones(w.shape[1], dtype=w.dtype, device=w.device)
    keep[view] = 0
    rows = (w[:, view] > 0) & (multi_view.count_views(w * keep) >= 2)
    if not rows.any():
        return _LeftOut(0.0, 0.0, float("inf"), 0.0, 0.0)
    points, w = points[rows], w[rows] * keep
    found = estimators.maximum_likelihood(points, w, rig)
    predicted, J = multi_view.projection_jacobian(found.xyz, rig.intrinsics, rig.extrinsics)
    # The prediction has noise too: measure in units of its standard deviation.
    spread = torch.einsum("nri,nij,nrj->n", J[:, view], found.covariance, J[:, view]) / 2 + 1.0
    off = (points[:, view] - predicted[:, view]).norm(dim=-1)
    depth = found.xyz @ rig.extrinsics[view, 2, :3] + rig.extrinsics[view, 2, 3]
    return _LeftOut(
        float(off.median()),
        float((off / spread.sqrt()).median()),
        disagreement(points, w, rig),
        float((depth <= 0).double().mean()),
        _mapped(predicted[:, view], points[:, view]),
    )


def _mapped(predicted: Tensor, seen: Tensor) -> float:
    """Fit an affine map from predicted to seen points (n, 2); return the median error [px]."""
    sound = predicted.isfinite().all(-1)
    x, y = torch.cat([predicted, torch.ones_like(predicted[:, :1])], -1)[sound], seen[sound]
    if len(x) < _MIN_AFFINE:
        return math.inf
    weight = torch.ones(len(x), 1, dtype=x.dtype)
    off = torch.zeros(len(x))
    for _ in range(_AFFINE_ROUNDS):
        solved = torch.linalg.lstsq(x * weight, y * weight).solution
        off = (y - x @ solved).norm(dim=-1)
        weight = (1 / off.clamp_min(1e-3 + float(off.median()))).sqrt().unsqueeze(-1)
    return float(off.median())


def _shares_behind(
    points: Tensor, w: Tensor, rig: Rig, apart: Sequence[_LeftOut], limit: float
) -> list[float]:
    """Return the share of each camera's points that lie behind it."""
    # The robust fit fails behind a camera. The linear one works there: its equations have no
    # sign of depth.
    linear = multi_view.triangulate_dlt(points, w, rig.intrinsics, rig.extrinsics)
    P = rig.intrinsics @ rig.extrinsics
    image = torch.einsum("vij,nj->nvi", P[:, :, :3], linear) + P[:, :, 3]
    off = (image[..., :2] / image[..., 2:] - points).norm(dim=-1) * w
    fits = off.amax(-1) < limit
    share = ((image[..., 2] <= 0) & (w > 0) & fits[:, None]).sum(0) / (w > 0).sum(0).clamp_min(1)
    # Points rarely fit a camera that looks the other way. So where the other cameras agree, their
    # points say what lies behind it.
    told = [x.behind if x.others < limit and x.behind > USELESS else 0.0 for x in apart] or [
        0.0
    ] * w.shape[1]
    return [max(a, b) for a, b in zip(share.tolist(), told, strict=True)]


def _single(
    apart: Sequence[_LeftOut], names: Sequence[str], limit: float, places: Callable[[], float]
) -> list[str]:
    """Name the one camera without which the others agree; none if there is not exactly one."""
    if not apart:
        return []
    best, second = sorted(range(len(names)), key=lambda v: apart[v].others)[:2]
    x = apart[best]
    is_guilty = x.off >= limit / 2 and x.relative >= FACTOR * x.others and x.others < limit
    if not is_guilty or apart[second].others < DISTINCT * x.others:
        return []
    if places() * math.log(x.relative / max(x.others, 1e-3)) < causes.EVIDENCE + math.log(
        len(names)
    ):
        return []
    cause = "check its calibration and synchronisation"
    if x.mapped > SYSTEMATIC * x.off:
        cause = (
            "its detections may be noisy or of other keypoints, it may be unsynchronised, or its"
            " calibration is wrong"
        )
    return [
        f"camera {names[best]} is {x.off:.1f} px off what the other cameras predict; without it"
        f" they agree within {x.others:.1f} px: {cause} (median error [px] of each camera when it"
        f" is left out: {listed(names, [a.off for a in apart])})"
    ]
