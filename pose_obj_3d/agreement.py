"""Say how well the views of a point agree, and which camera, pair or convention is to blame if they do not.

No 3D truth is read. Every accusation must hold in absolute terms: with the accused corrected or left out,
the other views agree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from pose_obj_3d import estimators, geometry
from pose_obj_3d.windows import Rig

SUSPECT = 0.01  # residual in focal lengths (0.6 degrees) above which views disagree
FACTOR = 4.0  # a cure must lower the residual this many times
DISTINCT = 1.5  # without the guilty camera the others agree this many times better than without any other
BEHIND, USELESS = 0.02, 0.5  # share of a camera's points behind it: worth a line; worth nothing
_BEHIND_PX = 1e5  # counts as residual of a point behind a camera that sees it
_MAX_SHOWN_PX = 10000
_TURN_YZ = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
_TO_CHECK = (
    "check that extrinsics are world to camera in OpenCV's axes, that the order of cameras is that of the points, that "
    "intrinsics belong to this image size, and that all cameras are synchronised"
)


@dataclass(frozen=True)
class Verdict:
    """What the views' agreement says.

    Attributes:
        warnings: One line for each finding; none where the views agree.
        behind: Views behind which most of their points lie, while the others agree.
        is_explained: Whether a convention or a swap cures everything.
        corrected: The cameras in the right convention, where that is the cure.
    """

    warnings: list[str]
    behind: list[int]
    is_explained: bool = False
    corrected: Rig | None = None


@dataclass(frozen=True)
class _LeftOut:
    """What the other cameras say of one, over the points that they see with it.

    Attributes:
        off: Median distance of its detections from their prediction [px].
        relative: The same in units of what their own noise allows.
        others: How far they disagree among themselves [px].
        behind: Share of the points that lie behind it.
    """

    off: float
    relative: float
    others: float
    behind: float


def judge(points: Tensor, w: Tensor, rig: Rig, names: Sequence[str]) -> Verdict:
    """Look for the cause where the views disagree.

    Args:
        points: (n, V, 2) [px].
        w: (n, V), 0 = not seen.
        rig: The V cameras as the user gave them: inverting them must invert his matrices.
        names: V names.
    """
    own, rig = rig, normalised(rig)
    limit = SUSPECT * float(rig.intrinsics[:, 0, 0].median())
    before = disagreement(points, w, rig)
    text = f"the views disagree: median residual {before:.1f} px"
    if before >= _BEHIND_PX:
        text = "most points come out behind a camera"
    text = f"{text} ({listed(names, residuals(points, w, rig))})"
    if before > limit:
        cure, corrected = _convention(points, w, own, before, limit)
        cure = cure or _swap(points, w, rig, names, before, limit)
        if cure:
            return Verdict([f"{text}, {cure}"], [], True, corrected)
    apart = [_leave_out(points, w, rig, v) for v in range(len(names))] if len(names) > 2 else []
    share = _shares_behind(points, w, rig, apart, limit)
    found = [v for v in range(len(names)) if share[v] > BEHIND]
    if found:
        lines = [f"{100 * share[v]:.0f} % of the points of camera {names[v]} lie behind it: does its z axis look backwards?" for v in found]
        return Verdict(lines, [v for v in found if apart and share[v] > USELESS and apart[v].others < limit])
    single = _single(apart, names, limit)
    if single or before <= limit:
        return Verdict(single, [])
    blame = "no single camera is to blame" if len(names) > 2 else "two cameras cannot tell which of them is wrong"
    return Verdict([f"{text}; {blame}: {_TO_CHECK}"], [])


def listed(names: Sequence[str], values: Sequence[float]) -> str:
    """Return one number [px] for each camera."""
    return ", ".join(f"{name} {_px(value)}" for name, value in zip(names, values, strict=True))


def _px(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if value < _MAX_SHOWN_PX else f"over {_MAX_SHOWN_PX}"


def normalised(rig: Rig) -> Rig:
    """Return the cameras in float64 about their middle, the two furthest 1 apart: no check then knows the unit."""
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
    """Return the median residual of the views [px], corrected for what the triangulated point takes up."""
    count = geometry.count_views(w)
    points, w, count = points[count >= 2], w[count >= 2], count[count >= 2]
    if len(points) == 0:
        return float("inf")
    found = estimators.maximum_likelihood(points, w, rig)
    predicted, depth = geometry.project(found.xyz, rig.intrinsics, rig.extrinsics)
    square = ((points - predicted).square().sum(-1) * w).sum(-1) * 2 / (2 * count - 3)
    behind = ((depth <= 0) & (w > 0)).any(-1) | ~square.isfinite()
    # A point behind a camera fits the equations, not the world.
    return float(torch.where(behind, _BEHIND_PX**2, square).sqrt().median())


def residuals(points: Tensor, w: Tensor, rig: Rig) -> list[float]:
    """Return each camera's median distance from the points that all of them triangulate [px]."""
    xyz = estimators.maximum_likelihood(points, w, rig).xyz
    predicted, _ = geometry.project(xyz, rig.intrinsics, rig.extrinsics)
    off = torch.where(w > 0, (points - predicted).norm(dim=-1), torch.nan)
    return [float(x) for x in off.nanmedian(0).values]


def _convention(points: Tensor, w: Tensor, rig: Rig, before: float, limit: float) -> tuple[str, Rig | None]:
    """Name the convention of extrinsics that makes the views agree, if one does, and correct the cameras."""
    there, back = rig.extrinsics.double(), _inverted(rig.extrinsics.double())
    turn = _TURN_YZ.to(there.device)
    candidates = {
        "inverted extrinsics: they seem to be camera to world; needed is world to camera": back,
        "cameras' y and z axes turned: they seem to be those of OpenGL; needed are OpenCV's, y down, z forward": turn @ there,
        "inverted extrinsics and y and z axes turned: they seem to be camera to world with the axes of OpenGL or Blender; "
        "needed is world to camera in OpenCV's axes": turn @ back,
    }
    rigs = {what: Rig(rig.intrinsics, E, rig.sigma_px, rig.view_ids) for what, E in candidates.items()}
    after = {what: disagreement(points, w, normalised(other)) for what, other in rigs.items()}
    best = min(after, key=after.__getitem__)
    return (f"{after[best]:.1f} px with {best}", rigs[best]) if after[best] < min(limit, before / FACTOR) else ("", None)


def _inverted(extrinsics: Tensor) -> Tensor:
    R = extrinsics[:, :, :3].transpose(1, 2)
    return torch.cat([R, -R @ extrinsics[:, :, 3:]], -1)


def _swap(points: Tensor, w: Tensor, rig: Rig, names: Sequence[str], before: float, limit: float) -> str:
    """Name the pair of cameras that makes the views agree when exchanged, if one does."""
    after = {}
    for a, b in combinations(range(len(names)), 2):
        order = list(range(len(names)))
        order[a], order[b] = b, a
        after[a, b] = disagreement(points[:, order], w[:, order], rig)
    a, b = min(after, key=after.__getitem__)
    if after[a, b] >= min(limit, before / FACTOR):
        return ""
    return f"{after[a, b]:.1f} px with the tracks of {names[a]} and {names[b]} exchanged: these cameras seem to be swapped"


def _leave_out(points: Tensor, w: Tensor, rig: Rig, view: int) -> _LeftOut:
    keep = torch.ones(w.shape[1], dtype=w.dtype, device=w.device)
    keep[view] = 0
    rows = (w[:, view] > 0) & (geometry.count_views(w * keep) >= 2)
    if not rows.any():
        return _LeftOut(0.0, 0.0, float("inf"), 0.0)
    points, w = points[rows], w[rows] * keep
    found = estimators.maximum_likelihood(points, w, rig)
    predicted, J = geometry.projection_jacobian(found.xyz, rig.intrinsics, rig.extrinsics)
    # The others' own noise moves their prediction: measure in units of what they allow.
    spread = torch.einsum("nri,nij,nrj->n", J[:, view], found.covariance, J[:, view]) / 2 + 1.0
    off = (points[:, view] - predicted[:, view]).norm(dim=-1)
    depth = found.xyz @ rig.extrinsics[view, 2, :3] + rig.extrinsics[view, 2, 3]
    return _LeftOut(
        float(off.median()), float((off / spread.sqrt()).median()), disagreement(points, w, rig), float((depth <= 0).double().mean())
    )


def _shares_behind(points: Tensor, w: Tensor, rig: Rig, apart: Sequence[_LeftOut], limit: float) -> list[float]:
    """Return the share of each camera's points that lie behind it."""
    # The fit itself breaks down behind a camera, the linear one does not: its algebra has no sign of depth.
    linear = geometry.triangulate_dlt(points, w, rig.intrinsics, rig.extrinsics)
    P = rig.intrinsics @ rig.extrinsics
    image = torch.einsum("vij,nj->nvi", P[:, :, :3], linear) + P[:, :, 3]
    off = (image[..., :2] / image[..., 2:] - points).norm(dim=-1) * w
    fits = off.amax(-1) < limit
    share = ((image[..., 2] <= 0) & (w > 0) & fits[:, None]).sum(0) / (w > 0).sum(0).clamp_min(1)
    # A camera that looks the other way rarely fits: where the others agree, they say what lies behind it.
    told = [x.behind if x.others < limit and x.behind > USELESS else 0.0 for x in apart] or [0.0] * w.shape[1]
    return [max(a, b) for a, b in zip(share.tolist(), told, strict=True)]


def _single(apart: Sequence[_LeftOut], names: Sequence[str], limit: float) -> list[str]:
    """Name the camera that is far from the others, which agree without it, and without no other."""
    if not apart:
        return []
    best, second = sorted(range(len(names)), key=lambda v: apart[v].others)[:2]
    x = apart[best]
    is_guilty = x.off >= limit / 2 and x.relative >= FACTOR * x.others and x.others < limit
    if not is_guilty or apart[second].others < DISTINCT * x.others:
        return []
    return [
        f"camera {names[best]} is {x.off:.1f} px off what the others predict, which agree within {x.others:.1f} px without it: "
        f"check its calibration and synchronisation (median px with each camera left out: {listed(names, [a.off for a in apart])})"
    ]
