"""Evaluation protocol: a model beside methods without learning, on the same points.

A point is a keypoint in a frame of a test example. Points with two or more usable views are in the
columns all, moving and still; the others have a column of their own.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.facts import MOVING_M_PER_S
from pose_obj_3d.common.progress import Pace
from pose_obj_3d.evaluation import claims, frame_poses, lasting_bounds, metrics, root_relative
from pose_obj_3d.formal import FRAME_PERIOD_S
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.tracks import map_smoothing
from pose_obj_3d.tracks import track_smoothing as smoothers
from pose_obj_3d.tracks.gathering import gather_for
from pose_obj_3d.tracks.lasting import with_shared
from pose_obj_3d.tracks.motion import never_moves, speeds
from pose_obj_3d.tracks.triangulating import single_frame
from pose_obj_3d.tracks.types import Tracks

logger = logging.getLogger(__name__)
BOUND_FRAME = "Cramer-Rao bound, one frame"
DLT = "linear triangulation (DLT)"
MAP = "MAP, whole track"
# What `smoothers.fit_process_noise` finds on the five studied tasks, rounded;
# benchmarks/bench_references.py
RTS_MOTION, RTS_Q = "constant velocity", 1.0
_CHUNK = 65536  # points estimated at once; bounds the memory
NO_TRUTH = "the Cramer-Rao bound needs the 3D truth"
NO_BOUNDS = (
    "no Cramer-Rao bounds: they need the true noise of each detection, which is known of simulated"
    " detections with their true visibility alone"
)
EVERY = "every point"
"""A further column, where a detector says which views are usable: it cannot choose its points."""
NEVER = "never moving"
"""A further column of what methods claim: keypoints that rest in the whole example."""
COLUMNS = ("all", "moving", "still", "fewer than two views")
PCK_M = (0.010, 0.020)
Result = dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """How to evaluate.

    Attributes:
        num_frames: Window length T.
        used_frames: Frames of the window that may be used, or None for all.
        batch_size: Windows at once; on a CPU few enough for its cache.
        frame_period_s: Seconds between frames.
        root: The keypoint of root-relative errors; "" = each task's first.
    """

    num_frames: int
    used_frames: int | None = None
    batch_size: int = 512
    frame_period_s: float = FRAME_PERIOD_S
    root: str = ""


def predict(model: nn.Module, tracks: Tracks, rig: Rig, protocol: Protocol) -> Tensor:
    """Run a model over every frame: (N, K, 3) [m]."""
    return estimate(model, tracks, rig, protocol).xyz


@torch.no_grad()
def estimate(
    model: nn.Module, tracks: Tracks, rig: Rig, protocol: Protocol, blind: bool = False
) -> Estimate:
    """Run a model over every frame: (N, K, 3) [m] and the covariance that it claims.

    The covariance is NaN where the model claims none. `blind` asks for predictions that have not
    seen their frame's measurement; of a model without them all is NaN.
    """
    whole = getattr(model, "whole_tracks", None)
    found_whole = None if whole is None or blind else whole(tracks, rig)
    if found_whole is not None:
        return _filled(found_whole, tracks)
    was_training = model.training
    model.eval()
    rig32 = rig.float()
    if isinstance(model, Model):
        tracks = (
            model.for_training(tracks, rig, blind=True)
            if blind
            else model.prepare(tracks, rig, protocol.used_frames)
        )
    xyz, covariance, pace = [], [], Pace()
    for centres in torch.split(
        torch.arange(len(tracks), device=tracks.uv.device), protocol.batch_size
    ):
        if pace.is_due():
            logger.info("lifted %d/%d frames", int(centres[0]), len(tracks))
        windows = gather_for(model, tracks, centres, protocol.num_frames, protocol.used_frames)
        prediction = model(windows, rig32)
        found, info = (
            (prediction.blind_xyz, prediction.blind_info)
            if blind
            else (prediction.xyz, prediction.info)
        )
        xyz.append(torch.full_like(prediction.xyz, torch.nan) if found is None else found)
        claimed = torch.full_like(windows.info[:, windows.centre], torch.nan)
        covariance.append(claimed if info is None else _inverse(info))
    model.train(was_training)
    tail = model.tail if isinstance(model, Model) else 0.0
    return Estimate(torch.cat(xyz), torch.cat(covariance), tail=tail)


def _inverse(info: Tensor) -> Tensor:
    """Invert information (*, 3, 3); NaN where there is none."""
    is_known = (info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0)[..., None, None]
    eye = torch.eye(3, dtype=torch.float64, device=info.device)
    inverse = geometry.invert_3x3(torch.where(is_known, info.double(), eye))
    return torch.where(is_known, inverse, torch.nan).to(info.dtype)


def reference_predictions(tracks: Tracks, rig: Rig, protocol: Protocol) -> dict[str, Estimate]:
    """Compute what needs no learning, from one frame or the window: name -> (N, K, 3) [m].

    The smoothers start from the robust triangulation. Where there is nothing to triangulate or to
    smooth, the nearest triangulated frame's position stands.
    """
    frames = protocol.used_frames or protocol.num_frames
    return {
        DLT: single_frame(estimators.dlt, tracks, rig),
        "maximum likelihood": single_frame(estimators.maximum_likelihood, tracks, rig),
        "robust (Huber)": single_frame(estimators.huber, tracks, rig),
        "pairwise consensus": single_frame(estimators.consensus, tracks, rig),
        f"{frames}-frame weighted mean": _filled(smoothers.window_mean(tracks, frames), tracks),
        f"Savitzky-Golay ({frames} frames, degree 2)": _filled(
            smoothers.savitzky_golay(tracks, frames), tracks
        ),
    }


def _filled(found: Estimate, tracks: Tracks) -> Estimate:
    return Estimate(found.filled(tracks.xyz).float(), found.covariance.float())


def whole_track_predictions(tracks: Tracks, rig: Rig, protocol: Protocol) -> dict[str, Estimate]:
    """Smooth whole examples without learning: name -> (N, K, 3) [m]. No window confines these."""
    smoothed = smoothers.rts(tracks, RTS_MOTION, RTS_Q, protocol.frame_period_s)
    name = f"RTS smoother (whole track, {RTS_MOTION}, q = {RTS_Q:g} {smoothers.Q_UNIT[RTS_MOTION]})"
    most_probable = map_smoothing.smooth(tracks, rig)
    return {name: _filled(smoothed, tracks), MAP: _filled(most_probable, tracks)}


def cramer_rao(tracks: Tracks, rig: Rig, protocol: Protocol) -> dict[str, Tensor]:
    """Bound the expected error of unbiased estimators: name -> (N, K) [m].

    One frame: from the frame's own measurements. Window: from the distinct frames of the window
    where the point is still in all of them; the one-frame bound elsewhere. Infinite with fewer than
    two views. The true noise of each view counts, hidden points' included; of outliers nothing can
    be learned. Where the stated noise lasts (`Tracks.lasting`), frames count as far as they are
    independent.
    """
    info, precision = _true_information(tracks, rig)
    few = (tracks.weights > 0).sum(1) < 2
    single = geometry.expected_error(info).masked_fill(few, torch.inf)
    frames = protocol.used_frames or protocol.num_frames
    index, is_distinct = smoothers.window_index(tracks, frames)
    still = speeds(tracks, protocol.frame_period_s) <= MOVING_M_PER_S
    total = torch.zeros_like(info)
    all_still = torch.ones_like(still)
    for t in range(index.shape[1]):
        total += info[index[:, t]] * is_distinct[:, t, None, None, None]
        all_still &= still[index[:, t]] | ~is_distinct[:, t, None]
    if tracks.lasting is not None:
        total = lasting_bounds.true_information(
            tracks, rig, lasting_bounds.window_precision(tracks, precision, frames)
        )
    window = torch.where(all_still & ~few, geometry.expected_error(total), single)
    return {BOUND_FRAME: single, f"Cramer-Rao bound, {frames} frames where still": window}


def whole_track_bound(tracks: Tracks, rig: Rig, protocol: Protocol) -> Tensor:
    """Bound the expected error (N, K) [m] where the keypoint never moves in the whole example.

    All frames of the example are then measurements of one point, as far as their errors are
    independent (`Tracks.lasting`). Infinite elsewhere, and in frames where fewer than two views see
    the point: these are scored apart.
    """
    info, precision = _true_information(tracks, rig)
    if tracks.lasting is None:
        running = torch.cat([torch.zeros_like(info[:1]), info.cumsum(0)])
        total = running[tracks.last + 1] - running[tracks.first]
    else:
        total = lasting_bounds.true_information(
            tracks, rig, lasting_bounds.track_precision(tracks, precision)
        )
    is_bounded = never_moves(tracks, protocol.frame_period_s) & (
        geometry.count_views(precision) >= 2
    )
    bound = torch.full(is_bounded.shape, torch.inf, dtype=torch.float64, device=info.device)
    parts = torch.split(total[is_bounded], _CHUNK)
    bound[is_bounded] = torch.cat([geometry.expected_error(part) for part in parts])
    return bound


def _true_information(tracks: Tracks, rig: Rig) -> tuple[Tensor, Tensor]:
    """Return what a frame tells of each point (N, K, 3, 3) [1/m^2], and precisions (N, K, V)."""
    if tracks.truth is None or tracks.precision is None:
        raise DataError(NO_BOUNDS if tracks.truth is not None else NO_TRUTH)
    # What a method takes the noise for, the weights' size, is no part of the truth.
    precision = ((tracks.weights > 0) * tracks.precision.double()).transpose(1, 2)
    return lasting_bounds.true_information(tracks, rig, precision), precision


def column_masks(tracks: Tracks, frame_period_s: float) -> dict[str, Tensor]:
    """Return which points belong to each of `COLUMNS`: name -> (N, K) bool."""
    well = tracks.is_real & ((tracks.weights > 0).sum(1) >= 2)
    moving = speeds(tracks, frame_period_s) > MOVING_M_PER_S
    return dict(
        zip(COLUMNS, (well, well & moving, well & ~moving, tracks.is_real & ~well), strict=True)
    )


def evaluate(
    predictions: Mapping[str, Tensor | Estimate],
    tracks: Tracks,
    rig: Rig,
    protocol: Protocol,
    ids: list[str],
    further: Mapping[str, Tensor] | None = None,
) -> Result:
    """Score predictions and bounds on the same points.

    Args:
        predictions: Method -> (N, K, 3) [m], with covariance where the method has one.
        tracks: Test data with truth.
        rig: The cameras.
        protocol: Window and batch.
        ids: Keypoint names `T<task>/<group>/<name>`.
        further: Further columns: name -> (N, K) bool.

    Returns:
        JSON-ready: `counts` (also of `NEVER` and the further columns, and of `EVERY` where nobody
        knows the noise), `methods` (method -> column -> measures, units in the keys; of methods
        with a covariance also `coverage_<p>_percent`, the share of truths inside the claimed region
        of p %, and `claimed_error_mm`, what the covariance says of the MPJPE), `details` (method ->
        per task, group, keypoint -> MPJPE; of the points of the last column where the first is
        empty, as with one view), `frames` where waypoints are whole frames (as of
        `frame_poses.measure`), and `notes`, lines on what was left out, where something was.
    """
    assert tracks.truth is not None
    masks = column_masks(tracks, protocol.frame_period_s)
    if tracks.precision is None:
        masks[EVERY] = tracks.is_real
    brief = {**(further or {}), NEVER: masks["all"] & never_moves(tracks, protocol.frame_period_s)}
    roots = root_relative.root_places(tracks.keypoint, ids, protocol.root)
    detailed = masks["all"] if masks["all"].any() else masks[COLUMNS[3]]
    result: Result = {
        "counts": {c: int(m.sum()) for c, m in {**masks, **brief}.items()},
        "methods": {},
        "details": {},
    }
    for name, predicted in predictions.items():
        xyz = predicted.xyz if isinstance(predicted, Estimate) else predicted
        columns = {
            c: _measures(xyz, tracks, m, protocol.frame_period_s, roots) for c, m in masks.items()
        }
        columns |= {c: _mean_and_median(xyz, tracks.truth, m) for c, m in brief.items()}
        if isinstance(predicted, Estimate) and predicted.covariance.isfinite().any():
            claimed = claims.claimed_error(predicted)
            for column, mask in {**masks, NEVER: brief[NEVER]}.items():
                columns[column] |= claims.calibration(predicted, claimed, tracks, mask)
        result["methods"][name] = columns
        result["details"][name] = _details(
            metrics.distances(xyz, tracks.truth), tracks, detailed, ids
        )
    if poses := frame_poses.measure(predictions, tracks, masks["all"], ids):
        result["frames"] = poses
    if tracks.precision is None:
        result["notes"] = [NO_BOUNDS]
        return result
    for name, bound in cramer_rao(tracks, rig, protocol).items():
        columns = {
            c: {"mpjpe_mm": metrics.mm(metrics.summed(bound, m).mean)} for c, m in masks.items()
        }
        columns[COLUMNS[3]] = {"mpjpe_mm": None}
        result["methods"][name] = columns
    return result


def compare(
    model: nn.Module,
    label: str,
    tracks: Tracks,
    rig: Rig,
    protocol: Protocol,
    ids: list[str],
    further: Mapping[str, Tensor] | None = None,
) -> tuple[Result, Estimate]:
    """Score a model beside the methods without learning that its views and frames allow.

    Args:
        model: The network.
        label: Its name in the result.
        tracks: Test data with truth.
        rig: The cameras; with a single one there is nothing to compare with.
        protocol: Window and batch.
        ids: Keypoint names.
        further: Further columns, as of `evaluate`.

    Returns:
        The result, as of `evaluate`, and what the model has estimated.
    """
    methods = {label: estimate(model, tracks, rig, protocol)}
    if len(rig.view_ids) > 1:
        methods |= reference_predictions(tracks, rig, protocol)
        if protocol.used_frames is None:
            methods |= whole_track_predictions(tracks, rig, protocol)
    methods = {name: with_shared(found, tracks, rig) for name, found in methods.items()}
    predicted = methods[label]
    return evaluate(methods, tracks, rig, protocol, ids, further), predicted


def _measures(
    xyz: Tensor, tracks: Tracks, mask: Tensor, frame_period_s: float, roots: Tensor
) -> Result:
    assert tracks.truth is not None
    truth, first = tracks.truth, tracks.first
    error = metrics.distances(xyz, truth)[mask]
    p95 = float(error.double().quantile(0.95)) if 0 < len(error) < 10_000_000 else float("nan")
    velocity = metrics.mean_velocity_error(xyz, truth, mask, first, frame_period_s)
    measures: Result = {
        **_mean_and_median(xyz, truth, mask),
        "p_mpjpe_mm": metrics.mm(metrics.p_mpjpe(xyz, truth, mask).mean),
        "n_mpjpe_mm": metrics.mm(metrics.n_mpjpe(xyz, truth, mask).mean),
        "root_mpjpe_mm": metrics.mm(root_relative.root_mpjpe(xyz, truth, mask, roots).mean),
        "p95_mm": metrics.mm(p95),
        "velocity_mm_per_s": metrics.mm(velocity.mean),
    }
    for threshold in PCK_M:
        measures[f"pck_{threshold * 1000:.0f}mm"] = metrics.number(
            metrics.pck(xyz, truth, mask, threshold).mean
        )
    return measures


def _mean_and_median(xyz: Tensor, truth: Tensor, mask: Tensor) -> Result:
    error = metrics.distances(xyz, truth)[mask]
    median = float(error.median()) if len(error) else math.nan
    return {
        "count": len(error),
        "mpjpe_mm": metrics.mm(metrics.mpjpe(xyz, truth, mask).mean),
        "median_mm": metrics.mm(median),
    }


def _details(error: Tensor, tracks: Tracks, mask: Tensor, ids: list[str]) -> Result:
    """Split the MPJPE by task, by group and by keypoint."""
    labels: dict[str, Callable[[str], str]] = {
        "task": lambda name: name.split("/")[0],
        "group": lambda name: name.split("/")[1],
        "keypoint": lambda name: name,
    }
    sums = [metrics.summed(error, mask & (tracks.keypoint == i)) for i in range(len(ids))]
    details: Result = {}
    for kind, label in labels.items():
        parts: dict[str, metrics.ErrorSum] = {}
        for name, part in zip(ids, sums, strict=True):
            parts[label(name)] = parts.get(label(name), metrics.ErrorSum()) + part
        details[kind] = {
            k: {"mpjpe_mm": metrics.mm(v.mean), "count": v.count}
            for k, v in parts.items()
            if v.count
        }
    return details
