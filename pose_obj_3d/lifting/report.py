"""What `lift` writes: the 3D points, and how far they can be trusted. docs/own_videos.md explains each number.

Nothing here feeds back into the points; the truth, where a file has one, is read in this file
alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.evaluation.report import aligned, markdown_table, write_atomic, write_bytes_atomic
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting.choice import ROBUST, residuals
from pose_obj_3d.lifting.lift_file import Lifted
from pose_obj_3d.lifting.scene_scale import significant
from pose_obj_3d.lifting.track_files.track_file import METRES, TrackFile
from pose_obj_3d.lifting.tracks_from_file import OwnData, is_outlier
from pose_obj_3d.tracks.triangulating import single_frame

DLT = "linear triangulation (DLT)"
Report = dict[str, Any]


@dataclass(frozen=True)
class _Spread:
    """Distances of one kind."""

    values: Tensor

    def plain(self) -> Report:
        """Return mean, median, 95 % point and count; None without values."""
        x = self.values[self.values.isfinite()].double()
        if len(x) == 0:
            return {"mean": None, "median": None, "p95": None, "count": 0}
        ordered = x.sort().values
        at = [ordered[min(int(p * len(x)), len(x) - 1)] for p in (0.5, 0.95)]
        mean, median, p95 = (significant(float(v)) for v in (x.mean(), *at))
        return {"mean": mean, "median": median, "p95": p95, "count": len(x)}


def measure(file: TrackFile, data: OwnData, lifted: Lifted) -> Report:
    """Measure everything the report holds.

    Args:
        file: What was read.
        data: The tracks with all detections.
        lifted: The result, with those that were not kept.
    """
    ours = lifted.estimate
    tracks, rig = data.tracks, data.rig
    robust = single_frame(estimators.huber, tracks, rig)
    frames = {DLT: single_frame(estimators.dlt, tracks, rig), ROBUST: robust}
    is_used = tracks.weights > 0
    outliers = is_outlier(ours, tracks, lifted.kept, rig)
    residual = residuals(ours, tracks, rig)
    left_out = _left_out(lifted)
    cameras = []
    for v, name in enumerate(file.camera_names):
        cameras.append(
            {
                "name": name,
                "noise_px": significant(float(data.sigma_px[v])),
                "detections": int(is_used[:, v].sum()),
                "missing": int((~is_used[:, v]).sum()),
                "outliers": int(outliers[:, v].sum()),
                "reprojection_px": _Spread(residual[:, v][is_used[:, v]]).plain(),
                "left_out_px": {
                    kind: _Spread(found[:, v]).plain() for kind, found in left_out.items()
                },
            }
        )
    several = is_used.sum(1) >= 2
    keypoints = [
        {
            "name": name,
            "method": lifted.names[k],
            "frames_measured": int(lifted.measured[:, k].sum()),
            "frames_dropped": int((several & ~lifted.measured)[:, k].sum()),
            "frames_lifted": int(ours.xyz[:, k].isfinite().all(-1).sum()),
            "missing": is_used.logical_not()[:, :, k].sum(0).tolist(),
            "outliers": outliers[:, :, k].sum(0).tolist(),
        }
        for k, name in enumerate(file.keypoint_names)
    ]
    methods = {
        name: e for name, e in {lifted.name: ours, **lifted.results}.items() if name != ROBUST
    }
    estimates = {**methods, ROBUST: robust} if lifted.name != ROBUST else {ROBUST: ours, **methods}
    report: Report = {
        "file": str(file.path),
        "method": lifted.name,
        "units": file.unit,
        "fps": file.fps,
        "frames": len(tracks),
        "sequences": len(file.sequence_starts),
        "cameras": cameras,
        "keypoints": keypoints,
        "seen_by_two": int(several.sum()),
        "measured": int(lifted.measured.sum()),
        "dropped": int((several & ~lifted.measured).sum()),
        **lifted.counts,
        "bridge_limit": significant(lifted.limit * data.unit_m / METRES[file.unit]),
        "left_out": lifted.choice.left_out,
        "left_out_px": {name: significant(x) for name, x in lifted.choice.left_out_px.items()},
        "choice": lifted.choice.line,
        "jitter_m_per_s2": {
            name: _jitter(e, data, several, file.fps) for name, e in estimates.items()
        },
    }
    if file.truth is not None:
        errors = {**methods, DLT: frames[DLT], ROBUST: ours if lifted.name == ROBUST else robust}
        if lifted.name == ROBUST:
            errors = {ROBUST: ours, **methods, DLT: frames[DLT]}
        truth = data.own(torch.from_numpy(file.truth))
        several = several & torch.stack([e.xyz.isfinite().all(-1) for e in errors.values()]).all(0)
        report["error_mm"] = {
            name: _errors(e, truth, several, ~(is_used.sum(1) >= 2), data.unit_m)
            for name, e in errors.items()
        }
    return report


def _left_out(lifted: Lifted) -> dict[str, Tensor]:
    """Return residuals (N, V, K) [px] of left-out cameras: of what was kept, and of the triangulation."""
    if ROBUST not in lifted.left_out:
        nothing = torch.zeros(0, lifted.weights.shape[1], 1)
        return {"ours": nothing, "triangulation": nothing}
    ours = torch.stack([lifted.left_out[name][:, :, k] for k, name in enumerate(lifted.names)], -1)
    return {"ours": ours, "triangulation": lifted.left_out[ROBUST]}


def _jitter(estimate: Estimate, data: OwnData, several: Tensor, fps: float) -> float | None:
    """Return the mean length of the acceleration [m/s^2] over three measured frames in a row of a sequence."""
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
) -> Report:
    """Return distances to the truth [mm], and the share of truths inside the regions that the method claims."""
    error = 1000 * unit_m * (estimate.xyz.double() - truth).norm(dim=-1)
    is_known = error.isfinite()
    result: Report = {
        "measured": _Spread(error[several & is_known]).plain(),
        "fewer than two views": _Spread(error[few & is_known]).plain(),
    }
    for percent in metrics.COVERAGE:
        share = metrics.coverage(
            estimate.xyz, truth, estimate.covariance, several & is_known, percent
        )
        result[f"coverage_{percent}_percent"] = round(100 * share.mean, 2) if share.count else None
    return result


def save_points(path: Path, file: TrackFile, data: OwnData, lifted: Lifted) -> None:
    """Write `points3d.npz` atomically, in the file's unit and world."""
    scale = METRES[file.unit]
    members: dict[str, Any] = {
        "points": (data.world(lifted.estimate.xyz) / scale).numpy(),
        "covariance": (lifted.estimate.covariance.double() * (data.unit_m / scale) ** 2).numpy(),
        "is_measured": lifted.measured.numpy(),
        "weights": lifted.weights.permute(1, 0, 2).numpy(),
        "noise_px": data.sigma_px.numpy(),
        "keypoint_names": np.array(file.keypoint_names),
        "camera_names": np.array(file.camera_names),
        "sequence_starts": np.array(file.sequence_starts),
        "units": np.array(file.unit),
        "fps": np.array(file.fps),
        "method": np.array(lifted.name),
    }
    write_bytes_atomic(path, lambda target: np.savez_compressed(target, **members))


def write_report(out: Path, report: Report, pictures: Sequence[str] = ()) -> None:
    """Write `report.json` and `report.md`, which shows these pictures of its folder."""
    write_atomic(out / "report.json", json.dumps(report, indent=1) + "\n")
    write_atomic(out / "report.md", markdown(report, pictures))


def _cell(value: object, digits: int = 2) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{digits}g}" if 0 < abs(value) < 0.1 else f"{value:.{digits}f}"


def camera_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each camera."""
    rows = [
        [
            "camera",
            "noise [px]",
            "detections",
            "missing",
            "outliers",
            "reprojection [px]: mean",
            "median",
            "95 %",
            "left out [px]: ours, median",
            "95 %",
            "triangulation, median",
            "95 %",
        ]
    ]
    for camera in report["cameras"]:
        left = camera["left_out_px"]
        values = [camera["noise_px"], camera["detections"], camera["missing"], camera["outliers"]]
        values += [camera["reprojection_px"][key] for key in ("mean", "median", "p95")]
        values += [
            left[kind][key] for kind in ("ours", "triangulation") for key in ("median", "p95")
        ]
        rows.append([camera["name"], *(_cell(value) for value in values)])
    return rows


def error_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method; none without truth."""
    if "error_mm" not in report:
        return []
    head = [
        "error [mm]",
        "mean",
        "median",
        "95 %",
        "within 68 % [%]",
        "within 95 % [%]",
        "points",
        "not measured: mean",
        "points",
    ]
    rows = [head]
    for name, found in report["error_mm"].items():
        known, other = found["measured"], found["fewer than two views"]
        values = [
            known["mean"],
            known["median"],
            known["p95"],
            found["coverage_68_percent"],
            found["coverage_95_percent"],
        ]
        rows.append(
            [name, *(_cell(v) for v in [*values, known["count"], other["mean"], other["count"]])]
        )
    return rows


def jitter_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method."""
    return [
        ["jitter", "mean acceleration [m/s^2]"],
        *([n, _cell(v)] for n, v in report["jitter_m_per_s2"].items()),
    ]


def keypoint_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each keypoint: counts by camera."""
    names = [camera["name"] for camera in report["cameras"]]
    rows = [
        [
            "keypoint",
            "frames measured",
            "dropped",
            "frames lifted",
            "motion",
            *(f"missing, outliers: {name}" for name in names),
        ]
    ]
    for keypoint in report["keypoints"]:
        counts = [
            f"{m}, {o}" for m, o in zip(keypoint["missing"], keypoint["outliers"], strict=True)
        ]
        rows.append(
            [
                keypoint["name"],
                *(str(keypoint[f"frames_{what}"]) for what in ("measured", "dropped", "lifted")),
                keypoint["motion"],
                *counts,
            ]
        )
    return rows


def markdown(report: Report, pictures: Sequence[str] = ()) -> str:
    """Return `report.md` with links to these pictures."""
    parts = [
        f"# 3D of {Path(report['file']).name}\n",
        (
            f"{report['method']}; {report['frames']} frames in {report['sequences']} sequence(s),"
            f" {len(report['cameras'])} cameras, {len(report['keypoints'])} keypoints,"
            f" {report['fps']:g} frames a second; points3d.npz is in {report['units']}. docs/own_videos.md"
            " explains the columns.\n"
        ),
    ]
    parts += [f"- Warning: {warning}\n" for warning in report.get("warnings", [])]
    parts += [f"- {line}\n" for line in notes(report)]
    tables = [camera_rows(report), error_rows(report), jitter_rows(report), keypoint_rows(report)]
    parts += [markdown_table(rows) for rows in tables if rows]
    parts += [f"![{name}]({name})\n" for name in pictures]
    return "\n".join(parts)


def notes(report: Report) -> list[str]:
    """Return lines on what went in, what was kept, and what was bridged."""
    seen, dropped = report["seen_by_two"], report["dropped"]
    lines = [
        f"{dropped} of {seen} points seen by two cameras or more"
        f" ({100 * dropped / max(seen, 1):.2g} %) were dropped as outliers, strays or vague;"
        f" {report['bridged']} without a measurement of their own frame are bridged"
    ]
    return [*([report["choice"]] if report["choice"] else []), *lines, *report.get("notes", [])]


def summary(report: Report) -> str:
    """Return tables and notes for a terminal."""
    rows = [[r[0], *r[1:5], *r[6:8], *r[8:]] for r in camera_rows(report)]
    tables = [aligned(table) for table in (rows, error_rows(report), jitter_rows(report)) if table]
    return "\n".join([*tables, *notes(report)])
