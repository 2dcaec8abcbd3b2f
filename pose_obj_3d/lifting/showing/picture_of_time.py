"""Coordinates of some keypoints against time, with what is claimed of them."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pose_obj_3d.common.colours import colour
from pose_obj_3d.lifting.showing.pictured import BRIDGE, TRUTH, Pictured, stretches

SHOWN_MOVING, SHOWN_STILL = 3, 2  # keypoints that move most, and least
ALL_SHOWN = 6  # so many keypoints are all shown
BAND = 2.0  # standard deviations
_NAMED = 1200  # letters of the names that are not shown


def draw(pictured: Pictured) -> Figure:
    """Draw x, y, z against time with a band of two standard deviations, bridges dashed."""
    chosen, left_out = _chosen(pictured)
    if not chosen:
        figure = Figure(figsize=(9, 1.2))
        figure.text(0.5, 0.5, f"no keypoint could be lifted{_with(pictured.scope)}", ha="center")
        return figure
    figure = Figure(figsize=(12, 1.4 + 1.9 * len(chosen)), layout="constrained")
    grid = figure.subplots(len(chosen), 3, sharex=True, squeeze=False)
    for row, k in enumerate(chosen):
        for c, axes in enumerate(grid[row]):
            _draw_coordinate(axes, pictured, k, c)
            if row == 0:
                axes.set_title("xyz"[c])
            if row == len(chosen) - 1:
                axes.set_xlabel("time [s]")
        lines = textwrap.wrap(pictured.file.keypoint_names[k].split("/")[-1], 24)
        grid[row][0].set_ylabel("\n".join([*lines, f"[{pictured.file.unit}]"]), fontsize=8)
    figure.legend(handles=_marks(pictured), loc="outside upper center", ncols=4, fontsize=9)
    said = _said(pictured, chosen, left_out)
    if said:
        figure.supxlabel("\n".join(textwrap.wrap(said, 170)), fontsize=8)
    return figure


def _with(scope: str) -> str:
    return f", {scope}" if scope else ""


def _chosen(pictured: Pictured) -> tuple[list[int], list[int]]:
    """Give the keypoints that are shown, and the lifted ones that are not."""
    known = np.flatnonzero(pictured.known)
    if len(known) == 0:
        return [], []
    xyz = pictured.xyz[:, known]
    extent = (np.nanmax(xyz, 0) - np.nanmin(xyz, 0)).max(-1)
    order = known[np.argsort(-extent, kind="stable")].tolist()
    if len(order) <= ALL_SHOWN:
        return order, []
    chosen = [*order[:SHOWN_MOVING], *order[-SHOWN_STILL:]]
    return chosen, [k for k in order if k not in chosen]


def _said(pictured: Pictured, chosen: list[int], left_out: list[int]) -> str:
    """Say what is not shown."""
    names = pictured.file.keypoint_names
    parts = [pictured.scope] if pictured.scope else []
    if left_out:
        parts.append(
            f"{len(chosen)} of {len(names)} keypoints: the {SHOWN_MOVING} that move most and the"
            f" {SHOWN_STILL} that move least; not shown:"
            f" {textwrap.shorten(', '.join(names[k] for k in left_out), _NAMED)}"
        )
    lost = [name for name, is_known in zip(names, pictured.known, strict=True) if not is_known]
    if lost:
        parts.append(f"not lifted: {textwrap.shorten(', '.join(lost), _NAMED)}")
    return "; ".join(parts)


def _draw_coordinate(axes: Axes, pictured: Pictured, k: int, c: int) -> None:
    time = (pictured.rows - pictured.rows[0]) / pictured.file.fps
    centre = pictured.xyz[:, k, c]
    spread = BAND * np.sqrt(np.clip(pictured.covariance[:, k, c, c], 0, None))
    single = pictured.single[:, k, c]
    axes.plot(time, single, ".", color="0.6", ms=2.5, rasterized=True)
    shown = [*centre]
    if pictured.truth is not None:
        axes.plot(time, pictured.truth[:, k, c], zorder=3, **TRUTH)
        shown += [*pictured.truth[:, k, c]]
    solid, bridge = stretches(centre, pictured.measured[:, k])
    for part, alpha in ((solid, 0.3), (bridge, 0.12)):
        low, high = part - spread, part + spread
        axes.fill_between(time, low, high, color=colour(k), alpha=alpha, lw=0)
        shown += [*low, *high]
    axes.plot(time, bridge, color=colour(k), **BRIDGE)
    axes.plot(time, solid, color=colour(k), lw=1.7)
    alone = ~np.isfinite(solid[np.r_[0, : len(solid) - 1]]) & np.isfinite(solid)
    axes.plot(time[alone], solid[alone], ".", color=colour(k), ms=3)  # a line needs two points
    dots = single[np.isfinite(single)]
    usual = np.percentile(dots, [3, 97]) if len(dots) else []
    finite = [value for value in [*shown, *usual] if np.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    margin = 0.1 * (high - low) or 1e-3
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(0, max(time[-1], 1 / pictured.file.fps))  # also where nothing is known
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=8)


def _marks(pictured: Pictured) -> list[Line2D | Patch]:
    """Give what lines mean, truth first."""
    marks: list[Line2D | Patch] = []
    if pictured.truth is not None:
        marks.append(Line2D([], [], label="truth", **TRUTH))
    return [
        *marks,
        Line2D([], [], color="0.2", lw=1.3, label="lifted"),
        Patch(color="0.2", alpha=0.3, lw=0, label=f"claimed: +-{BAND:g} standard deviations"),
        Line2D([], [], color="0.2", **BRIDGE, label="bridged: no measurement in these frames"),
        Line2D(
            [],
            [],
            color="0.55",
            marker=".",
            ls="",
            label="triangulation of single frames (some may be outside the picture)",
        ),
    ]
