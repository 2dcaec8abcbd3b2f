"""Choose the result that `lift` keeps: a model's, a whole track's, or single frames'.

Results are compared on detections that they have not seen: those of each camera, predicted from the
other cameras; with two cameras, those of each frame, predicted from the other frames. A smoother
assumes that frames follow each other in time, and a model assumes what it has learned. Where that
is wrong, they predict worse than single frames. No truth is read.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.progress import loop
from pose_obj_3d.geometry import estimators, multi_view
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.lifting.tracks_from_file import CHUNK_CELLS, deviations, part
from pose_obj_3d.lifting.weighing import masked, without_view
from pose_obj_3d.tracks.strays import find_vague
from pose_obj_3d.tracks.triangulating import single_frame
from pose_obj_3d.tracks.types import Tracks

ROBUST = "robust triangulation (Huber)"
# If a larger share of sound frames is dropped, the frames do not seem to be in order.
MAX_DROPPED = 0.02
# Of the check that leaves each camera out: points times cameras, and frames.
MAX_LEFT_OUT_CELLS, MAX_LEFT_OUT_FRAMES = 200_000, 20_000
MIN_SCORED = 30  # a keypoint with fewer frames is judged together with the others
# Larger residuals are capped: at so many standard deviations, or medians of the triangulation.
MIN_CAP, CAP = 5.0, 4.0
BLOCK = 10  # neighbouring frames are alike: so many count as one
SIGNIFICANT = 2.0  # a method loses by at least so many standard errors,
MARGIN = 0.05  # and by this share of the mean square: less makes no difference
Results = dict[str, Estimate]
Methods = Callable[[Tracks], Results]


@dataclass(frozen=True)
class Choice:
    """What is kept, and why.

    Attributes:
        names: The method of each of the K keypoints.
        left_out_px: Method -> root mean square of what was left out [px of the median camera],
            gross errors capped; empty where nothing could be left out.
        left_out: What the numbers are of: `camera` or `frame`.
        line: What was kept of model, smoother and most probable track; "" without a judgement.
        warnings: One line for each reason to fall back.
    """

    names: list[str]
    left_out_px: dict[str, float]
    left_out: str
    line: str
    warnings: list[str]


@dataclass(frozen=True)
class LeftOut:
    """How methods predict what was left out; NaN where not scored.

    Attributes:
        off: Method, and `ROBUST` of all detections -> residuals (N, V, K) [px] of the first N
            frames. Empty where nothing could be left out.
        deviation: Method -> the same in standard deviations of prediction and detection.
    """

    off: dict[str, Tensor]
    deviation: dict[str, Tensor]


def triangulation(tracks: Tracks, rig: Rig) -> Estimate:
    """Triangulate each frame by itself; NaN where fewer than two views see the point clearly."""
    found = single_frame(estimators.huber, tracks, rig)
    lost = find_vague(found.info, tracks.keypoint) | ~(
        found.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    )
    assert found.inliers is not None
    return Estimate(
        found.xyz.double().masked_fill(lost[..., None], torch.nan),
        found.covariance.double().masked_fill(lost[..., None, None], torch.nan),
        found.inliers.masked_fill(lost[..., None], 0.0),
    )


def leave_out_views(tracks: Tracks, kept: Tracks, rig: Rig, methods: Methods) -> LeftOut:
    """Predict each camera's detections from the other cameras.

    Scored are the detections of points that two other cameras see in the same frame, for all
    methods; in the first `MAX_LEFT_OUT_FRAMES` frames, fewer where there are many points.
    """
    frame = tracks.weights[0].numel()
    frames = min(len(tracks), MAX_LEFT_OUT_FRAMES, max(MIN_SCORED, MAX_LEFT_OUT_CELLS // frame))
    tracks, kept = (part(x, 0, frames) for x in (tracks, kept))
    found = LeftOut({}, {})
    for v in loop(range(tracks.weights.shape[1]), "leaving cameras out"):
        # Points that too few other cameras see keep their place; they are not scored.
        raw = replace(tracks, weights=masked(tracks, v))
        try:
            blind = without_view(kept, v, rig)
        except DataError:  # two cameras, or nothing in common
            continue
        scored = (
            (tracks.weights[:, v] > 0) & ((blind.weights > 0).sum(1) >= 2) & (blind.keypoint >= 0)
        )
        estimates = {**methods(blind), ROBUST: single_frame(estimators.huber, raw, rig)}
        for name, estimate in estimates.items():
            off = residuals(estimate, tracks, rig)
            far = deviations(estimate, tracks, rig)
            far = far.where(estimate.covariance.isfinite().all(-1).all(-1)[:, None], torch.nan)
            for values, known in ((found.off, off), (found.deviation, far)):
                all_views = values.setdefault(name, torch.full_like(tracks.weights, torch.nan))
                all_views[:, v] = torch.where(scored, known[:, v].to(all_views), torch.nan)
    return found


def leave_out_frames(tracks: Tracks, rig: Rig, blind: Results) -> dict[str, Tensor]:
    """Compare the detections of frames with predictions from other frames; as `LeftOut.off`."""
    scored = (tracks.weights > 0) & ((tracks.weights > 0).sum(1, keepdim=True) >= 2)
    off = {name: residuals(estimate, tracks, rig).float() for name, estimate in blind.items()}
    scored = scored & torch.stack([x.isfinite() for x in off.values()]).all(0)
    return {name: x.masked_fill(~scored, torch.nan) for name, x in off.items()}


def residuals(estimate: Estimate, tracks: Tracks, rig: Rig) -> Tensor:
    """Return the reprojection error (N, V, K) [px], NaN where the point is unknown."""
    rows = max(1, CHUNK_CELLS // max(1, tracks.weights[0].numel()))  # bounds the memory
    parts = []
    for xyz, uv in zip(torch.split(estimate.xyz, rows), torch.split(tracks.uv, rows), strict=False):
        predicted, _ = multi_view.project(xyz.double(), rig.intrinsics, rig.extrinsics)
        parts.append((uv - predicted.transpose(1, 2)).norm(dim=-1))
    return torch.cat(parts)


def choose(
    tracks: Tracks,
    rig: Rig,
    left_out: dict[str, Tensor],
    measured: dict[str, Tensor],
    single: Estimate,
    names: list[str],
    learned: str | None = None,
) -> Choice:
    """Keep the best of model, most probable track and smoother; single frames where all lose.

    Args:
        tracks: The data with all detections.
        rig: The cameras.
        left_out: As from `leave_out_frames`, or `LeftOut.off`.
        measured: Method -> (N, K) where the frame's own measurement went in.
        single: `triangulation` of the tracks.
        names: The K keypoints.
        learned: The method that has learned from these tracks, if any: it must be better than the
            others by a standard error.
    """
    square = _capped(left_out, tracks, rig)
    # Without another frame's help nothing says how good a method is that needs the frame's own.
    methods = [name for name in measured if name in square or not square]
    scores = {name: rig.sigma_px * float(x.nanmean().sqrt()) for name, x in square.items()}
    by_camera = ROBUST in left_out
    best, line = methods[0], ""
    if len(methods) > 1 and scores:
        best = min(methods, key=scores.__getitem__)
        others = [name for name in methods if name != best]
        if best == learned and by_camera:
            # The model has learned from the cameras that are left out: chance is not enough.
            second = min(others, key=scores.__getitem__)
            (off, error), *_ = _differences(_joined(square[second]), _joined(square[best]))
            best = best if off > error else second
        numbers = ", ".join(f"{name} {value:.3g} px" for name, value in scores.items())
        line = f"left-out {'cameras' if by_camera else 'frames'}: {numbers}; {best} is kept"
    others = [best, *(name for name in methods if name != best)]
    dropped = _dropped_sound(tracks, rig, measured[best], single)
    unknown: list[bool | None] = [None] * len(names)
    is_judged = by_camera and bool(scores)
    beats = {
        name: _verdicts(square[name], square[ROBUST]) if is_judged else unknown for name in others
    }
    shuffled = _too_many(dropped, single)
    chosen = [ROBUST if shuffled[k] else best for k in range(len(names))]
    losers = []
    for k in range(len(names)):
        verdicts = [beats[name][k] for name in others]
        if chosen[k] != ROBUST and verdicts[0]:
            chosen[k] = next(
                (name for name, loses in zip(others, verdicts, strict=True) if loses is False),
                ROBUST,
            )
            losers.append(k)
    return Choice(
        chosen,
        scores,
        "camera" if by_camera else "frame",
        line,
        _lines(names, chosen, shuffled, losers, dropped, single, scores),
    )


def _lines(
    names: list[str],
    chosen: list[str],
    shuffled: list[bool],
    losers: list[int],
    dropped: Tensor,
    single: Estimate,
    scores: dict[str, float],
) -> list[str]:
    lines = []
    some = [k for k in range(len(names)) if shuffled[k]]
    if some:
        seen = int(single.xyz[:, some].isfinite().all(-1).sum())
        count = int(dropped[:, some].sum())
        lines.append(
            f"{count} of {seen} frames ({100 * count / max(seen, 1):.1f} %) of"
            f" {listed(names, some)} are far from where the frames before and after put them,"
            " though their cameras agree: the frames do not seem to follow each other in time"
            " (are they shuffled, is the frame rate low, is sequence_starts missing?); each frame"
            " is triangulated by itself, and nothing is smoothed or bridged"
        )
    if losers:
        to = " and ".join(dict.fromkeys(chosen[k] for k in losers))
        numbers = ", ".join(f"{name} {value:.3g} px" for name, value in scores.items())
        lines.append(
            f"{listed(names, losers)}: predicts left-out cameras worse than single frames do (all"
            f" keypoints together: {numbers}); {to} is kept there"
        )
    return lines


def listed(names: list[str], chosen: list[int]) -> str:
    """Name some keypoints, or say that it is all of them."""
    if len(chosen) == len(names):
        return "all keypoints"
    shown = ", ".join(names[k] for k in chosen[:5])
    return f"keypoint {shown}" + (f" and {len(chosen) - 5} more" if len(chosen) > 5 else "")


def _capped(left_out: dict[str, Tensor], tracks: Tracks, rig: Rig) -> dict[str, Tensor]:
    """Return squared residuals in units of their variance (N, V, K), capped; NaN = not scored."""
    n = len(next(iter(left_out.values()))) if left_out else 0
    found = {
        name: (r.double() / rig.sigma_px).square() * tracks.weights[:n]
        for name, r in left_out.items()
    }
    if not found or not any(bool(x.isfinite().any()) for x in found.values()):
        return {}
    least = found.get(ROBUST, next(iter(found.values())))
    cap = max(MIN_CAP**2, CAP**2 * float(least.nanmedian()))
    # A prediction that is not finite counts as the largest residual.
    is_scored = torch.stack([~x.isnan() for x in found.values()]).any(0)
    return {
        name: x.nan_to_num(cap).clamp_max(cap).masked_fill(~is_scored, torch.nan)
        for name, x in found.items()
    }


def _verdicts(ours: Tensor, other: Tensor) -> list[bool | None]:
    """Say for each keypoint whether squares (N, V, K) are larger, where not by itself, together.

    Where the keypoints that do not lose by themselves lose together, those of them that are worse
    lose too, and those with too few frames.
    """
    verdicts = _loses(ours, other)
    unsure = [k for k, loses in enumerate(verdicts) if not loses]
    if not unsure:
        return verdicts
    together = [_joined(x[:, :, unsure]) for x in (ours, other)]
    if not _loses(*together)[0]:
        return verdicts
    for k in unsure:
        off = float((ours - other)[:, :, k].nanmean())
        verdicts[k] = verdicts[k] is None or off > 0
    return verdicts


def _joined(square: Tensor) -> Tensor:
    """Take the keypoints of (N, V, K) for one: (N, V * K, 1)."""
    return square.flatten(1).unsqueeze(-1)


def _loses(ours: Tensor, other: Tensor) -> list[bool | None]:
    """Say for each keypoint whether squares (N, V, K) are significantly larger; None = too few."""
    verdicts: list[bool | None] = []
    for k, (mean, error) in enumerate(_differences(ours, other)):
        least = MARGIN * float(other[:, :, k].nanmean())
        verdicts.append(None if math.isinf(error) else mean > SIGNIFICANT * error + least)
    return verdicts


def _differences(ours: Tensor, other: Tensor) -> list[tuple[float, float]]:
    """Return for each keypoint by how much squares (N, V, K) are larger, and the standard error.

    The error is infinite where too few frames are scored.
    """
    off = ours - other
    found = []
    for k in range(off.shape[2]):
        is_there = off[:, :, k].isfinite()
        if int(is_there.any(1).sum()) < MIN_SCORED:
            found.append((0.0, math.inf))
            continue
        block = torch.arange(len(off)) // BLOCK
        count = torch.zeros(int(block[-1]) + 1, dtype=torch.float64).index_add_(
            0, block, is_there.sum(1).double()
        )
        total = torch.zeros_like(count).index_add_(0, block, off[:, :, k].nan_to_num(0.0).sum(1))
        mean = total.sum() / count.sum()
        error = (total - mean * count).square().sum().sqrt() / count.sum()
        found.append((float(mean), float(error)))
    return found


def _dropped_sound(tracks: Tracks, rig: Rig, measured: Tensor, single: Estimate) -> Tensor:
    """Find frames (N, K) that were dropped although their views agree on a clear point."""
    square = (residuals(single, tracks, rig) / rig.sigma_px).square() * tracks.weights
    freedom = 2 * (tracks.weights > 0).sum(1).double() - 3
    agrees = square.nan_to_num(0.0).sum(1) < freedom + 3 * (2 * freedom.clamp_min(0)).sqrt()
    return single.xyz.isfinite().all(-1) & ~measured & agrees


def _too_many(dropped: Tensor, single: Estimate) -> list[bool]:
    """Say for each keypoint whether more of its sound frames were dropped than chance explains."""
    seen = single.xyz.isfinite().all(-1)
    counts, totals = dropped.sum(0).tolist(), seen.sum(0).tolist()
    # Frames are out of order for all keypoints or for none.
    everywhere = is_many(sum(counts), sum(totals))
    return [
        is_many(n, N) or (everywhere and n > MAX_DROPPED * N)
        for n, N in zip(counts, totals, strict=True)
    ]


def is_many(count: int, total: int) -> bool:
    """Say whether a count of dropped frames is significantly above the share `MAX_DROPPED`."""
    return count - SIGNIFICANT * math.sqrt(count) > MAX_DROPPED * total


def composed(results: Results, names: list[str]) -> Estimate:
    """Put the chosen methods' keypoints together."""
    first = next(iter(results.values()))
    xyz, covariance = (
        torch.full_like(first.xyz, torch.nan),
        torch.full_like(first.covariance, torch.nan),
    )
    for name in dict.fromkeys(names):
        is_own = torch.tensor([n == name for n in names])
        xyz[:, is_own], covariance[:, is_own] = (
            results[name].xyz[:, is_own].to(xyz),
            results[name].covariance[:, is_own].to(xyz),
        )
    return Estimate(xyz, covariance)
