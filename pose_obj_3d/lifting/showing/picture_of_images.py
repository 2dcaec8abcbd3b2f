"""Detections, and lifted points reprojected with their regions, in the images of the cameras."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from pose_obj_3d.common.colours import colour, marker
from pose_obj_3d.lifting.showing.pictured import (
    BRIDGE,
    CHI2_95,
    Pictured,
    add_legend,
    heighten,
    keypoint_marks,
)
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.tracks_from_file import OUTLIER_SIGMAS
from pose_obj_3d.lifting.writing.support import image_size, reprojected

SHOWN_FRAMES = 3  # one where there are more than `MANY_CAMERAS`
MANY_CAMERAS, COLUMNS = 6, 5
_STEP = 1e-4  # of a point's depth, about: for derivatives by differences [m]


def draw(pictured: Pictured) -> Figure:
    """Draw some frames (rows) in every camera (columns)."""
    file = pictured.file
    frames = _frames(pictured)
    panels, empty = _panels(pictured, frames)
    if not panels:
        figure = Figure(figsize=(9, 1.2))
        figure.text(0.5, 0.5, "no camera has a detection, a point or a picture here", ha="center")
        return figure
    views = list(dict.fromkeys(v for _, v in panels))
    is_grid = len(views) > MANY_CAMERAS
    columns = COLUMNS if is_grid else len(views)
    rows = -(-len(views) // columns) if is_grid else len({i for i, _ in panels})
    width = max(min(3.2 * columns, 24), 6.4) + 0.3
    figure = Figure(figsize=(width, 3.3 * rows + 0.8), layout="constrained")
    uv, regions = _points_and_regions(pictured, frames)
    far = pictured.far(frames)
    for number, (i, v) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        _draw_panel(axes, pictured, int(frames[i]), v, (uv[v, i], regions[v, i], far[i, v]))
        if is_grid or i == panels[0][0]:
            axes.set_title(file.camera_names[v], fontsize=10)
        if not is_grid and v == views[0]:
            axes.set_ylabel(f"frame {frames[i]}", fontsize=9)
    said = [f"frame {frames[0]}"] if is_grid else []
    if empty:
        said.append(f"no detection and no picture in these frames: {', '.join(empty)}")
    if said:
        figure.suptitle("\n".join(textwrap.wrap("; ".join(said), int(12 * width))), fontsize=9)
    heighten(figure, add_legend(figure, [*_marks(pictured), *keypoint_marks(pictured)], "lower"))
    return figure


def _frames(pictured: Pictured) -> np.ndarray:
    """Choose frames, evenly spread over those with a point."""
    with_point = pictured.rows[np.isfinite(pictured.xyz).all(-1).any(-1)]
    rows = with_point if len(with_point) else pictured.rows
    count = SHOWN_FRAMES if len(pictured.file.camera_names) <= MANY_CAMERAS else 1
    places = np.linspace(0, len(rows) - 1, count + 2).round().astype(int)[1:-1]
    return np.asarray(rows[np.unique(places)])


def _panels(pictured: Pictured, frames: np.ndarray) -> tuple[list[tuple[int, int]], list[str]]:
    """Give the panels (frame's place, view) row by row, and the cameras that show nothing."""
    file = pictured.file
    seen = np.isfinite(file.measured[:, frames]).all(-1).reshape(len(file.camera_names), -1)
    shown, empty = [], []
    for v, name in enumerate(file.camera_names):
        has_picture = any(pictured.frames.read(v, int(t)) is not None for t in frames)
        if seen[v].any() or has_picture:
            shown.append(v)
        else:
            empty.append(name)
    return [(i, v) for i in range(len(frames)) for v in shown], empty


def _points_and_regions(pictured: Pictured, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project points: (V, n, K, 2) [px], and the covariances of their claims (V, n, K, 2, 2)."""
    scale = METRES[pictured.file.unit]
    at = frames - pictured.rows[0]
    xyz, covariance = pictured.xyz[at] * scale, pictured.covariance[at] * scale**2
    uv = reprojected(xyz, pictured.file)
    slopes = [
        (reprojected(xyz + step, pictured.file) - reprojected(xyz - step, pictured.file))
        / (2 * _STEP)
        for step in _STEP * np.eye(3)
    ]
    J = np.stack(slopes, -1)  # (V, n, K, 2, 3)
    return uv, J @ covariance @ J.swapaxes(-1, -2)


def _draw_panel(
    axes: Axes, pictured: Pictured, frame: int, view: int, shown: tuple[Any, Any, Any]
) -> None:
    """Draw one camera's frame: detections, reprojections with regions, outliers."""
    uv, regions, far = shown
    file = pictured.file
    picture = pictured.frames.read(view, frame)
    width, height = image_size(file, view)
    measured = file.measured[view, frame]
    if picture is not None:
        height, width = picture.shape[:2]
        axes.imshow(picture, extent=(0, width, height, 0))
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.tick_params(labelsize=7)
    own = pictured.measured[frame - pictured.rows[0]]
    for a, b in pictured.bones:
        axes.plot(*uv[[a, b]].T, color="0.35", lw=0.8)
    for k in range(len(uv)):
        shape = marker(k)
        axes.plot(*measured[k], shape, mfc="none", mec=colour(k), ms=8, mew=1.4)
        alpha = 1.0 if own[k] else BRIDGE["alpha"]
        axes.plot(*uv[k], "x", color=colour(k), ms=5, mew=1.4, alpha=alpha)
        if np.isfinite(regions[k]).all() and np.isfinite(uv[k]).all():
            axes.add_patch(_ellipse(uv[k], regions[k], colour(k)))
        if far[k]:
            axes.plot(*measured[k], "s", mfc="none", mec="red", ms=13, mew=1.2)
    if picture is None:
        _crop(axes, np.concatenate([measured, uv]))


def _ellipse(centre: np.ndarray, covariance: np.ndarray, paint: str) -> Ellipse:
    """Give the ellipse that holds 95 % by a covariance [px^2]."""
    values, axes = np.linalg.eigh(covariance)
    wide, high = 2 * np.sqrt(CHI2_95[2] * np.clip(values, 0, None))
    angle = float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    return Ellipse((centre[0], centre[1]), wide, high, angle=angle, fc="none", ec=paint, lw=0.9)


def _crop(axes: Axes, points: np.ndarray) -> None:
    """Show the square around the points (n, 2) [px]; NaN are left out."""
    points = points[np.isfinite(points).all(-1)]
    if len(points):
        low, high = points.min(0), points.max(0)
        centre, half = (low + high) / 2, 0.6 * max(float((high - low).max()), 20.0)
        axes.set(
            xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half)
        )


def _marks(pictured: Pictured) -> list[Line2D]:
    plain: dict[str, Any] = {"color": "0.2", "ls": ""}
    marks = [
        Line2D([], [], marker="o", mfc="none", ms=8, label="detected", **plain),
        Line2D([], [], marker="x", ms=6, label="lifted and reprojected", **plain),
        Line2D([], [], marker="x", ms=6, alpha=BRIDGE["alpha"], label="the same, bridged", **plain),
        Line2D([], [], color="0.2", lw=0.9, label="ellipse: 95 % claimed for the point"),
        Line2D(
            [],
            [],
            color="red",
            marker="s",
            mfc="none",
            ms=10,
            ls="",
            label=f"outlier (> {OUTLIER_SIGMAS:g} standard deviations)",
        ),
    ]
    if pictured.bones:
        marks.append(Line2D([], [], color="0.35", lw=0.8, label="skeleton"))
    return marks
