"""Write an evaluation as text, Markdown and JSON. Owns the order and wording of the table."""

import json
import os
from pathlib import Path
from typing import Any

from pose_obj_3d.evaluation import COLUMNS

METRIC_KEYS = {
    "mpjpe": "mpjpe_mm", "p_mpjpe": "p_mpjpe_mm", "n_mpjpe": "n_mpjpe_mm", "velocity": "velocity_mm_per_s"
}  # fmt: skip
METRIC_TITLES = {
    "mpjpe": "MPJPE [mm]", "p_mpjpe": "P-MPJPE [mm]", "n_mpjpe": "N-MPJPE [mm]",
    "velocity": "velocity error [mm/s]",
}  # fmt: skip
NOTE = (
    "Columns all, moving (> 5 mm/s) and still hold the points with at least two usable views; the last "
    "column holds the others. A Cramer-Rao bound is the least expected error of an unbiased estimator of a "
    "free point from those measurements; rigid structure and learned priors may go below it."
)


def table_rows(result: dict[str, Any], metric: str = "mpjpe") -> list[list[str]]:
    """Return header, one row for each method, and the counts."""
    key = METRIC_KEYS[metric]
    rows = [[METRIC_TITLES[metric], *COLUMNS]]
    for name, columns in result["methods"].items():
        values = [columns[c].get(key) for c in COLUMNS]
        if any(v is not None for v in values):
            rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
    rows.append(["points", *(str(result["counts"][c]) for c in COLUMNS)])
    return rows


def text_table(result: dict[str, Any], title: str, metric: str = "mpjpe") -> str:
    """Return the table for a terminal."""
    rows = table_rows(result, metric)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1], rule])


def markdown(results: dict[str, Any], metric: str = "mpjpe") -> str:
    """Return all evaluations as Markdown, with the split by task, group and keypoint."""
    parts = ["# Results\n"]
    for title, result in results.items():
        rows = table_rows(result, metric)
        parts.append(f"## {title}\n")
        parts.append("\n".join(_row(r) for r in [rows[0], ["---", *["---:"] * len(COLUMNS)], *rows[1:]]) + "\n")
        methods = list(result["details"])
        for kind in ("task", "group", "keypoint"):
            head = [f"MPJPE [mm] by {kind}", *methods, "points"]
            body = [
                [name, *(f"{result['details'][m][kind][name]['mpjpe_mm']:.3f}" for m in methods), str(entry["count"])]
                for name, entry in result["details"][methods[0]][kind].items()
            ]
            parts.append("\n".join(_row(r) for r in [head, ["---", *["---:"] * (len(head) - 1)], *body]) + "\n")
    return "\n".join([*parts, NOTE, ""])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def write_atomic(path: Path, text: str) -> None:
    """Write text under a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_results(folder: Path, results: dict[str, Any], header: dict[str, Any], metric: str = "mpjpe") -> None:
    """Write `results.json` and `results.md` into the run folder.

    Args:
        folder: The run folder.
        results: Title -> result of `evaluation.evaluate`.
        header: What was evaluated: model, checkpoint, data, protocol.
        metric: Metric of the Markdown table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "results.json", json.dumps({**header, "results": results}, indent=1) + "\n")
    write_atomic(folder / "results.md", markdown(results, metric))
