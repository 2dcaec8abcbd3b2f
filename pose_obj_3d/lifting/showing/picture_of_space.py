"""Lifted tracks in 3D: truth, lines, regions, and the skeleton of the last frame."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pose_obj_3d.common.colours import colour, marker
from pose_obj_3d.lifting.showing.pictured import (
    BRIDGE,
    CHI2_95,
    TRUTH,
    Pictured,
    add_legend,
    heighten,
    keypoint_marks,
    stretches,
)

SHOWN_REGIONS = 5  # of each keypoint, evenly spread over its way
_RING = np.linspace(0, 2 * np.pi, 25)


def draw(pictured: Pictured) -> Figure:
    """Draw lifted tracks as lines, bridges dashed, and triangulations of single frames as dots."""
    figure = Figure(figsize=(9.5, 7), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d")
    for k in range(pictured.xyz.shape[1]):
        _draw_track(axes, pictured, k)
    for a, b in pictured.bones:
        ends = pictured.xyz[:, [a, b]]
        both = np.flatnonzero(np.isfinite(ends).all((-1, -2)))
        if len(both):
            axes.plot(*ends[both[-1]].T, color="0.15", lw=1.6)
    low, high = _limits(pictured)
    unit = pictured.file.unit
    axes.set(
        xlabel=f"x [{unit}]",
        ylabel=f"y [{unit}]",
        zlabel=f"z [{unit}]",
        xlim=(low[0], high[0]),
        ylim=(low[1], high[1]),
        zlim=(low[2], high[2]),
    )
    axes.locator_params(nbins=6)
    axes.tick_params(labelsize=8)
    axes.set_box_aspect(high - low, zoom=0.95)
    scope = f", {pictured.scope}" if pictured.scope else ""
    if not pictured.known.any():
        scope += ": no point could be lifted"
    axes.set_title(f"lifted tracks{scope}", fontsize=11)
    heighten(figure, add_legend(figure, [*_marks(pictured), *keypoint_marks(pictured)], "lower"))
    return figure


def _draw_track(axes: Any, pictured: Pictured, k: int) -> None:
    xyz = pictured.xyz[:, k]
    dots = {"color": colour(k), "ms": 2, "alpha": 0.25, "rasterized": True}
    axes.plot(*pictured.single[:, k].T, ".", **dots)
    if pictured.truth is not None:
        axes.plot(*pictured.truth[:, k].T, **TRUTH)
    solid, bridge = stretches(xyz, pictured.measured[:, k])
    axes.plot(*bridge.T, color=colour(k), **BRIDGE)
    axes.plot(*solid.T, color=colour(k), lw=1.8)
    seen = np.flatnonzero(np.isfinite(xyz).all(-1))
    if not len(seen):
        return
    for t in np.unique(np.linspace(0, len(seen) - 1, SHOWN_REGIONS).round().astype(int)):
        for ring in _rings(xyz[seen[t]], pictured.covariance[seen[t], k]):
            axes.plot(*ring.T, color=colour(k), lw=0.6, alpha=0.7)
    end = xyz[seen[-1:]]
    axes.plot(*end.T, marker(k), color=colour(k), ms=6, mec="black", mew=0.8)


def _rings(centre: np.ndarray, covariance: np.ndarray) -> list[np.ndarray]:
    """Give the three main ellipses (n, 3) of the region that holds 95 %; none where not claimed."""
    if not np.isfinite(covariance).all():
        return []
    values, axes = np.linalg.eigh(covariance)
    half = axes * np.sqrt(CHI2_95[3] * np.clip(values, 0, None))  # columns
    circle = np.stack([np.cos(_RING), np.sin(_RING)], -1)
    return [centre + circle @ half[:, pair].T for pair in ([0, 1], [1, 2], [0, 2])]


def _marks(pictured: Pictured) -> list[Line2D]:
    """Give what lines mean, truth first."""
    marks = []
    if pictured.truth is not None:
        marks.append(Line2D([], [], label="truth", **TRUTH))
    marks += [
        Line2D([], [], color="0.3", lw=1.8, label="lifted; its end has a mark"),
        Line2D([], [], color="0.3", **BRIDGE, label="bridged"),
        Line2D([], [], color="0.3", lw=0.6, marker="o", mfc="none", label="95 % regions claimed"),
        Line2D([], [], color="0.3", marker=".", ls="", alpha=0.5, label="single frames"),
    ]
    if pictured.bones:
        marks.append(Line2D([], [], color="0.15", lw=1.6, label="skeleton, last frame"))
    return marks


def _limits(pictured: Pictured) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of the points, with a margin; no side is much shorter than the longest."""
    points = pictured.xyz[np.isfinite(pictured.xyz).all(-1)]
    if len(points) == 0:
        return np.zeros(3), np.ones(3)
    low, high = points.min(0), points.max(0)
    half = np.maximum(high - low, max(float((high - low).max()) * 0.6, 1e-6)) * 0.55
    return (low + high) / 2 - half, (low + high) / 2 + half
