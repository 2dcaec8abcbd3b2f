"""Evaluations with every subset of n views, summed up: the mean of the subsets, and the worst."""

from collections.abc import Mapping
from typing import Any

from pose_obj_3d.evaluation.protocol import COLUMNS
from pose_obj_3d.evaluation.report import METRIC_KEYS, METRIC_TITLES, aligned, markdown_table

NOTE = (
    "Mean and worst of the subsets of views: each subset is evaluated on its own, on the points"
    " that its views see, and counts once. The worst is the subset with the largest error in that"
    " column."
)
Summary = dict[str, Any]


def summarise(results: Mapping[tuple[str, ...], Mapping[str, Any]]) -> list[Summary]:
    """Sum up what was evaluated with subsets of views, by their number of views.

    Args:
        results: Names of the views -> result of `protocol.evaluate`.

    Returns:
        For each number of views: `views`, `subsets` (how many), and `methods`: method -> column ->
        metric -> `mean`, `worst`, `worst_views`. A method without a value for every subset has no
        entry.
    """
    sizes = dict.fromkeys(len(views) for views in results)
    return [
        _of_size(n, {views: r for views, r in results.items() if len(views) == n}) for n in sizes
    ]


def _of_size(number: int, results: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Summary:
    methods: Summary = {}
    for name in next(iter(results.values()))["methods"]:
        for column in COLUMNS:
            for key in METRIC_KEYS.values():
                errors = {
                    views: result["methods"].get(name, {}).get(column, {}).get(key)
                    for views, result in results.items()
                }
                known = {views: x for views, x in errors.items() if x is not None}
                if len(known) < len(results):
                    continue
                worst = max(known, key=lambda views: known[views])
                methods.setdefault(name, {}).setdefault(column, {})[key] = {
                    "mean": round(sum(known.values()) / len(known), 6),
                    "worst": known[worst],
                    "worst_views": list(worst),
                }
    return {"views": number, "subsets": len(results), "methods": methods}


def rows(summary: Summary, metric: str) -> list[list[str]]:
    """Return the table of a number of views: a header and one row for each method."""
    key, methods = METRIC_KEYS[metric], summary["methods"]
    columns = [c for c in COLUMNS if any(key in m.get(c, {}) for m in methods.values())]
    kinds = ("mean", "worst")
    head = [METRIC_TITLES[metric], *(f"{c}, {kind}" for c in columns for kind in kinds)]
    table = [[*head, "worst views"]]
    for name, of_method in methods.items():
        cells = [of_method.get(c, {}).get(key, {}) for c in columns]
        values = [cell.get(kind) for cell in cells for kind in kinds]
        first: list[str] = next((cell["worst_views"] for cell in cells if cell), [])
        if first:
            shown = ["-" if x is None else f"{x:.3f}" for x in values]
            table.append([name, *shown, ", ".join(first)])
    return table


def title(summary: Summary) -> str:
    """Return the headline of a number of views."""
    views, subsets = summary["views"], summary["subsets"]
    which = f"all {subsets} subsets" if subsets > 1 else "the only subset"
    return f"Test, {which} of {views} view{'s' if views > 1 else ''}"


def text(summary: Summary, metric: str) -> str:
    """Return the table for a terminal."""
    return f"{title(summary)}\n{aligned(rows(summary, metric))}"


def markdown(summaries: list[Summary], metric: str) -> str:
    """Return all tables as Markdown; "" without any."""
    parts = [f"## {title(s)}\n\n{markdown_table(rows(s, metric))}" for s in summaries]
    return "\n".join([*parts, f"{NOTE}\n", ""]) if parts else ""
