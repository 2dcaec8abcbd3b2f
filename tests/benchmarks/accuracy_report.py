"""Tables and figures of the accuracy benchmark."""

import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pose_obj_3d.intervals import Interval
from pose_obj_3d.report import write_atomic
from tests.benchmarks.accuracy_cells import COLUMNS, GROUPS, METHODS
from tests.benchmarks.accuracy_data import CONDITIONS
from tests.benchmarks.accuracy_derived import TOGETHER, Table, derive

STYLES = {
    "ml": ("#7f7f7f", "maximum likelihood, one frame"),
    "mean7": ("#8c564b", "7-frame weighted mean"),
    "savgol7": ("#e6a100", "Savitzky-Golay, 7 frames"),
    "rts": ("#2ca02c", "RTS, fitted without truth"),
    "hindsight": ("#17becf", "H: best RTS in hindsight"),
    "mht": ("#9467bd", "MHT, unsupervised"),
    "stc_window": ("#d62728", "STC window, unsupervised"),
    "stc_track": ("#1f4fb4", "STC track, unsupervised"),
}
"""Method -> colour and label in the figures."""
MARKERS = dict(zip(GROUPS, ("o", "s", "^"), strict=True))


def write(folder: Path, table: Table, conditions: list[str], methods: list[str], header: dict[str, Any]) -> None:
    """Write `accuracy.md`, `accuracy.json` and the figures; what was not run is left out."""
    derived = derive(table, conditions)
    figures = _figures(folder, table, conditions)
    write_atomic(folder / "accuracy.md", markdown(table, conditions, methods, derived, header, figures))
    plain = {name: {s: vars(x) for s, x in scopes.items()} for name, scopes in derived.items()}
    content = {**header, "means_mm": _all_means(table, conditions, methods), "derived": plain, "info": _info(table)}
    write_atomic(folder / "accuracy.json", json.dumps(content, indent=1) + "\n")


def markdown(
    table: Table, conditions: list[str], methods: list[str], derived: dict[str, dict[str, Interval]],
    header: dict[str, Any], figures: list[str],
) -> str:  # fmt: skip
    """Return the report."""
    scopes = _scopes(table)
    parts = ["# Accuracy\n", "\n".join(f"- {k}: {v}" for k, v in header.items()) + "\n"]
    parts.append("MPJPE [mm] with 95 % confidence intervals over test examples; points with two usable views or more.\n")
    parts += [f"![{name}]({name})\n" for name in figures]
    last = list(scopes.values())[-1]
    for column in COLUMNS:
        head = [f"{column}, {CONDITIONS[conditions[0]].title}", *scopes]
        rows = [[METHODS[m], *(_shown(table.mean(t, conditions[0], m, column)) for t in scopes.values())] for m in methods]
        parts += [f"## {column.capitalize()} points by task\n", _table(head, rows)]
    for column in COLUMNS:
        head = [f"{column}, {list(scopes)[-1]}", *(CONDITIONS[c].title for c in conditions)]
        rows = [[METHODS[m], *(_shown(table.mean(last, c, m, column)) for c in conditions)] for m in methods]
        parts += [f"## {column.capitalize()} points by condition\n", _table(head, rows)]
    for group in GROUPS:
        head = [f"{group}, {CONDITIONS[conditions[0]].title}", *(f"{s} {c}" for s in scopes for c in ("moving", "still"))]
        rows = [
            [METHODS[m], *(_shown(table.mean(t, conditions[0], m, c, group), False) for t in scopes.values() for c in ("moving", "still"))]
            for m in methods
        ]
        parts += [f"## Group {group}\n", _table(head, rows)]
    head = [f"claims, {list(scopes)[-1]}, {CONDITIONS[conditions[0]].title}"]
    head += [f"{k}, {c}" for k in ("68 % region [%]", "95 % region [%]", "claimed [mm]") for c in COLUMNS]
    rows = [[METHODS[m], *_claims(table, last, conditions[0], m)] for m in methods]
    parts += ["## Claimed uncertainty\n", _table(head, rows)]
    rows = [[name, *(_shown(found.get(s)) for s in scopes)] for name, found in derived.items()]
    parts += ["## Derived quantities\n", _table(["quantity", *scopes], rows)]
    return "\n".join(parts)


def _scopes(table: Table) -> dict[str, list[int]]:
    found = {f"T{t}": [t] for t in table.tasks}
    return found | ({TOGETHER: table.tasks} if len(table.tasks) > 1 else {})


def _claims(table: Table, tasks: list[int], condition: str, method: str) -> list[str]:
    cells = []
    for kind, factor in (("inside_68", 100), ("inside_95", 100), ("claimed", 1)):
        for column in COLUMNS:
            found = table.mean(tasks, condition, method, column, kind=kind)
            cells.append("-" if found is None else f"{factor * found.value:.{1 if factor > 1 else 2}f}")
    return cells


def _shown(x: Interval | None, with_interval: bool = True) -> str:
    if x is None or not math.isfinite(x.value):
        return "-"
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]" if with_interval else f"{x.value:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table without the rows that have no number."""
    kept = [r for r in rows if any(cell != "-" for cell in r[1:])]
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---", *["---:"] * (len(head) - 1)], *kept]) + "\n"


def _all_means(table: Table, conditions: list[str], methods: list[str]) -> dict[str, Any]:
    """Return scope -> condition -> method -> group -> column -> value and interval."""
    result: dict[str, Any] = {}
    for scope, tasks in _scopes(table).items():
        for c in conditions:
            for m in methods:
                for group in ("all", *GROUPS):
                    for column in COLUMNS:
                        found = table.mean(tasks, c, m, column, group)
                        if found is not None:
                            place = result.setdefault(scope, {}).setdefault(c, {}).setdefault(m, {})
                            place.setdefault(group, {})[column] = {k: round(v, 4) for k, v in vars(found).items()}
    return result


def _info(table: Table) -> dict[str, Any]:
    return {f"T{t} {c} {m}": {**cell["info"], "seconds": cell["seconds"]} for (t, c, m), cell in table.results.items()}


def _figures(folder: Path, table: Table, conditions: list[str]) -> list[str]:
    """Draw what there is to draw; returns the file names."""
    names = []
    if "clean" in conditions:
        names.append(_error_against_bound(folder / "error_against_bound.png", table))
    last = list(_scopes(table).values())[-1]
    noise = {c: CONDITIONS[c].noise_scale for c in ("clean", "noise2", "noise3") if c in conditions}
    if len(noise) > 1:
        title = "noise of the detections, multiple of 1.29 px"
        names.append(_error_by(folder / "error_by_noise.png", table, last, noise, title))
    views = {c: float(len(CONDITIONS[c].views) or 4) for c in ("views2", "views3", "clean") if c in conditions}
    if len(views) > 1:
        title = "number of views (models trained with four)"
        names.append(_error_by(folder / "error_by_views.png", table, last, views, title))
    return names


def _error_against_bound(path: Path, table: Table) -> str:
    """Draw each task's keypoint groups: error of a method over the bound, moving and still points apart."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 6.2), layout="constrained")
    panels = {
        "moving": ("bound_frame", "moving points: one-frame Cramer-Rao bound [mm]"),
        "still": ("bound_window", "still points: 7-frame Cramer-Rao bound where still [mm]"),
    }
    for ax, (column, (bound, label)) in zip(axes, panels.items(), strict=True):
        ends: list[float] = []
        for method, (colour, _) in STYLES.items():
            for group, marker in MARKERS.items():
                for task in table.tasks:
                    x = table.sums([task], "clean", bound, column, group)
                    y = table.sums([task], "clean", method, column, group)
                    if x is not None and y is not None:
                        ax.plot(x.mean, y.mean, marker, color=colour, ms=7, alpha=0.75, mec="white", mew=0.5)
                        ends += [x.mean, y.mean]
        if ends:
            span = [0.85 * min(ends), 1.15 * max(ends)]
            ax.plot(span, span, "k-", lw=1)
            ax.annotate("error = bound", (span[1], span[1]), xytext=(-8, -4), textcoords="offset points", rotation=45, rotation_mode="anchor", ha="right", va="top", fontsize=9)
        _log_axes(ax)
        ax.set_xlabel(label)
        ax.set_ylabel("MPJPE [mm]")
        ax.set_title(f"{column} points")
    drawn = [m for m in STYLES if any((t, "clean", m) in table.results for t in table.tasks)]
    handles = [Line2D([], [], color=STYLES[m][0], marker="o", ls="", label=STYLES[m][1]) for m in drawn]
    handles += [Line2D([], [], color="k", marker=k, ls="", mfc="none", label=g) for g, k in MARKERS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    figure.suptitle("Error against bound: a mark is one keypoint group of one task")
    return _saved(figure, path)


def _error_by(path: Path, table: Table, tasks: list[int], places: dict[str, float], label: str) -> str:
    """Draw errors over what a set of conditions varies, with intervals; bounds dashed."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    bounds = {"moving": ("bound_frame", "bound, one frame"), "still": ("bound_window", "bound, 7 frames where still")}
    for ax, (column, (bound, title)) in zip(axes, bounds.items(), strict=True):
        for method, (colour, name) in {**STYLES, bound: ("k", title)}.items():
            found = {x: table.mean(tasks, c, method, column) for c, x in places.items()}
            kept = {x: y for x, y in found.items() if y is not None}
            if len(kept) < 2:
                continue
            values = [y.value for y in kept.values()]
            spread = [[y.value - y.low for y in kept.values()], [y.high - y.value for y in kept.values()]]
            style = "--" if method == bound else "-"
            ax.errorbar(list(kept), values, yerr=spread, color=colour, ls=style, marker="o", ms=5, lw=1.8, capsize=3, label=name)
        ax.set_yscale("log")
        _plain_ticks(ax.yaxis)
        ax.set_xticks(list(places.values()))
        ax.set_xlabel(label)
        ax.set_ylabel("MPJPE [mm]")
        ax.set_title(f"{column} points")
        ax.grid(True, which="both", alpha=0.25)
        ax.legend(fontsize=9, frameon=False)
    figure.suptitle(", ".join(f"T{t}" for t in tasks) + ": test examples, 95 % confidence intervals")
    return _saved(figure, path)


def _log_axes(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        _plain_ticks(axis)
    ax.grid(True, which="both", alpha=0.25)


def _plain_ticks(axis: Any) -> None:
    """Label a logarithmic axis of millimetres by plain numbers."""
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def _saved(figure: Any, path: Path) -> str:
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path.name
