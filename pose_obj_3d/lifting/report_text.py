"""A report as text, Markdown and JSON: wording and order of its tables."""

import json
from collections.abc import Sequence
from pathlib import Path

from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.evaluation.report import aligned, markdown_table
from pose_obj_3d.lifting.report import Report, Spread


def write_report(out: Path, report: Report, pictures: Sequence[str] = ()) -> None:
    """Write `report.json` and `report.md`, which shows these pictures of its folder."""
    write_whole(out / "report.json", f"{json.dumps(report.as_json(), indent=1)}\n".encode())
    write_whole(out / "report.md", markdown(report, pictures).encode())


def _cell(value: object, digits: int = 2) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{digits}g}" if 0 < abs(value) < 0.1 else f"{value:.{digits}f}"


def _middle(spread: Spread) -> tuple[float | None, float | None]:
    return spread.median, spread.p95


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
    for camera in report.cameras:
        off, left = camera.reprojection_px, camera.left_out_px
        values: list[float | None] = [camera.noise_px, camera.detections]
        values += [camera.missing, camera.outliers, off.mean, off.median, off.p95]
        values += [*_middle(left.ours), *_middle(left.triangulation)]
        rows.append([camera.name, *(_cell(value) for value in values)])
    return rows


def error_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method; none without truth."""
    if report.error_mm is None:
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
    for name, found in report.error_mm.items():
        known, other = found.measured, found.fewer_than_two_views
        values = [
            known.mean,
            known.median,
            known.p95,
            found.coverage_68_percent,
            found.coverage_95_percent,
            known.count,
            other.mean,
            other.count,
        ]
        rows.append([name, *(_cell(value) for value in values)])
    return rows


def refined_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each camera that was adjusted; none without."""
    return report.refinement.rows if report.refinement else []


def jitter_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method."""
    return [
        ["jitter", "mean acceleration [m/s^2]"],
        *([n, _cell(v)] for n, v in report.jitter_m_per_s2.items()),
    ]


def keypoint_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each keypoint: counts by camera."""
    names = [camera.name for camera in report.cameras]
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
    for keypoint in report.keypoints:
        counts = zip(keypoint.missing, keypoint.outliers, strict=True)
        rows.append(
            [
                keypoint.name,
                str(keypoint.frames_measured),
                str(keypoint.frames_dropped),
                str(keypoint.frames_lifted),
                keypoint.motion,
                *(f"{missing}, {outliers}" for missing, outliers in counts),
            ]
        )
    return rows


def noise_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each keypoint; none where the user states the noise."""
    if report.noise is None:
        return []
    cameras = [camera.name for camera in report.cameras]
    rows = [["noise of", *(f"{name} [px] (gross [%])" for name in cameras)]]
    for name, sigmas in report.noise.sigma_px.items():
        gross = report.noise.gross_percent[name]
        cells = (f"{s:.2f} ({g:.0f})" for s, g in zip(sigmas, gross, strict=True))
        rows.append([name, *cells])
    return rows


def claim_rows(report: Report) -> list[list[str]]:
    """Return header and one row for each method; none where no camera could be left out."""
    if not report.held:
        return []
    rows = [
        [
            "left-out detections inside the regions",
            "of 68 % [%]",
            "of 95 % [%]",
            "factor on covariances",
            "then 68 % [%]",
            "then 95 % [%]",
            "detections",
        ]
    ]
    for name, x in report.held.items():
        values = (x.percent_68, x.percent_95, x.factor, x.widened_68, x.widened_95, x.count)
        rows.append([name, *(_cell(value) for value in values)])
    return rows


def markdown(report: Report, pictures: Sequence[str] = ()) -> str:
    """Return `report.md` with links to these pictures."""
    parts = [
        f"# 3D of {Path(report.file).name}\n",
        (
            f"{report.method}; {report.frames} frames in {report.sequences} sequence(s),"
            f" {len(report.cameras)} cameras, {len(report.keypoints)} keypoints,"
            f" {report.fps:g} frames a second; points3d.npz is in {report.units}."
            " docs/own_videos.md explains the columns.\n"
        ),
    ]
    parts += [f"- Warning: {warning}\n" for warning in report.warnings]
    parts += [f"- {line}\n" for line in notes(report)]
    tables = [camera_rows(report), refined_rows(report), error_rows(report), claim_rows(report)]
    tables += [jitter_rows(report), keypoint_rows(report), noise_rows(report)]
    parts += [markdown_table(rows) for rows in tables if rows]
    parts += [f"![{name}]({name})\n" for name in pictures]
    return "\n".join(parts)


def notes(report: Report) -> list[str]:
    """Return lines on what went in, what was kept, and what was bridged."""
    seen, dropped = report.seen_by_two, report.dropped
    line = (
        f"{dropped} of {seen} points seen by two cameras or more"
        f" ({100 * dropped / max(seen, 1):.2g} %) were dropped: outliers, points far from their"
        f" neighbours in time, or too uncertain; {report.bridged} points without a measurement of"
        " their own frame are bridged"
    )
    refined = report.refinement.lines if report.refinement else []
    return [*([report.choice] if report.choice else []), line, *refined, *report.notes]


def summary(report: Report) -> str:
    """Return tables and notes for a terminal."""
    rows = [[r[0], *r[1:5], *r[6:8], *r[8:]] for r in camera_rows(report)]
    found = (rows, refined_rows(report), error_rows(report), jitter_rows(report))
    tables = [aligned(table) for table in found if table]
    return "\n".join([*tables, *notes(report)])
