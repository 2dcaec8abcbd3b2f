"""What `lift` writes: the 3D points, and how far they can be trusted. LIFT.md explains each number.

Nothing here feeds back into the points; the truth, where a file has one, is read in this file alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_obj_3d import estimators, evaluation, geometry, metrics
from pose_obj_3d.estimators import Estimate
from pose_obj_3d.exceptions import DataError
from pose_obj_3d.own_data import OwnData, is_outlier, part, without_view
from pose_obj_3d.report import aligned, markdown_table, write_atomic, write_bytes_atomic
from pose_obj_3d.track_file import METRES, TrackFile
from pose_obj_3d.windows import Rig, Tracks

MAX_LEFT_OUT_FRAMES = 20000  # of the check that leaves a camera out
DLT, ROBUST = "linear triangulation (DLT)", "robust triangulation (Huber)"
Report = dict[str, Any]


@dataclass(frozen=True)
class _Spread:
    """Distances of one kind."""

    values: Tensor

    def plain(self, digits: int = 4) -> Report:
        """Return mean, median, 95 % point and count; None without values."""
        x = self.values[self.values.isfinite()].double()
        if len(x) == 0:
            return {"mean": None, "median": None, "p95": None, "count": 0}
        ordered = x.sort().values
        at = [ordered[min(int(p * len(x)), len(x) - 1)] for p in (0.5, 0.95)]
        mean, median, p95 = (round(float(v), digits) for v in (x.mean(), *at))
        return {"mean": mean, "median": median, "p95": p95, "count": len(x)}


def measure(
    file: TrackFile, data: OwnData, kept: Tracks, results: dict[str, Estimate], method: Callable[[Tracks], Estimate]
) -> Report:
    """Measure everything the report holds.

    Args:
        file: What was read.
        data: The tracks with all detections.
        kept: The tracks without outliers.
        results: Method -> (N, K, 3) [m] about `data.origin`; the first is ours.
        method: What made ours.
    """
    ours = next(iter(results.values()))
    tracks, rig = data.tracks, data.rig
    frames = {
        DLT: evaluation.single_frame(estimators.dlt, tracks, rig), ROBUST: evaluation.single_frame(estimators.huber, tracks, rig)
    }  # fmt: skip
    is_used = tracks.weights > 0
    outliers = is_outlier(ours, tracks, kept, rig)
    residual = _residuals(ours, tracks, rig)
    left_out = _left_out(tracks, kept, rig, method)
    cameras = []
    for v, name in enumerate(file.camera_names):
        cameras.append({
            "name": name,
            "noise_px": round(float(data.sigma_px[v]), 4),
            "detections": int(is_used[:, v].sum()),
            "missing": int((~is_used[:, v]).sum()),
            "outliers": int(outliers[:, v].sum()),
            "reprojection_px": _Spread(residual[:, v][is_used[:, v]]).plain(),
            "left_out_px": {kind: _Spread(found[v]).plain() for kind, found in left_out.items()},
        })  # fmt: skip
    several = is_used.sum(1) >= 2
    keypoints = [
        {
            "name": name,
            "frames_measured": int(several[:, k].sum()),
            "frames_lifted": int(ours.xyz[:, k].isfinite().all(-1).sum()),
            "missing": is_used.logical_not()[:, :, k].sum(0).tolist(),
            "outliers": outliers[:, :, k].sum(0).tolist(),
        }
        for k, name in enumerate(file.keypoint_names)
    ]
    jitter = {name: _jitter(e, tracks, several, file.fps) for name, e in {**results, ROBUST: frames[ROBUST]}.items()}
    report: Report = {
        "file": str(file.path), "method": next(iter(results)), "units": file.unit, "fps": file.fps,
        "frames": len(tracks), "sequences": len(file.sequence_starts), "cameras": cameras, "keypoints": keypoints,
        "jitter_m_per_s2": jitter,
    }  # fmt: skip
    if file.truth is not None:
        truth = torch.from_numpy(file.truth) - data.origin
        report["error_mm"] = {name: _errors(e, truth, several) for name, e in {**results, **frames}.items()}
    return report


def _residuals(estimate: Estimate, tracks: Tracks, rig: Rig) -> Tensor:
    """Return the reprojection error (N, V, K) [px], NaN where the point is unknown."""
    predicted, _ = geometry.project(estimate.xyz.double(), rig.intrinsics, rig.extrinsics)
    residual: Tensor = (tracks.uv - predicted.transpose(1, 2)).norm(dim=-1)
    return residual


def _left_out(tracks: Tracks, kept: Tracks, rig: Rig, method: Callable[[Tracks], Estimate]) -> dict[str, list[Tensor]]:
    """Predict each camera's detections from the other cameras: kind -> for each view residuals (n,) [px].

    Scored are the detections of points that two other cameras see in the same frame, for both kinds.
    """
    V = tracks.weights.shape[1]
    tracks, kept = (part(x, 0, min(len(x), MAX_LEFT_OUT_FRAMES)) for x in (tracks, kept))
    found: dict[str, list[Tensor]] = {"ours": [], "triangulation": []}
    for v in range(V):
        try:
            blind, raw = without_view(kept, v, rig), without_view(tracks, v, rig)
        except DataError:  # two cameras, or nothing in common
            for values in found.values():
                values.append(torch.zeros(0))
            continue
        scored = (tracks.weights[:, v] > 0) & ((blind.weights > 0).sum(1) >= 2) & (blind.keypoint >= 0)
        estimate = method(blind)
        estimate = Estimate(estimate.xyz.cpu().double(), estimate.covariance.cpu().double())
        frames = evaluation.single_frame(estimators.huber, raw, rig)
        found["ours"].append(_residuals(estimate, tracks, rig)[:, v][scored])
        found["triangulation"].append(_residuals(frames, tracks, rig)[:, v][scored])
    return found


def _jitter(estimate: Estimate, tracks: Tracks, several: Tensor, fps: float) -> float | None:
    """Return the mean length of the acceleration [m/s^2] over three measured frames in a row of a sequence."""
    x = estimate.xyz.double()
    second = (x[2:] - 2 * x[1:-1] + x[:-2]).norm(dim=-1) * fps**2
    good = several[2:] & several[1:-1] & several[:-2] & (tracks.first[2:] == tracks.first[:-2])[:, None] & second.isfinite()
    return round(float(second[good].mean()), 4) if good.any() else None


def _errors(estimate: Estimate, truth: Tensor, several: Tensor) -> Report:
    """Return distances to the truth [mm], and the share of truths inside the regions that the method claims."""
    error = 1000 * (estimate.xyz.double() - truth).norm(dim=-1)
    is_known = error.isfinite()
    result: Report = {
        "measured": _Spread(error[several & is_known]).plain(),
        "fewer than two views": _Spread(error[~several & is_known]).plain(),
    }
    for percent in metrics.COVERAGE:
        share = metrics.coverage(estimate.xyz, truth, estimate.covariance, several & is_known, percent)
        result[f"coverage_{percent}_percent"] = round(100 * share.mean, 2) if share.count else None
    return result


def save_points(path: Path, file: TrackFile, data: OwnData, kept: Tracks, estimate: Estimate, method: str) -> None:
    """Write `points3d.npz` atomically, in the file's unit and world."""
    scale = METRES[file.unit]
    members: dict[str, Any] = {
        "points": ((estimate.xyz + data.origin) / scale).numpy(),
        "covariance": (estimate.covariance / scale**2).numpy(),
        "is_measured": ((kept.weights > 0).sum(1) >= 2).numpy(),
        "weights": kept.robust.permute(1, 0, 2).numpy(),
        "noise_px": data.sigma_px.numpy(),
        "keypoint_names": np.array(file.keypoint_names),
        "camera_names": np.array(file.camera_names),
        "sequence_starts": np.array(file.sequence_starts),
        "units": np.array(file.unit),
        "fps": np.array(file.fps),
        "method": np.array(method),
    }
    write_bytes_atomic(path, lambda target: np.savez_compressed(target, **members))


def write_report(out: Path, report: Report, pictures: Sequence[str] = ()) -> None:
    """Write `report.json` and `report.md`, which shows these pictures of its folder."""
    write_atomic(out / "report.json", json.dumps(report, indent=1) + "\n")
    write_atomic(out / "report.md", markdown(report, pictures))


def _cell(value: object, digits: int = 2) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def camera_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each camera."""
    rows = [[
        "camera", "noise [px]", "detections", "missing", "outliers", "reprojection [px]: mean", "median", "95 %",
        "left out [px]: ours, median", "95 %", "triangulation, median", "95 %",
    ]]  # fmt: skip
    for camera in report["cameras"]:
        left = camera["left_out_px"]
        values = [camera["noise_px"], camera["detections"], camera["missing"], camera["outliers"]]
        values += [camera["reprojection_px"][key] for key in ("mean", "median", "p95")]
        values += [left[kind][key] for kind in ("ours", "triangulation") for key in ("median", "p95")]
        rows.append([camera["name"], *(_cell(value) for value in values)])
    return rows


def error_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method; none without truth."""
    if "error_mm" not in report:
        return []
    head = ["error [mm]", "mean", "median", "95 %", "within 68 % [%]", "within 95 % [%]", "points", "not measured: mean", "points"]
    rows = [head]
    for name, found in report["error_mm"].items():
        known, other = found["measured"], found["fewer than two views"]
        values = [known["mean"], known["median"], known["p95"], found["coverage_68_percent"], found["coverage_95_percent"]]
        rows.append([name, *(_cell(v) for v in [*values, known["count"], other["mean"], other["count"]])])
    return rows


def jitter_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method."""
    return [["jitter", "mean acceleration [m/s^2]"], *([n, _cell(v)] for n, v in report["jitter_m_per_s2"].items())]


def keypoint_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each keypoint: counts by camera."""
    names = [camera["name"] for camera in report["cameras"]]
    rows = [["keypoint", "frames measured", "frames lifted", "motion", *(f"missing, outliers: {name}" for name in names)]]
    for keypoint in report["keypoints"]:
        counts = [f"{m}, {o}" for m, o in zip(keypoint["missing"], keypoint["outliers"], strict=True)]
        rows.append([keypoint["name"], str(keypoint["frames_measured"]), str(keypoint["frames_lifted"]), keypoint["motion"], *counts])
    return rows


def markdown(report: Report, pictures: Sequence[str] = ()) -> str:
    """Return `report.md` with links to these pictures."""
    parts = [
        f"# 3D of {Path(report['file']).name}\n",
        f"{report['method']}; {report['frames']} frames in {report['sequences']} sequence(s), {len(report['cameras'])} cameras, "
        f"{len(report['keypoints'])} keypoints, {report['fps']:g} frames a second; points3d.npz is in {report['units']}. "
        "LIFT.md explains the columns.\n",
    ]
    parts += [f"- Warning: {warning}\n" for warning in report.get("warnings", [])]
    tables = [camera_rows(report), error_rows(report), jitter_rows(report), keypoint_rows(report)]
    parts += [markdown_table(rows) for rows in tables if rows]
    parts += [f"![{name}]({name})\n" for name in pictures]
    return "\n".join(parts)


def summary(report: Report) -> str:
    """Return the tables for a terminal."""
    rows = [[r[0], *r[1:5], *r[6:8], *r[8:]] for r in camera_rows(report)]
    return "\n".join(aligned(table) for table in (rows, error_rows(report), jitter_rows(report)) if table)
