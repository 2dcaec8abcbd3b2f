"""Look for what is wrong with calibration and tracks before anything is made of them.

Each finding is one line with the cameras' names and numbers. What cannot work is a DataError, what only
looks wrong a warning. Everything rests on how well the views of a point agree; no 3D truth is read.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from pose_obj_3d import estimators, geometry
from pose_obj_3d.exceptions import DataError
from pose_obj_3d.windows import Rig

MAX_FRAMES = 2000  # looked at, evenly spread
MAX_POINTS = 3000  # triangulated, evenly spread
FOCAL_RANGE_PX = (10.0, 1e6)
DISTANCE_RANGE_M = (0.01, 100.0)  # between cameras
SUSPECT = 0.01  # residual in focal lengths (0.6 degrees) above which views disagree
FACTOR = 4.0  # a cure must lower the residual this many times
BEHIND = 0.02  # share of a camera's points behind it that is worth a line
MAX_SHIFT = 8  # frames that a camera is tried to be early or late
MIN_MOVING, MAX_MOVING = 50, 800  # points that this is tried on
SYNCHRONISED = 1.25  # the residual must fall by this factor
_BEHIND_PX = 1e5  # counts as residual of a point behind a camera that sees it


def check_geometry(
    uv: Tensor, weights: Tensor, rig: Rig, view_names: Sequence[str], keypoint_names: Sequence[str] = ()
) -> list[str]:
    """Check the cameras against each other and against the points.

    Args:
        uv: (N, V, K, 2) [px], without distortion.
        weights: (N, V, K), 0 = missing.
        rig: The cameras.
        view_names: V names.
        keypoint_names: K names; numbers stand in.

    Returns:
        Warnings, the gravest first; empty when nothing was found.

    Raises:
        DataError: One view, no keypoint in two views, or pixels mixed with normalised coordinates.
    """
    V = uv.shape[1]
    if V < 2:
        raise DataError(f"only one view: {view_names[0]}; 3D needs at least two calibrated cameras")
    names = [str(name) for name in keypoint_names] or [f"keypoint {k}" for k in range(uv.shape[2])]
    pairs_seen = (weights > 0).sum(1) >= 2  # (N, K)
    if not pairs_seen.any():
        raise DataError(
            "no keypoint is seen by two views in any frame; nothing can be triangulated: "
            "check that the views' frames belong together and that confidence is not 0"
        )
    _check_pixels(uv, weights, rig, view_names)
    warnings = _check_cameras(rig, view_names)
    never = [name for name, seen in zip(names, pairs_seen.any(0).tolist(), strict=True) if not seen]
    if never:
        warnings.append(f"never seen by two views in one frame, so without 3D: {', '.join(never)}")
    for v in (~(weights > 0).any(0).any(-1)).nonzero().squeeze(-1).tolist():
        warnings.append(f"camera {view_names[v]} sees no keypoint in any frame")
    points, w = _sample(uv, weights)
    return _check_agreement(points, w, rig, list(view_names)) + _check_copies(uv, weights, view_names) + warnings


def _sample(uv: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return points seen by two or more views: (n, V, 2) and (n, V), float64."""

    def spread(count: int, limit: int) -> Tensor:
        return torch.linspace(0, count - 1, min(count, limit), dtype=torch.float64).round().long().to(uv.device)

    seen = ((weights > 0).sum(1) >= 2).any(-1).nonzero().squeeze(-1)
    frames = seen[spread(len(seen), MAX_FRAMES)]
    points, w = uv[frames].transpose(1, 2).flatten(0, 1), weights[frames].transpose(1, 2).flatten(0, 1)
    rows = (geometry.count_views(w) >= 2).nonzero().squeeze(-1)
    # Points of many views say most about who errs.
    rows = rows[geometry.count_views(w[rows]).argsort(descending=True, stable=True)][: 4 * MAX_POINTS]
    rows = rows[spread(len(rows), MAX_POINTS)]
    return points[rows].double(), (w[rows] > 0).double()


def _check_pixels(uv: Tensor, weights: Tensor, rig: Rig, names: Sequence[str]) -> None:
    """Refuse normalised coordinates beside pixels."""
    focal = rig.intrinsics[:, 0, 0]
    size = (uv.abs().amax(-1) * (weights > 0)).amax(0).amax(-1)  # (V) largest coordinate
    for v in (size > 0).nonzero().squeeze(-1).tolist():
        f, largest = float(focal[v]), float(size[v])
        if f < FOCAL_RANGE_PX[0] < largest:
            raise DataError(
                f"camera {names[v]}: focal length {f:.3g} px, but points up to {largest:.0f} px: the intrinsics look "
                "normalised; multiply fx, cx by the image width and fy, cy by its height"
            )
        if largest <= 2.0 and f > FOCAL_RANGE_PX[0]:
            raise DataError(
                f"camera {names[v]}: all points lie within +-{largest:.3g}, but the focal length is {f:.0f} px: the points "
                "look normalised; multiply them by the image size"
            )


def _check_cameras(rig: Rig, names: Sequence[str]) -> list[str]:
    """Compare the cameras' places."""
    E = rig.extrinsics.double()
    R = E[:, :, :3]
    centre = -(R.transpose(1, 2) @ E[:, :, 3:]).squeeze(-1)
    distance = torch.cdist(centre[None], centre[None])[0]
    pairs = list(combinations(range(len(names)), 2))
    largest = float(distance.max())
    found = [
        f"cameras {names[a]} and {names[b]} have the same place and direction: is one extrinsics matrix used twice?"
        for a, b in pairs
        if float(distance[a, b]) <= 1e-6 * max(largest, 1e-3) and float((R[a] - R[b]).abs().max()) < 1e-3
    ]
    if largest < 1e-9:
        raise DataError("all cameras stand in one place; 3D needs cameras at different places: check the extrinsics")
    if not DISTANCE_RANGE_M[0] <= largest <= DISTANCE_RANGE_M[1]:
        a, b = max(pairs, key=lambda pair: float(distance[pair]))
        found.append(
            f"cameras {names[a]} and {names[b]} are {largest:.4g} m apart: wrong units? Give units='mm' (or --units mm) "
            "where the extrinsics are in millimetres"
        )
    return found


def _check_copies(uv: Tensor, weights: Tensor, names: Sequence[str]) -> list[str]:
    """Find views that hold the same points."""
    some = slice(0, MAX_FRAMES)
    found = []
    for a, b in combinations(range(len(names)), 2):
        both = (weights[some, a] > 0) & (weights[some, b] > 0)
        if int(both.sum()) >= 10 and bool((uv[some, a] == uv[some, b])[both].all()):
            found.append(f"cameras {names[a]} and {names[b]} have identical points: is one track used twice?")
    return found


def _check_agreement(points: Tensor, w: Tensor, rig: Rig, names: list[str]) -> list[str]:
    """Say whether the views of a point agree, and if not, which camera, pair or convention is to blame."""
    focal = float(rig.intrinsics[:, 0, 0].double().median())
    before = _disagreement(points, w, rig)
    if before <= SUSPECT * focal:
        return _check_depth(points, w, rig, names) + _check_single(points, w, rig, names)
    text = f"the views disagree: median residual {before:.1f} px"
    if before >= _BEHIND_PX:
        text = "most points come out behind a camera"
    inverted = _inverse_rig(rig)
    after = _disagreement(points, w, inverted)
    if after * FACTOR < before and after < SUSPECT * focal:
        return [f"{text}, {after:.1f} px with inverted extrinsics: they seem to be camera to world; needed is world to camera"]
    swaps = {}
    for a, b in combinations(range(len(names)), 2):
        order = list(range(len(names)))
        order[a], order[b] = b, a
        swaps[a, b] = _disagreement(points[:, order], w[:, order], rig)
    (a, b), after = min(swaps.items(), key=lambda item: item[1])
    if after * FACTOR < before and after < SUSPECT * focal:
        return [f"{text}, {after:.1f} px with the tracks of {names[a]} and {names[b]} exchanged: these cameras seem to be swapped"]
    single = _check_depth(points, w, rig, names) or _check_single(points, w, rig, names)
    return single or [
        f"{text}, and no single camera is to blame; check that extrinsics are world to camera in OpenCV's axes, that the "
        "order of cameras is that of the points, and that all cameras are synchronised"
    ]


def _disagreement(points: Tensor, w: Tensor, rig: Rig) -> float:
    """Return the median residual of the views [px], corrected for what the triangulated point takes up."""
    unit = Rig(rig.intrinsics, rig.extrinsics, 1.0, rig.view_ids)
    count = geometry.count_views(w)
    points, w, count = points[count >= 2], w[count >= 2], count[count >= 2]
    if len(points) == 0:
        return float("inf")
    found = estimators.maximum_likelihood(points, w, unit)
    predicted, depth = geometry.project(found.xyz, rig.intrinsics.double(), rig.extrinsics.double())
    square = ((points - predicted).square().sum(-1) * w).sum(-1) * 2 / (2 * count - 3)
    behind = ((depth <= 0) & (w > 0)).any(-1) | ~square.isfinite()
    # A point behind a camera fits the equations, not the world.
    return float(torch.where(behind, _BEHIND_PX**2, square).sqrt().median())


def _inverse_rig(rig: Rig) -> Rig:
    R, t = rig.extrinsics[:, :, :3].transpose(1, 2), rig.extrinsics[:, :, 3:]
    return Rig(rig.intrinsics, torch.cat([R, -R @ t], -1), rig.sigma_px, rig.view_ids)


def _check_depth(points: Tensor, w: Tensor, rig: Rig, names: list[str]) -> list[str]:
    """Name cameras behind which points lie that otherwise fit."""
    # The fit itself breaks down behind a camera, the linear one does not: its algebra has no sign of depth.
    linear = geometry.triangulate_dlt(points, w, rig.intrinsics.double(), rig.extrinsics.double())
    homogeneous = rig.intrinsics.double() @ rig.extrinsics.double()
    image = torch.einsum("vij,nj->nvi", homogeneous[:, :, :3], linear) + homogeneous[:, :, 3]
    off = (image[..., :2] / image[..., 2:] - points).norm(dim=-1) * w
    fits = off.amax(-1) < SUSPECT * float(rig.intrinsics[:, 0, 0].double().median())
    share = ((image[..., 2] <= 0) & (w > 0) & fits[:, None]).sum(0) / (w > 0).sum(0).clamp_min(1)
    return [
        f"{100 * float(share[v]):.0f} % of the points of camera {names[v]} lie behind it: does its z axis look backwards?"
        for v in (share > BEHIND).nonzero().squeeze(-1).tolist()
    ]


def _check_single(points: Tensor, w: Tensor, rig: Rig, names: list[str]) -> list[str]:
    """Leave each camera out in turn: the guilty one is far from the others, which agree without it."""
    V = len(names)
    if V < 3:
        return []
    focal = float(rig.intrinsics[:, 0, 0].double().median())
    residual, others = [], []
    for v in range(V):
        keep = (torch.arange(V, device=w.device) != v).double()
        rows = (w[:, v] > 0) & (geometry.count_views(w * keep) >= 2)
        unit = Rig(rig.intrinsics, rig.extrinsics, 1.0, rig.view_ids)
        found = estimators.maximum_likelihood(points[rows], w[rows] * keep, unit)
        predicted, J = geometry.projection_jacobian(found.xyz, rig.intrinsics.double(), rig.extrinsics.double())
        rest = _disagreement(points[rows], w[rows] * keep, rig) if rows.any() else float("inf")
        # The others' own noise moves their prediction: measure in units of what they allow.
        spread = torch.einsum("nri,nij,nrj->n", J[:, v], found.covariance, J[:, v]) / 2 + 1.0
        off = (points[rows][:, v] - predicted[:, v]).norm(dim=-1)
        residual.append((float(off.median()) if rows.any() else 0.0, float((off / spread.sqrt()).median()) if rows.any() else 0.0))
        others.append(rest)
    best = min(range(V), key=others.__getitem__)
    off, relative = residual[best]
    if off < SUSPECT / 2 * focal or relative < FACTOR * others[best]:
        return []
    listed = ", ".join(f"{name} {r[0]:.1f}" for name, r in zip(names, residual, strict=True))
    return [
        f"camera {names[best]} is {off:.1f} px off what the others predict, which agree within {others[best]:.1f} px "
        f"without it: check its calibration and synchronisation (median px with each camera left out: {listed})"
    ]


def check_synchronisation(uv: Tensor, weights: Tensor, rig: Rig, names: Sequence[str], first: Tensor) -> list[str]:
    """Look for a camera whose frames come earlier or later than the others'.

    Each camera in turn is shifted by some frames; the points that move most in the images say whether the
    views then agree better.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K), 0 = missing.
        rig: The cameras.
        names: V names.
        first: (N,) first frame of each frame's sequence.

    Returns:
        At most one warning.
    """
    frame, keypoint = _moving(uv, weights, first)
    if len(frame) < MIN_MOVING:
        return []
    points, w = uv[frame, :, keypoint].double(), (weights[frame, :, keypoint] > 0).double()
    before = _disagreement(points, w, rig)
    best: tuple[float, int, int] = (before, 0, 0)
    for v in range(len(names)):
        for shift in [*range(-MAX_SHIFT, 0), *range(1, MAX_SHIFT + 1)]:
            shifted, seen = points.clone(), w.clone()
            shifted[:, v] = uv[frame + shift, v, keypoint].double()
            seen[:, v] = (weights[frame + shift, v, keypoint] > 0).double()
            best = min(best, (_disagreement(shifted, seen, rig), v, shift))
    after, v, shift = best
    if after * SYNCHRONISED >= before:
        return []
    side = "late" if shift > 0 else "early"
    other = "" if len(names) > 2 else " (or the other one the other way)"
    return [
        f"camera {names[v]} seems {abs(shift)} frame(s) {side}{other}: with its frames shifted, moving points agree within "
        f"{after:.1f} px instead of {before:.1f}; synchronise the recordings"
    ]


def _moving(uv: Tensor, weights: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return frames and keypoints (n,) of what moves most, seen by two views, with room to shift them in time."""
    N = len(uv)
    frame = torch.arange(N, device=uv.device)
    before, after = (frame - MAX_SHIFT).clamp_min(0), (frame + MAX_SHIFT).clamp_max(N - 1)
    has_room = (after - before == 2 * MAX_SHIFT) & (first[before] == first[after])
    a, b = (frame - 2).clamp_min(0), (frame + 2).clamp_max(N - 1)
    is_there = (weights[a] > 0) & (weights[b] > 0) & (weights > 0) & has_room[:, None, None]
    speed = torch.where(is_there, (uv[b] - uv[a]).norm(dim=-1), torch.nan).nanmedian(1).values  # (N, K)
    usable = speed.isfinite() & ((weights > 0).sum(1) >= 2)
    if not usable.any():
        return frame[:0], frame[:0]
    some = speed[usable]
    fast = some[:: max(1, len(some) // 100_000)].quantile(0.7)
    rows = (usable & (speed >= fast)).nonzero()
    step = max(1, len(rows) // MAX_MOVING)
    return rows[::step, 0], rows[::step, 1]
