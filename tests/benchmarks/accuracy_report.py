"""Tables and figures of the accuracy benchmark."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pose_obj_3d.evaluation.intervals import Interval
from pose_obj_3d.evaluation.report import write_atomic
from tests.benchmarks.accuracy_cases import COLUMNS, GROUPS
from tests.benchmarks.accuracy_cells import LEARNED, METHODS
from tests.benchmarks.accuracy_data import CONDITIONS
from tests.benchmarks.accuracy_derived import ACROSS, Table, derive, scopes
from tests.benchmarks.accuracy_tables import as_markdown, error_tables, shown

STYLES = {
    "ml": ("#7f7f7f", "maximum likelihood, one frame"),
    "mean7": ("#8c564b", "7-frame weighted mean"),
    "savgol7": ("#e6a100", "Savitzky-Golay, 7 frames"),
    "rts": ("#2ca02c", "RTS, tuned without true positions"),
    "hindsight": ("#17becf", "best RTS, tuned on the true test positions"),
    "map": ("#bcbd22", "MAP, whole track"),
    "mht": ("#9467bd", "MHT, unsupervised"),
    "stc_window": ("#d62728", "STC window, unsupervised"),
    "stc_track": ("#1f4fb4", "STC track, unsupervised"),
}
"""Method -> colour and label in the figures."""
MARKERS = dict(zip(GROUPS, ("o", "s", "^"), strict=True))


def write(
    folder: Path, table: Table, conditions: list[str], methods: list[str], header: dict[str, Any]
) -> None:
    """Write `accuracy.md`, `accuracy.json` and the figures; what was not run is left out."""
    derived = derive(table, conditions)
    figures = _figures(folder, table, conditions)
    write_atomic(
        folder / "accuracy.md", markdown(table, conditions, methods, derived, header, figures)
    )
    plain = {
        place: {
            name: {s: vars(x) for s, x in of_scopes.items()} for name, of_scopes in found.items()
        }
        for place, found in derived.items()
    }
    content = {
        **header,
        "means_mm": _all_means(table, conditions, methods),
        "derived": plain,
        "info": _info(table),
    }
    write_atomic(folder / "accuracy.json", json.dumps(content, indent=1) + "\n")


Derived = dict[str, dict[str, dict[str, Interval]]]


def markdown(
    table: Table,
    conditions: list[str],
    methods: list[str],
    derived: Derived,
    header: dict[str, Any],
    figures: list[str],
) -> str:
    """Return the report."""
    parts = ["# Accuracy\n", "\n".join(f"- {k}: {v}" for k, v in header.items()) + "\n"]
    parts.append(
        "MPJPE [mm] with 95 % confidence intervals over test examples; points with two usable views"
        " or more. Never: points of keypoints that stay below 5 mm/s in the whole example. R: the"
        " best of maximum likelihood, 7-frame mean and Savitzky-Golay, for each task and column. S:"
        " the best of the RTS smoothers tuned on the true test positions, and MAP where it was"
        " run.\n"
    )
    parts += front_page(table, conditions)
    parts += ["## Derived quantities\n", *_derived_tables(table, conditions, derived)]
    parts += [f"![{name}]({name})\n" for name in figures]
    parts += error_tables(table, conditions, methods)
    return "\n".join(parts)


def front_page(table: Table, conditions: list[str]) -> list[str]:
    """Return the table of the front page: white noise, simulated as measured, and pixels."""
    last = list(scopes(table).values())[-1]
    kinds = {"clean": "white noise", "as_measured": "as measured", "pixels": "pixels"}
    places = [
        (c, column)
        for c in kinds
        if c in conditions
        for column in (("moving", "still", "never") if c == "clean" else ("all",))
    ]
    head = ["method", *(f"{kinds[c]}: {column}" for c, column in places)]
    rows = []
    for method, label in METHODS.items():
        cells = []
        for condition, column in places:
            mean = table.mean(last, condition, method, column)
            cell = "-" if mean is None else f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"
            middle = table.median(last, condition, method, column)
            if condition != "clean" and middle is not None:
                cell += f", median {middle:.2f}"
            cells.append(cell)
        rows.append([label, *cells])
    return ["## Front page\n", as_markdown(head, rows)]


def _derived_tables(table: Table, conditions: list[str], derived: Derived) -> list[str]:
    """Return derived quantities: by task in the first condition, by condition, and across."""
    titles, last = list(scopes(table)), list(scopes(table))[-1]
    first = conditions[0]
    parts = []
    for place in (first, ACROSS):
        head = [CONDITIONS[place].title if place in CONDITIONS else place, *titles]
        rows = [
            [name, *(shown(x.get(s)) for s in titles)] for name, x in derived.get(place, {}).items()
        ]
        parts += [as_markdown(head, rows)] if rows else []
    if len(conditions) > 1:
        names = list(dict.fromkeys(name for c in conditions for name in derived.get(c, {})))
        rows = [
            [name, *(shown(derived.get(c, {}).get(name, {}).get(last)) for c in conditions)]
            for name in names
        ]
        parts.append(as_markdown([last, *(CONDITIONS[c].title for c in conditions)], rows))
    return parts


def _all_means(table: Table, conditions: list[str], methods: list[str]) -> dict[str, Any]:
    """Return scope -> condition -> method -> group -> column -> value and interval."""
    result: dict[str, Any] = {}
    for scope, tasks in scopes(table).items():
        for c in conditions:
            for m in methods:
                for group in ("all", *GROUPS):
                    for column in COLUMNS:
                        found = table.mean(tasks, c, m, column, group)
                        if found is not None:
                            place = result.setdefault(scope, {}).setdefault(c, {}).setdefault(m, {})
                            place.setdefault(group, {})[column] = {
                                k: round(v, 4) for k, v in vars(found).items()
                            }
    return result


def _info(table: Table) -> dict[str, Any]:
    return {
        f"T{t} {c} {m}": {**cell["info"], "seconds": cell["seconds"]}
        for (t, c, m), cell in table.results.items()
    }


def _figures(folder: Path, table: Table, conditions: list[str]) -> list[str]:
    """Draw what there is to draw; returns the file names."""
    names = []
    if "clean" in conditions:
        names.append(_error_against_bound(folder / "error_against_bound.png", table))
    last = list(scopes(table).values())[-1]
    noise = {c: CONDITIONS[c].noise_scale for c in ("clean", "noise2", "noise3") if c in conditions}
    if len(noise) > 1:
        title = "noise of the detections, multiple of 1.29 px"
        names.append(_error_by(folder / "error_by_noise.png", table, last, noise, title))
    views = {
        c: float(len(CONDITIONS[c].views) or 4)
        for c in ("views2", "views3", "clean")
        if c in conditions
    }
    if len(views) > 1:
        title = "number of views, the first ones (models trained with four)"
        names.append(_error_by(folder / "error_by_views.png", table, last, views, title))
    return names


def _error_against_bound(path: Path, table: Table) -> str:
    """Draw each task's keypoint groups: error of a method over the bound of the kind of points."""
    figure, axes = plt.subplots(1, 3, figsize=(17, 6.4), layout="constrained")
    panels = {
        "moving": ("bound_frame", "moving points", "one frame"),
        "still": ("bound_window", "still points", "7 frames where still"),
        "never": ("bound_track", "points of keypoints that never move", "whole track"),
    }
    for ax, (column, (bound, title, of)) in zip(axes, panels.items(), strict=True):
        marks = [
            (x.mean, y.mean, colour, marker)
            for method, (colour, _) in STYLES.items()
            for group, marker in MARKERS.items()
            for task in table.tasks
            if (x := table.sums([task], "clean", bound, column, group)) is not None
            and (y := table.sums([task], "clean", method, column, group)) is not None
        ]
        for x, y, colour, marker in marks:
            ax.plot(x, y, marker, color=colour, ms=7.5, alpha=0.8, mec="white", mew=0.6)
        _log_axes(ax)
        if marks:
            bounds, errors = [m[0] for m in marks], [m[1] for m in marks]
            ax.set_xlim(0.88 * min(bounds), 1.14 * max(bounds))
            ax.set_ylim(0.85 * min(errors + bounds), 1.2 * max(errors + bounds))
            ax.plot([0.01, 1000], [0.01, 1000], "k-", lw=1, zorder=1)
        ax.set_xlabel(f"Cramer-Rao bound, {of} [mm]")
        ax.set_ylabel("MPJPE [mm]")
        ax.set_title(title)
    drawn = [m for m in STYLES if any((t, "clean", m) in table.results for t in table.tasks)]
    handles = [
        Line2D([], [], color=STYLES[m][0], marker="o", ls="", label=STYLES[m][1]) for m in drawn
    ]
    handles += [
        Line2D([], [], color="k", marker=k, ls="", mfc="none", label=g) for g, k in MARKERS.items()
    ]
    handles.append(Line2D([], [], color="k", lw=1, label="error = bound"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=10, frameon=False)
    figure.suptitle(
        "Error against bound: a mark is one keypoint group of one task; below the line lies what"
        " motion or other keypoints tell"
    )
    return _saved(figure, path)


def _error_by(
    path: Path, table: Table, tasks: list[int], places: dict[str, float], label: str
) -> str:
    """Draw errors over what a set of conditions varies, with intervals; bounds dashed."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    bounds = {
        "moving": ("bound_frame", "bound, one frame"),
        "still": ("bound_window", "bound, 7 frames where still"),
    }
    labels: dict[str, tuple[str, dict[str, Any]]] = {}
    for ax, (column, (bound, title)) in zip(axes, bounds.items(), strict=True):
        for method, (colour, name) in {**STYLES, bound: ("k", title)}.items():
            found = {x: table.mean(tasks, c, method, column) for c, x in places.items()}
            kept = {x: y for x, y in found.items() if y is not None}
            if len(kept) < 2:
                continue
            values = [y.value for y in kept.values()]
            spread = [
                [y.value - y.low for y in kept.values()],
                [y.high - y.value for y in kept.values()],
            ]
            # Broad pale lines for references, thin ones for what is learned: both are seen where
            # they coincide.
            learned = method in LEARNED
            style = {
                "ls": "--" if method == bound else "-",
                "lw": 1.6 if learned else 3.4,
                "ms": 4 if learned else 7,
            }
            ax.errorbar(
                list(kept),
                values,
                yerr=spread,
                color=colour,
                marker="o",
                capsize=3,
                elinewidth=1.3,
                label=name,
                alpha=1.0 if learned else 0.6,
                zorder=3 if learned else 2,
                **style,
            )
            labels[name] = colour, style
        ax.set_yscale("log")
        _plain_ticks(ax.yaxis)
        ax.set_xticks(list(places.values()))
        ax.set_xlabel(label)
        ax.set_ylabel("MPJPE [mm]")
        ax.set_title(f"{column} points")
        ax.grid(True, which="both", alpha=0.25)
    handles = [
        Line2D([], [], color=colour, marker="o", label=name, **style)
        for name, (colour, style) in labels.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=5,
        fontsize=9,
        frameon=False,
        handlelength=3.5,
    )
    figure.suptitle(
        ", ".join(f"T{t}" for t in tasks) + ": test examples, 95 % confidence intervals"
    )
    return _saved(figure, path)


def _log_axes(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        _plain_ticks(axis)
    ax.grid(True, which="both", alpha=0.25)


def _plain_ticks(axis: Any) -> None:
    """Label a logarithmic axis of millimetres by plain numbers."""
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def _saved(figure: Any, path: Path) -> str:
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path.name
