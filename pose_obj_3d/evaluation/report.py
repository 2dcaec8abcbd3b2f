"""Write an evaluation as text, Markdown and JSON. Owns the order and wording of the table."""

import json
from pathlib import Path
from typing import Any

from pose_obj_3d.common.facts import MOVING_M_PER_S
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.evaluation.detections import GROSS_PX
from pose_obj_3d.evaluation.protocol import COLUMNS, EVERY, NEVER

METRIC_KEYS = {
    "mpjpe": "mpjpe_mm",
    "p_mpjpe": "p_mpjpe_mm",
    "n_mpjpe": "n_mpjpe_mm",
    "root_mpjpe": "root_mpjpe_mm",
    "velocity": "velocity_mm_per_s",
}
METRIC_TITLES = {
    "mpjpe": "MPJPE [mm]",
    "p_mpjpe": "P-MPJPE [mm]",
    "n_mpjpe": "N-MPJPE [mm]",
    "root_mpjpe": "root-relative MPJPE [mm]",
    "velocity": "velocity error [mm/s]",
}
_DETECTION_TITLES = {
    "count": "points in the images",
    "usable_percent": "usable [%]",
    "median_px": "median error [px]",
    "gross_percent": f"above {GROSS_PX:g} px [%]",
    "coverage_68_percent": "inside the claimed 68 % [%]",
    "coverage_95_percent": "inside the claimed 95 % [%]",
}
_FRAME_TITLES = {
    "angle_deg": "angle, mean [deg]",
    "median_angle_deg": "median [deg]",
    "position_mm": "origin, mean [mm]",
    "median_position_mm": "median [mm]",
    "coverage_68_percent": "rotation within 68 % [%]",
    "coverage_95_percent": "within 95 % [%]",
}
_CLAIMED = (*COLUMNS[:3], NEVER)
"""Columns of what methods claim."""
NOTE = (
    "Points with two or more usable views are in the columns all, moving (faster than"
    f" {1000 * MOVING_M_PER_S:g} mm/s) and still (the rest); the last column has the other points."
    " A Cramer-Rao bound is the smallest mean error of an unbiased estimate of one point from the"
    " measurements of that point alone. A method that has learned how points move, or that they"
    " are parts of one body, may be better."
)
WITNESS_NOTE = (
    "Which views are usable is what the detector says, without truth, and so are the columns. The"
    f" column {EVERY} has all points of all frames, whatever the detector says: compare detectors"
    " there."
)
CLAIMS_NOTE = (
    "Claimed uncertainty: a method with a covariance says how large its errors are. Within 68 %"
    " and 95 %: the share of true points inside the regions that should hold 68 % and 95 % of"
    " them. Claimed and true: the mean error that follows from the covariance, and the measured"
    " one. Where the claims are right, the shares are 68 and 95, and the two errors are equal."
    " Smoothers that assume no motion claim too small errors where there is motion."
)


def table_rows(result: dict[str, Any], metric: str = "mpjpe") -> list[list[str]]:
    """Return header, one row for each method, and the counts."""
    key = METRIC_KEYS[metric]
    titles = [*COLUMNS, EVERY] if EVERY in result["counts"] else list(COLUMNS)
    rows = [[METRIC_TITLES[metric], *titles]]
    for name, columns in result["methods"].items():
        values = [columns[c].get(key) for c in titles]
        if any(v is not None for v in values):
            rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
    rows.append(["points", *(str(result["counts"][c]) for c in titles)])
    return rows


def text_table(result: dict[str, Any], title: str, metric: str = "mpjpe") -> str:
    """Return the table for a terminal."""
    return aligned(table_rows(result, metric), title)


def calibration_rows(result: dict[str, Any]) -> list[list[str]]:
    """Return the table of claimed uncertainty: coverage, and claimed beside true error.

    A header and one row for each method with a covariance; empty where no method has one.
    """
    columns = _CLAIMED
    kinds = {"within 68 % [%]": "coverage_68_percent", "within 95 % [%]": "coverage_95_percent"}
    kinds |= {"claimed [mm]": "claimed_error_mm", "true [mm]": "mpjpe_mm"}
    rows = [
        [
            "claimed uncertainty",
            *(f"{title.replace(' [', f', {c} [')}" for title in kinds for c in columns),
        ]
    ]
    for name, measures in result["methods"].items():
        if measures[columns[0]].get("claimed_error_mm") is not None:
            values = [measures.get(c, {}).get(key) for key in kinds.values() for c in columns]
            rows.append([name, *("-" if v is None else f"{v:.1f}" for v in values)])
    return rows if len(rows) > 1 else []


def calibration_text(result: dict[str, Any]) -> str:
    """Return the table of claimed uncertainty for a terminal; "" without any covariance."""
    n = len(_CLAIMED)
    rows = [
        [r[0], *(" / ".join(r[i : i + n]) for i in range(1, len(r), n))]
        for r in calibration_rows(result)[1:]
    ]
    head = [
        f"claimed uncertainty: {' / '.join(_CLAIMED)}",
        "within 68 % [%]",
        "within 95 % [%]",
        "claimed [mm]",
        "true [mm]",
    ]
    return aligned([head, *rows]) if rows else ""


def detection_rows(result: dict[str, Any]) -> list[list[str]]:
    """Return the table of the detections' own errors [px]; empty where they were not measured."""
    found = result.get("detections", {}).get("errors", {})
    if not found:
        return []
    has_claims = any("coverage_68_percent" in x for x in found.values())
    kinds = {
        key: title for key, title in _DETECTION_TITLES.items() if has_claims or "cov" not in key
    }
    rows = [["detections, by the true visibility", *kinds.values()]]
    for kind, measures in found.items():
        values = [measures.get(key) for key in kinds]
        rows.append([kind, *("-" if v is None else f"{v:g}" for v in values)])
    return rows


def visibility_rows(result: dict[str, Any]) -> list[list[str]]:
    """Return the methods' errors [mm] by what the truth says is seen; empty where not measured."""
    titles = result.get("detections", {}).get("columns", [])
    if not titles:
        return []
    kinds = {"mpjpe_mm": "mean", "median_mm": "median"}
    rows = [
        [
            "error [mm], by the true visibility",
            *(f"{t}, {k}" for t in titles for k in kinds.values()),
        ]
    ]
    for name, columns in result["methods"].items():
        values = [columns.get(t, {}).get(key) for t in titles for key in kinds]
        if any(v is not None for v in values):
            rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
    return [*rows, ["points", *(x for t in titles for x in (str(result["counts"][t]), ""))]]


def detections_text(result: dict[str, Any]) -> str:
    """Return what the detections are, and the tables by visibility, for a terminal."""
    about = result.get("detections", {}).get("about", "")
    tables = [aligned(rows) for rows in (detection_rows(result), visibility_rows(result)) if rows]
    return "\n".join([about, *tables] if about else tables)


def frame_rows(result: dict[str, Any]) -> list[list[str]]:
    """Return the errors of whole frames of waypoints; empty without the group `frames`."""
    found = result.get("frames", {})
    if not found:
        return []
    rows = [["waypoint frames", *_FRAME_TITLES.values()]]
    for name, scores in found["methods"].items():
        values = [scores.get(key) for key in _FRAME_TITLES]
        rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
    return [*rows, ["frames", str(found["count"]), *[""] * (len(_FRAME_TITLES) - 1)]]


def frames_text(result: dict[str, Any]) -> str:
    """Return the errors of whole frames for a terminal; "" without the group `frames`."""
    rows = frame_rows(result)
    return aligned(rows) if rows else ""


def aligned(rows: list[list[str]], title: str = "") -> str:
    """Return rows as columns of text; the last row is set off when there is a title."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    if not title:
        return "\n".join([lines[0], rule, *lines[1:], rule])
    return "\n".join([title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1], rule])


def markdown(results: dict[str, Any], metric: str = "mpjpe", summary: str = "") -> str:
    """Return all evaluations as Markdown, with the split by task, group and keypoint.

    `summary` of several of them goes below the first.
    """
    parts = ["# Results\n"]
    for number, (title, result) in enumerate(results.items()):
        if number == 1 and summary:
            parts.append(summary)
        parts.append(f"## {title}\n")
        if about := result.get("detections", {}).get("about"):
            parts.append(f"{about}\n")
        tables = (
            table_rows(result, metric),
            calibration_rows(result),
            detection_rows(result),
            visibility_rows(result),
            frame_rows(result),
        )
        parts += [markdown_table(rows) for rows in tables if rows]
        parts += [f"{note[:1].upper()}{note[1:]}.\n" for note in result.get("notes", ())]
        methods = list(result["details"])
        for kind in ("task", "group", "keypoint"):
            head = [f"MPJPE [mm] by {kind}", *methods, "points"]
            body = [
                [
                    name,
                    *(f"{result['details'][m][kind][name]['mpjpe_mm']:.3f}" for m in methods),
                    str(entry["count"]),
                ]
                for name, entry in result["details"][methods[0]][kind].items()
            ]
            parts.append(markdown_table([head, *body]))
    return "\n".join([*parts, *notes(results), CLAIMS_NOTE, ""])


def notes(results: dict[str, Any]) -> list[str]:
    """Return what has to be known to read the tables of evaluations."""
    is_detected = any(EVERY in result["counts"] for result in results.values())
    return [NOTE, WITNESS_NOTE] if is_detected else [NOTE]


def markdown_table(rows: list[list[str]]) -> str:
    """Return rows, the first of which is the header, as a Markdown table."""
    ruled = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in ruled) + "\n"


def write_atomic(path: Path, text: str) -> None:
    """Write text under a temporary name, then rename."""
    write_whole(path, text.encode())


def write_results(
    folder: Path,
    results: dict[str, Any],
    header: dict[str, Any],
    metric: str = "mpjpe",
    summary: str = "",
) -> None:
    """Write `results.json` and `results.md` into the run folder.

    Args:
        folder: The run folder.
        results: Title -> result of `evaluation.evaluate`.
        header: What was evaluated: model, checkpoint, data, protocol.
        metric: Metric of the Markdown table.
        summary: Of several evaluations, as Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(
        folder / "results.json", json.dumps({**header, "results": results}, indent=1) + "\n"
    )
    write_atomic(folder / "results.md", markdown(results, metric, summary))
