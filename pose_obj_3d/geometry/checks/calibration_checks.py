"""Look for faults of calibration and tracks before they are used.

Each finding is one line with the cameras' names and numbers. What cannot work is a DataError; what
only looks wrong is a warning. Faults that are certain come first (a camera entered twice, a wrong
unit). Whether the views agree is then checked without these cameras, so that no camera is blamed
for another's fault. No 3D truth is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.checks.causes import exchanged_labels
from pose_obj_3d.geometry.checks.hypotheses import Views
from pose_obj_3d.geometry.checks.synchronisation import find_shift, shifted
from pose_obj_3d.geometry.checks.twins import without_twins
from pose_obj_3d.geometry.checks.view_agreement import SUSPECT, Verdict, judge
from pose_obj_3d.geometry.lenses import PINHOLE
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_residuals import centres, disagreement, normalised

MAX_LINE = 500  # characters
MAX_FRAMES = 2000  # looked at, evenly spread
MAX_POINTS = 3000  # triangulated, evenly spread
FOCAL_RANGE_PX = (10.0, 1e6)
DISTANCE_RANGE_M = (0.01, 100.0)  # between the two cameras that are furthest apart
UNITS_M = {"m": 1.0, "mm": 0.001, "cm": 0.01}


@dataclass(frozen=True)
class Images:
    """What the cameras' images showed, with distortion.

    Attributes:
        raw: (N, V, K, 2) [px], NaN = missing.
        size: (V, 2) width and height, roughly [px].
        distortion: (V, 14).
        lenses: V kinds of lens.
    """

    raw: Tensor
    size: Tensor
    distortion: npt.NDArray[np.float64]
    lenses: Sequence[str]


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        warnings: Lines, the gravest first; empty when nothing was found.
        useless: Numbers of the views whose points lie mostly behind them, while the others agree.
    """

    warnings: list[str]
    useless: list[int]


def check_geometry(
    uv: Tensor,
    weights: Tensor,
    rig: Rig,
    view_names: Sequence[str],
    keypoint_names: Sequence[str] = (),
) -> list[str]:
    """Return the warnings of `examine`, without a look at synchronisation."""
    return examine(uv, weights, rig, view_names, keypoint_names).warnings


def examine(
    uv: Tensor,
    weights: Tensor,
    rig: Rig,
    view_names: Sequence[str],
    keypoint_names: Sequence[str] = (),
    unit: str = "m",
    first: Tensor | None = None,
    images: Images | None = None,
) -> Findings:
    """Check the cameras against each other and against the points.

    Args:
        uv: (N, V, K, 2) [px], without distortion.
        weights: (N, V, K), 0 = missing.
        rig: The cameras [m], in the world of the user's file.
        view_names: V names.
        keypoint_names: K names; numbers stand in.
        unit: Unit of the extrinsics in the user's file, before they were converted to metres.
        first: (N,) first frame of each frame's sequence, for a look at synchronisation; None for
            none.
        images: The detections before distortion was taken out; None where there is no
            distortion.

    Raises:
        DataError: One view, no keypoint in two views, cameras in one place, or pixels mixed with
            normalised coordinates.
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
    _check_places(rig)
    doubles, out = _check_doubles(uv, weights, rig, view_names)
    blind = (~(weights > 0).any(0).any(-1)).nonzero().squeeze(-1).tolist()
    lines, weights = without_twins(images.raw if images else uv, weights, view_names, names)
    doubles += lines
    chosen = [v for v in range(V) if v not in (*out, *blind)]
    used = [view_names[v] for v in chosen]
    verdict = _agreement(
        _views(uv, weights, rig, images, chosen), uv[:, chosen], used, names, first
    )
    # Distances between cameras mean nothing if their matrices have another convention.
    warnings = (
        _check_unit(verdict.corrected, used, unit)
        if verdict.corrected
        else _check_unit(rig, view_names, unit)
    )
    warnings += doubles + verdict.warnings
    never = [name for name, seen in zip(names, pairs_seen.any(0).tolist(), strict=True) if not seen]
    if never:
        warnings.append(f"never seen by two views in one frame, so without 3D: {', '.join(never)}")
    warnings += [f"camera {view_names[v]} sees no keypoint in any frame" for v in blind]
    return Findings(
        [line if len(line) < MAX_LINE else f"{line[: MAX_LINE - 5]} ..." for line in warnings],
        [chosen[i] for i in verdict.behind],
    )


def _part(rig: Rig, views: Sequence[int]) -> Rig:
    chosen = list(views)
    return Rig(
        rig.intrinsics[chosen],
        rig.extrinsics[chosen],
        rig.sigma_px,
        tuple(rig.view_ids[v] for v in chosen),
    )


def _views(
    uv: Tensor, weights: Tensor, rig: Rig, images: Images | None, chosen: Sequence[int]
) -> Views:
    """Gather what hypotheses change, for some views."""
    if images is None:
        size, plain = 2 * rig.intrinsics[:, :2, 2].double(), np.zeros((len(chosen), 14))
        return Views(
            uv[:, chosen].double(),
            weights[:, chosen].double(),
            _part(rig, chosen),
            size[chosen],
            plain,
            (PINHOLE,) * len(chosen),
        )
    raw = images.raw[:, chosen].double().nan_to_num(0.0)
    return Views(
        raw,
        weights[:, chosen].double(),
        _part(rig, chosen),
        _upright(images.size[chosen].double(), rig.intrinsics[chosen]),
        images.distortion[chosen],
        tuple(images.lenses[v] for v in chosen),
    )


def _upright(size: Tensor, intrinsics: Tensor) -> Tensor:
    """Exchange width and height where the principal points show that images were turned later."""
    middle = 2 * intrinsics[:, :2, 2].double()
    is_turned = ((size.flip(-1) / middle).log().abs().sum(-1)) < 0.5 * (
        size / middle
    ).log().abs().sum(-1)
    return torch.where(is_turned[:, None], size.flip(-1), size)


def _agreement(
    views: Views, uv: Tensor, names: Sequence[str], keypoints: Sequence[str], first: Tensor | None
) -> Verdict:
    """Judge whether the views agree, and whether a camera exchanges keypoints or is late."""
    weights, rig = views.w, views.rig
    if not ((weights > 0).sum(1) >= 2).any():
        return Verdict([], [])
    verdict = judge(*_sample(uv, weights), rig, names, views, keypoints)
    if verdict.is_explained or verdict.behind:
        return verdict
    lines, sound = exchanged_labels(
        views, names, keypoints, SUSPECT * float(rig.intrinsics[:, 0, 0].median())
    )
    if lines and ((sound.w > 0).sum(1) >= 2).any():
        weights = sound.w
        verdict = judge(*_sample(uv, weights), rig, names, sound, keypoints)
        if verdict.is_explained or verdict.behind:
            return replace(verdict, warnings=lines + verdict.warnings)
    # Two views that disagree nearly always agree better when one is shifted, so for two views a
    # better shift proves nothing.
    late = (
        None
        if first is None or (verdict.warnings and len(names) < 3)
        else find_shift(uv, weights, rig, first)
    )
    # If they still disagree after the shift, the cause is another one.
    if (
        first is None
        or late is None
        or (
            verdict.warnings
            and judge(*_sample(*shifted(uv, weights, first, late)), rig, names).warnings
        )
    ):
        return replace(verdict, warnings=lines + verdict.warnings)
    return Verdict([*lines, late.line(names)], [])


def _sample(uv: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return points seen by two or more views: (n, V, 2) and (n, V), float64."""

    def spread(count: int, limit: int) -> Tensor:
        return (
            torch.linspace(0, count - 1, min(count, limit), dtype=torch.float64)
            .round()
            .long()
            .to(uv.device)
        )

    seen = ((weights > 0).sum(1) >= 2).any(-1).nonzero().squeeze(-1)
    frames = seen[spread(len(seen), MAX_FRAMES)]
    points, w = (
        uv[frames].transpose(1, 2).flatten(0, 1),
        weights[frames].transpose(1, 2).flatten(0, 1),
    )
    rows = (multi_view.count_views(w) >= 2).nonzero().squeeze(-1)
    # Points that many views see tell most about which camera is wrong.
    rows = rows[multi_view.count_views(w[rows]).argsort(descending=True, stable=True)][
        : 4 * MAX_POINTS
    ]
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
                f"camera {names[v]}: focal length {f:.3g} px, but points up to {largest:.0f} px:"
                " the intrinsics look normalised; multiply fx, cx by the image width and fy, cy by"
                " its height"
            )
        if largest <= 2.0 and f > FOCAL_RANGE_PX[0]:
            raise DataError(
                f"camera {names[v]}: all points lie within +-{largest:.3g}, but the focal length is"
                f" {f:.0f} px: the points look normalised; multiply them by the image size"
            )


def _check_places(rig: Rig) -> None:
    centre = centres(rig)
    if float(torch.cdist(centre[None], centre[None]).max()) <= 1e-9 * float(
        rig.extrinsics[:, :, 3].norm(dim=-1).max()
    ):
        raise DataError(
            "all cameras stand in one place; 3D needs cameras at different places: check the"
            " extrinsics"
        )


def _check_unit(rig: Rig, names: Sequence[str], unit: str) -> list[str]:
    """Warn where the cameras are too close or too far apart for a room or a hall."""
    centre = centres(rig)
    distance = torch.cdist(centre[None], centre[None])[0]
    a, b = max(combinations(range(len(names)), 2), key=lambda pair: float(distance[pair]))
    largest = float(distance[a, b])
    low, high = DISTANCE_RANGE_M
    if low <= largest <= high:
        return []
    given = largest / UNITS_M[unit]
    would = {
        other: given * metres
        for other, metres in UNITS_M.items()
        if other != unit and low <= given * metres <= high
    }
    how = {
        other: f"write units='{other}' into the file, or --units {other} where it says nothing"
        for other in ("m", "mm")
    }
    how["cm"] = (
        "divide translations and truth by 100"
        if unit == "m"
        else "multiply translations and truth by 10"
    )
    cures = [f"in {other} it would be {x:.4g} m: {how[other]}" for other, x in would.items()]
    return [
        f"cameras {names[a]} and {names[b]} are {largest:.4g} m apart, too"
        f" {'far' if largest > high else 'close'}: wrong units? The "
        f"extrinsics are read as {unit};"
        f" {'; '.join(cures) or 'neither m, cm nor mm makes sense: check the translations'}"
    ]


def _check_doubles(
    uv: Tensor, weights: Tensor, rig: Rig, names: Sequence[str]
) -> tuple[list[str], list[int]]:
    """Find cameras that were entered twice.

    Returns:
        One line for each pair, and of each pair the view without which the others agree better.
    """
    lines: list[str] = []
    out: list[int] = []
    cameras = normalised(rig)
    for a, b in combinations(range(len(names)), 2):
        what = [*_same_points(uv, weights, a, b), *_same_place(cameras, a, b)]
        if not what:
            continue
        kept = [[v for v in range(len(names)) if v not in (*out, gone)] for gone in (a, b)]
        after = [
            _disagreement(uv[:, views], weights[:, views], _part(cameras, views)) for views in kept
        ]
        numbers = (
            f"; without {names[a]} the views disagree by {after[0]:.1f} px, without {names[b]} by"
            f" {after[1]:.1f} px (median)"
        )
        if not all(x < float("inf") for x in after):
            numbers = ""
        lines.append(
            f"cameras {names[a]} and {names[b]} have {' and '.join(what)}{numbers}: leave one out"
            " (--views), or correct it"
        )
        if a not in out and b not in out:
            out.append(a if after[0] < after[1] else b)
    return lines, out


def _disagreement(uv: Tensor, weights: Tensor, rig: Rig) -> float:
    if not ((weights > 0).sum(1) >= 2).any():
        return float("inf")
    return disagreement(*_sample(uv, weights), rig)


def _same_points(uv: Tensor, weights: Tensor, a: int, b: int) -> list[str]:
    some = slice(0, MAX_FRAMES)
    both = (weights[some, a] > 0) & (weights[some, b] > 0)
    is_same = int(both.sum()) >= 10 and bool((uv[some, a] == uv[some, b])[both].all())
    return ["identical points (is one track used twice?)"] if is_same else []


def _same_place(rig: Rig, a: int, b: int) -> list[str]:
    centre, R = centres(rig), rig.extrinsics[:, :, :3]
    is_same = (
        float((centre[a] - centre[b]).norm()) <= 1e-6 and float((R[a] - R[b]).abs().max()) < 1e-3
    )
    return (
        ["the same place and direction (is one extrinsics matrix used twice?)"] if is_same else []
    )
