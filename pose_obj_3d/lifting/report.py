"""How far lifted points can be trusted, in numbers. docs/own_videos.md explains each of them.

Nothing here feeds back into the points; the truth, where a file has one, is read in this file
alone.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting.choice import ROBUST, residuals
from pose_obj_3d.lifting.judging.claims import Held
from pose_obj_3d.lifting.judging.claims import describe as describe_claims
from pose_obj_3d.lifting.judging.noise_report import NoiseReport, noise_lines, noise_report
from pose_obj_3d.lifting.lift_file import Lifted
from pose_obj_3d.lifting.refining.changes import Refinement
from pose_obj_3d.lifting.scene_scale import significant
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import OwnData, is_outlier
from pose_obj_3d.tracks.triangulating import single_frame

DLT = "linear triangulation (DLT)"


@dataclass(frozen=True)
class Spread:
    """Distances of one kind; None where there are none.

    Attributes:
        mean: Their mean.
        median: Half of them are smaller.
        p95: 95 % of them are smaller.
        count: Their number.
    """

    mean: float | None
    median: float | None
    p95: float | None
    count: int


@dataclass(frozen=True)
class LeftOut:
    """How well detections of a camera are predicted from the other cameras [px].

    Attributes:
        ours: By the methods that were kept.
        triangulation: By triangulating single frames.
    """

    ours: Spread
    triangulation: Spread


@dataclass(frozen=True)
class CameraReport:
    """What one camera contributed.

    Attributes:
        name: Its name.
        noise_px: Standard deviation of its detections [px].
        detections: Points that it sees.
        missing: Points that it does not see.
        outliers: Detections that are far from the lifted point.
        reprojection_px: Distances of its detections from the lifted points [px].
        left_out_px: Distances of its detections from what the other cameras predict [px].
    """

    name: str
    noise_px: float
    detections: int
    missing: int
    outliers: int
    reprojection_px: Spread
    left_out_px: LeftOut


@dataclass(frozen=True)
class KeypointReport:
    """How one keypoint was lifted.

    Attributes:
        name: Its name.
        method: The method that was kept for it.
        frames_measured: Frames whose own detections went in.
        frames_dropped: Frames in which two cameras see it, but whose detections did not go in.
        frames_lifted: Frames with a 3D point.
        missing: Frames without a detection, for each camera.
        outliers: Detections that are far from the lifted point, for each camera.
        motion: Motion and process noise of the smoother; "-" where nothing is smoothed.
    """

    name: str
    method: str
    frames_measured: int
    frames_dropped: int
    frames_lifted: int
    missing: list[int]
    outliers: list[int]
    motion: str


@dataclass(frozen=True)
class ErrorReport:
    """Distances of a method from the truth [mm].

    Attributes:
        measured: Of points that two or more cameras see.
        fewer_than_two_views: Of the other points.
        coverage_68_percent: Share of true points inside the regions of 68 % probability [%].
        coverage_95_percent: The same for 95 %.
    """

    measured: Spread
    fewer_than_two_views: Spread
    coverage_68_percent: float | None
    coverage_95_percent: float | None


@dataclass(frozen=True)
class Report:
    """All that is known about a result.

    Attributes:
        file: The file, or the name of the caller.
        method: The method; where keypoints differ, the most frequent first.
        units: Unit of the points, `m` or `mm`.
        fps: Frames a second.
        frames: Number of frames.
        sequences: Number of sequences.
        cameras: One entry for each camera.
        keypoints: One entry for each keypoint.
        seen_by_two: Points that two or more cameras see.
        measured: Points whose own frame's detections went in.
        dropped: Points that two or more cameras see, but whose detections did not go in.
        bridged: Points between measurements that were filled in.
        outside: Points before the first or after the last measurement; they are NaN.
        vague: Points between measurements that are too uncertain; they are NaN.
        bridge_limit: Largest standard deviation of a bridged point, in `units`.
        left_out: What was left out to compare methods: `camera` or `frame`.
        left_out_px: Method -> root mean square error of what was left out [px].
        held: Method -> what its covariances hold of the detections of left-out cameras.
        noise: How the detections err; None where the user states the noise.
        choice: Which method was kept, and why; "" where there was no choice.
        jitter_m_per_s2: Method -> mean acceleration [m/s^2].
        error_mm: Method -> distances from the truth; None where there is no truth.
        warnings: What looks wrong, one line each.
        notes: What else a reader should know, one line each.
        refinement: How `--refine` has changed the cameras; None without it.
    """

    file: str
    method: str
    units: str
    fps: float
    frames: int
    sequences: int
    cameras: list[CameraReport]
    keypoints: list[KeypointReport]
    seen_by_two: int
    measured: int
    dropped: int
    bridged: int
    outside: int
    vague: int
    bridge_limit: float
    left_out: str
    left_out_px: dict[str, float]
    held: dict[str, Held]
    noise: NoiseReport | None
    choice: str
    jitter_m_per_s2: dict[str, float | None]
    error_mm: dict[str, ErrorReport] | None
    warnings: list[str]
    notes: list[str]
    refinement: Refinement | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the content of `report.json`."""
        plain = asdict(self)
        if self.refinement is None:
            del plain["refinement"]
        if self.error_mm is None:
            del plain["error_mm"]
        else:
            plain["error_mm"] = {
                name: {
                    key.replace("fewer_than_two_views", "fewer than two views"): value
                    for key, value in found.items()
                }
                for name, found in plain["error_mm"].items()
            }
        return plain


def spread_of(values: Tensor) -> Spread:
    """Return mean, median, 95 % point and count of the finite values."""
    x = values[values.isfinite()].double()
    if len(x) == 0:
        return Spread(None, None, None, 0)
    ordered = x.sort().values
    at = [ordered[min(int(p * len(x)), len(x) - 1)] for p in (0.5, 0.95)]
    mean, median, p95 = (significant(float(v)) for v in (x.mean(), *at))
    return Spread(mean, median, p95, len(x))


def measure(
    file: TrackFile,
    data: OwnData,
    lifted: Lifted,
    motions: Sequence[str],
    warnings: Sequence[str] = (),
) -> Report:
    """Measure everything the report holds.

    Args:
        file: What was read.
        data: The tracks with all detections.
        lifted: The result, with those that were not kept.
        motions: How each of the K keypoints moves, in words.
        warnings: What looked wrong, one line each.
    """
    ours = lifted.estimate
    tracks, rig = data.tracks, data.rig
    robust = single_frame(estimators.huber, tracks, rig)
    is_used = tracks.weights > 0
    outliers = is_outlier(ours, tracks, lifted.kept, rig)
    several = is_used.sum(1) >= 2
    methods = {
        name: e for name, e in {lifted.name: ours, **lifted.results}.items() if name != ROBUST
    }
    shown = {**methods, ROBUST: robust} if lifted.name != ROBUST else {ROBUST: ours, **methods}
    return Report(
        file=file.source,
        method=lifted.name,
        units=file.unit,
        fps=file.fps,
        frames=len(tracks),
        sequences=len(file.sequence_starts),
        cameras=_cameras(file, data, lifted, outliers),
        keypoints=_keypoints(file, data, lifted, outliers, motions),
        seen_by_two=int(several.sum()),
        measured=int(lifted.measured.sum()),
        dropped=int((several & ~lifted.measured).sum()),
        bridged=lifted.counts.bridged,
        outside=lifted.counts.outside,
        vague=lifted.counts.vague,
        bridge_limit=significant(lifted.limit * data.unit_m / METRES[file.unit]),
        left_out=lifted.choice.left_out,
        left_out_px={name: significant(x) for name, x in lifted.choice.left_out_px.items()},
        held=lifted.held,
        noise=noise_report(file, data),
        choice=lifted.choice.line,
        jitter_m_per_s2={name: _jitter(e, data, several, file.fps) for name, e in shown.items()},
        error_mm=_error_table(file, data, lifted, methods, robust),
        warnings=list(warnings),
        notes=[
            *lifted.notes,
            *describe_claims(lifted.held, lifted.names),
            *noise_lines(file, data),
        ],
    )


def _cameras(
    file: TrackFile, data: OwnData, lifted: Lifted, outliers: Tensor
) -> list[CameraReport]:
    is_used = data.tracks.weights > 0
    residual = residuals(lifted.estimate, data.tracks, data.rig)
    ours, triangulation = _left_out(lifted)
    return [
        CameraReport(
            name=name,
            noise_px=significant(float(data.sigma_px[v])),
            detections=int(is_used[:, v].sum()),
            missing=int((~is_used[:, v]).sum()),
            outliers=int(outliers[:, v].sum()),
            reprojection_px=spread_of(residual[:, v][is_used[:, v]]),
            left_out_px=LeftOut(spread_of(ours[:, v]), spread_of(triangulation[:, v])),
        )
        for v, name in enumerate(file.camera_names)
    ]


def _keypoints(
    file: TrackFile, data: OwnData, lifted: Lifted, outliers: Tensor, motions: Sequence[str]
) -> list[KeypointReport]:
    is_used = data.tracks.weights > 0
    several = is_used.sum(1) >= 2
    return [
        KeypointReport(
            name=name,
            method=lifted.names[k],
            frames_measured=int(lifted.measured[:, k].sum()),
            frames_dropped=int((several & ~lifted.measured)[:, k].sum()),
            frames_lifted=int(lifted.estimate.xyz[:, k].isfinite().all(-1).sum()),
            missing=is_used.logical_not()[:, :, k].sum(0).tolist(),
            outliers=outliers[:, :, k].sum(0).tolist(),
            motion=motions[k],
        )
        for k, name in enumerate(file.keypoint_names)
    ]


def _error_table(
    file: TrackFile,
    data: OwnData,
    lifted: Lifted,
    methods: dict[str, Estimate],
    robust: Estimate,
) -> dict[str, ErrorReport] | None:
    """Compare methods with the truth, on the points that all of them lift; None without truth."""
    if file.truth is None:
        return None
    linear = single_frame(estimators.dlt, data.tracks, data.rig)
    errors = {**methods, DLT: linear, ROBUST: robust}
    if lifted.name == ROBUST:
        errors = {ROBUST: lifted.estimate, **methods, DLT: linear}
    truth = data.own(torch.from_numpy(file.truth))
    several = (data.tracks.weights > 0).sum(1) >= 2
    common = several & torch.stack([e.xyz.isfinite().all(-1) for e in errors.values()]).all(0)
    return {name: _errors(e, truth, common, ~several, data.unit_m) for name, e in errors.items()}


def _left_out(lifted: Lifted) -> tuple[Tensor, Tensor]:
    """Return residuals (N, V, K) [px] of left-out cameras: of what was kept, of triangulation."""
    if ROBUST not in lifted.left_out:
        nothing = torch.zeros(0, lifted.weights.shape[1], 1)
        return nothing, nothing
    ours = torch.stack([lifted.left_out[name][:, :, k] for k, name in enumerate(lifted.names)], -1)
    return ours, lifted.left_out[ROBUST]


def _jitter(estimate: Estimate, data: OwnData, several: Tensor, fps: float) -> float | None:
    """Return the mean acceleration [m/s^2], from three measured frames in a row of a sequence."""
    x, tracks = estimate.xyz.double() * data.unit_m, data.tracks
    second = (x[2:] - 2 * x[1:-1] + x[:-2]).norm(dim=-1) * fps**2
    good = (
        several[2:]
        & several[1:-1]
        & several[:-2]
        & (tracks.first[2:] == tracks.first[:-2])[:, None]
        & second.isfinite()
    )
    return significant(float(second[good].mean())) if good.any() else None


def _errors(
    estimate: Estimate, truth: Tensor, several: Tensor, few: Tensor, unit_m: float
) -> ErrorReport:
    """Compare a method with the truth.

    Args:
        estimate: (N, K, 3).
        truth: (N, K, 3), NaN where unknown.
        several: (N, K) points to compare that two or more cameras see.
        few: (N, K) the points that fewer cameras see.
        unit_m: Unit of both [m].
    """
    error = 1000 * unit_m * (estimate.xyz.double() - truth).norm(dim=-1)
    is_known = error.isfinite()
    shares = [
        metrics.coverage(estimate.xyz, truth, estimate.covariance, several & is_known, percent)
        for percent in (68, 95)
    ]
    within_68, within_95 = (round(100 * share.mean, 2) if share.count else None for share in shares)
    return ErrorReport(
        spread_of(error[several & is_known]), spread_of(error[few & is_known]), within_68, within_95
    )
