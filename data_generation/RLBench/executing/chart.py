"""The figure: how often a robot succeeds, against how far its waypoints are off."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data_generation.RLBench.executing.results import ALL_TASKS, Row
from data_generation.RLBench.executing.settings import TRUTH, Condition
from pose_obj_3d.common.colours import MARKERS, colour
from pose_obj_3d.common.whole_files import writing

COLUMNS = 4
_DPI = 100
Summary = Mapping[str, Mapping[str, Row]]


def write_figure(path: Path, summary: Summary, names: Mapping[str, str]) -> None:
    """Draw one panel for each task, and one for their mean; PNG.

    Args:
        path: The file.
        summary: Of `results.summarise`.
        names: Titles of panels.
    """
    figure = draw(summary, names)
    with writing(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)


def draw(summary: Summary, names: Mapping[str, str]) -> Figure:
    """Draw the figure; colours are methods, markers are noise levels."""
    panels = [ALL_TASKS, *(t for t in summary if t != ALL_TASKS)]
    panels = [panel for panel in panels if panel in summary]
    conditions = [Condition.parse(text) for rows in summary.values() for text in rows]
    methods = list(dict.fromkeys(c.method for c in conditions if c.method != TRUTH))
    noises = sorted({(c.noise, c.replan) for c in conditions if c.method != TRUTH})
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.4 * columns + 0.4, 2.2 * rows + 0.9), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _panel(axes, summary[panel], methods, noises)
        axes.set_title(names.get(panel, panel), fontsize=9)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    # Panels share the axes; rates that are all high leave no empty space below.
    lowest = 100 * min(row["low"] for name in panels for row in summary[name].values())
    tick = 25 if lowest < 50 else 10
    bottom = tick * math.floor(lowest / tick)
    first = grid[0][0]
    first.set_ylim(bottom - 0.03 * (100 - bottom), 100 + 0.04 * (100 - bottom))
    first.set_yticks(np.arange(bottom, 101, tick))
    for axes in grid[-1]:
        axes.set_xlabel("median error [mm]", fontsize=8)
    for row in grid:
        row[0].set_ylabel("success [%]", fontsize=8)
    first.plot([], [], color="0.4", lw=1, ls="--", label=TRUTH)
    for m, method in enumerate(methods):
        first.plot([], [], color=colour(m + 1), lw=3, label=method)
    many = len({replan for _, replan in noises}) > 1
    for n, (noise, replan) in enumerate(noises):
        label = f"{noise}, looks {replan.replace('_', ' ')}" if many else f"noise {noise}"
        first.plot([], [], MARKERS[n % len(MARKERS)], color="black", mfc="none", label=label)
    figure.legend(loc="outside lower center", fontsize=8, ncols=4, frameon=False)
    return figure


def _panel(
    axes: Axes, rows: Mapping[str, Row], methods: list[str], noises: list[tuple[str, str]]
) -> None:
    for text, row in rows.items():
        condition = Condition.parse(text)
        if condition.method == TRUTH:
            axes.axhspan(100 * row["low"], 100 * row["high"], color="0.9", lw=0)
            axes.axhline(100 * row["rate"], color="0.4", lw=1, ls="--")
            continue
        if row["median_mm"] is None:
            continue
        n = noises.index((condition.noise, condition.replan))
        m = methods.index(condition.method)
        rate = 100 * row["rate"]
        axes.errorbar(
            row["median_mm"],
            rate,
            yerr=[[max(rate - 100 * row["low"], 0.0)], [max(100 * row["high"] - rate, 0.0)]],
            color=colour(m + 1),
            marker=MARKERS[n % len(MARKERS)],
            mfc="none",
            ms=6,
            elinewidth=0.8,
        )
    axes.set(xscale="log")
    axes.set_xticks([1, 2, 5, 10, 20], labels=["1", "2", "5", "10", "20"])
    axes.set_xticks([], minor=True)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.3)
