"""Draw lifted tracks: in 3D, against time with their uncertainty, and in the cameras' images."""

import logging
import textwrap
from pathlib import Path
from typing import Any

import matplotlib.image as mpl_image
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pose_obj_3d.common.colours import COLOURS, colour
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.lenses import distort
from pose_obj_3d.lifting.gaps import is_measured
from pose_obj_3d.lifting.lift_file import Lifted
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import OUTLIER_SIGMAS, OwnData, is_outlier
from pose_obj_3d.tracks.types import Tracks

logger = logging.getLogger(__name__)
SHOWN_MOVING, SHOWN_STILL = 3, 2  # keypoints that move most, and least, shown against time
SHOWN_FRAMES = 3  # in the picture of reprojections
MAX_DRAWN = 1500  # frames of a sequence in one picture
_DPI = 110
BRIDGE: dict[str, Any] = {"ls": (0, (2, 2)), "lw": 1.1, "alpha": 0.45}  # dashed and faint
NAMES = ("tracks_3d.png", "coordinates.png", "reprojection.png")


def draw(
    out: Path, file: TrackFile, data: OwnData, lifted: Lifted, images: str | None
) -> list[Path]:
    """Save the pictures `NAMES` of the longest sequence.

    Args:
        out: Folder.
        file: What was read.
        data: The tracks with all detections.
        lifted: The result.
        images: Pattern of the frames' pictures with {view} and {frame}, or None.
    """
    lengths = np.diff([*file.sequence_starts, len(data.tracks)])
    start = file.sequence_starts[int(lengths.argmax())]
    rows = np.arange(start, start + min(int(lengths.max()), MAX_DRAWN))
    scale = METRES[file.unit]
    estimate, measured = lifted.estimate, lifted.measured.numpy()[rows]
    xyz = (data.world(estimate.xyz) / scale).numpy()[rows]
    deviation = (
        estimate.covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt() * data.unit_m / scale
    ).numpy()[rows]
    single = (data.world(lifted.kept.xyz) / scale).numpy()[rows]
    single[~is_measured(lifted.kept).numpy()[rows]] = np.nan
    figures = (
        _tracks(file, xyz, single, measured),
        _coordinates(file, xyz, deviation, single, measured, rows),
        _reprojections(file, data, lifted, rows, images),
    )
    return [_save(out / name, figure) for name, figure in zip(NAMES, figures, strict=True)]


def _save(path: Path, figure: Figure) -> Path:
    with writing(path) as file:
        figure.savefig(file, dpi=_DPI, format="png")
    return path


def stretches(xyz: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split a track (T, ...) into measured stretches, and bridges with the frames at their ends.

    Args:
        xyz: (T, ...), NaN where unknown.
        measured: (T,) bool.

    Returns:
        Both of the shape of `xyz`, NaN where the other holds.
    """
    solid, bridge = xyz.copy(), xyz.copy()
    solid[~measured] = np.nan
    beside = ~measured
    beside[1:] |= ~measured[:-1]
    beside[:-1] |= ~measured[1:]
    bridge[~beside] = np.nan
    return solid, bridge


def _tracks(file: TrackFile, xyz: np.ndarray, single: np.ndarray, measured: np.ndarray) -> Figure:
    """Draw lifted tracks as lines, bridges dashed, and triangulations of single frames as dots."""
    figure = Figure(figsize=(9.5, 7), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d")
    for k, name in enumerate(file.keypoint_names):
        axes.plot(*single[:, k].T, ".", color=colour(k), ms=2, alpha=0.25)
        solid, bridge = stretches(xyz[:, k], measured[:, k])
        axes.plot(*bridge.T, color=colour(k), **BRIDGE)
        axes.plot(*solid.T, color=colour(k), lw=1.8, label=name)
        seen = np.flatnonzero(np.isfinite(xyz[:, k]).all(-1))
        if len(seen):
            axes.plot(*xyz[seen[-1:], k].T, "o", color=colour(k), ms=6, mec="black", mew=0.8)
    low, high = _limits(xyz)
    unit = file.unit
    axes.set(
        xlabel=f"x [{unit}]",
        ylabel=f"y [{unit}]",
        zlabel=f"z [{unit}]",
        xlim=(low[0], high[0]),
        ylim=(low[1], high[1]),
        zlim=(low[2], high[2]),
    )
    axes.set_box_aspect(high - low, zoom=0.95)
    axes.set_title(
        "lifted tracks (lines, dashed where bridged, end marked), triangulation of single frames"
        " (dots)",
        fontsize=11,
    )
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8
    )
    return figure


def _limits(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of the points, with a margin; no side is much shorter than the longest."""
    points = xyz[np.isfinite(xyz).all(-1)]
    if len(points) == 0:
        return np.zeros(3), np.ones(3)
    low, high = points.min(0), points.max(0)
    half = np.maximum(high - low, max(float((high - low).max()) * 0.6, 1e-6)) * 0.55
    return (low + high) / 2 - half, (low + high) / 2 + half


def _coordinates(
    file: TrackFile,
    xyz: np.ndarray,
    deviation: np.ndarray,
    single: np.ndarray,
    measured: np.ndarray,
    rows: np.ndarray,
) -> Figure:
    """Draw x, y, z against time with a band of two standard deviations, bridges dashed."""
    known = np.flatnonzero(np.isfinite(xyz).all(-1).any(0))
    extent = (np.nanmax(xyz[:, known], 0) - np.nanmin(xyz[:, known], 0)).max(-1)
    order = known[np.argsort(-extent, kind="stable")]
    chosen = [*order[:SHOWN_MOVING], *order[SHOWN_MOVING:][-SHOWN_STILL:]]
    count = max(len(chosen), 1)
    figure = Figure(figsize=(12, 1.0 + 1.9 * count), layout="constrained")
    grid = figure.subplots(count, 3, sharex=True, squeeze=False)
    time = (rows - rows[0]) / file.fps
    for row, k in enumerate(chosen):
        for c, axes in enumerate(grid[row]):
            centre, spread = xyz[:, k, c], 2 * deviation[:, k, c]
            axes.plot(time, single[:, k, c], ".", color="0.55", ms=2.5)
            solid, bridge = stretches(centre, measured[:, k])
            for part, alpha in ((solid, 0.3), (bridge, 0.12)):
                axes.fill_between(
                    time, part - spread, part + spread, color=colour(k), alpha=alpha, lw=0
                )
            axes.plot(time, bridge, color=colour(k), **BRIDGE)
            axes.plot(time, solid, color=colour(k), lw=1.3)
            dots = single[np.isfinite(single[:, k, c]), k, c]
            usual = np.percentile(dots, [3, 97]) if len(dots) else []
            low, high = (
                np.nanmin([*(centre - spread), *usual]),
                np.nanmax([*(centre + spread), *usual]),
            )
            if np.isfinite([low, high]).all() and high > low:
                axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
            axes.set_xlim(0, max(time[-1], 1 / file.fps))  # also where nothing is known
            axes.grid(alpha=0.25)
            axes.tick_params(labelsize=8)
            if c == 0:
                lines = textwrap.wrap(file.keypoint_names[k].split("/")[-1], 24)
                axes.set_ylabel("\n".join([*lines, f"[{file.unit}]"]), fontsize=8)
            if row == 0:
                axes.set_title("xyz"[c])
            if row == count - 1:
                axes.set_xlabel("time [s]")
    marks = [
        Line2D([], [], color="0.2", lw=1.3, label="lifted, band: +-2 standard deviations"),
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
    figure.legend(handles=marks, loc="outside upper center", ncols=3, fontsize=9)
    return figure


def _reprojections(
    file: TrackFile, data: OwnData, lifted: Lifted, rows: np.ndarray, images: str | None
) -> Figure:
    """Draw some frames (rows) in every camera (columns)."""
    estimate, kept = lifted.estimate, lifted.kept
    V = len(file.camera_names)
    frames = rows[
        np.unique(np.linspace(0, len(rows) - 1, SHOWN_FRAMES + 2).round().astype(int)[1:-1])
    ]
    figure = Figure(figsize=(min(3.2 * V, 24) + 0.3, 3.3 * len(frames) + 0.8), layout="constrained")
    grid = figure.subplots(len(frames), V, squeeze=False)
    uv, _ = multi_view.project(
        estimate.xyz[frames], data.rig.intrinsics, data.rig.extrinsics
    )  # (n, K, V, 2)
    at = torch.as_tensor(frames)
    shown = Estimate(estimate.xyz[at], estimate.covariance[at])
    far = is_outlier(shown, _rows(data.tracks, at), _rows(kept, at), data.rig).numpy()
    for i, frame in enumerate(frames):
        for v, name in enumerate(file.camera_names):
            axes = grid[i, v]
            width, height = _background(axes, file, v, int(frame), images)
            drawn = distort(
                uv[i, :, v].numpy(), file.intrinsics[v], file.distortion[v], file.lenses[v]
            )
            _overlay(
                axes, file.measured[v, frame], drawn, far[i, v], lifted.measured[frame].numpy()
            )
            axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
            axes.tick_params(labelsize=7)
            if not axes.images:
                _crop(
                    axes,
                    np.concatenate(
                        [
                            file.measured[v, frames].reshape(-1, 2),
                            uv[:, :, v].reshape(-1, 2).numpy(),
                        ]
                    ),
                )
            if i == 0:
                axes.set_title(name, fontsize=10)
            if v == 0:
                axes.set_ylabel(f"frame {frame}", fontsize=9)
    marks = [
        Line2D([], [], color="0.2", marker="o", mfc="none", ms=8, ls="", label="detected"),
        Line2D([], [], color="0.2", marker="x", ms=6, ls="", label="lifted and reprojected"),
        Line2D(
            [],
            [],
            color="0.2",
            marker="x",
            ms=6,
            ls="",
            alpha=BRIDGE["alpha"],
            label="the same, bridged",
        ),
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
    names = [
        Line2D([], [], color=colour(k), lw=3, label=name)
        for k, name in enumerate(file.keypoint_names[: len(COLOURS)])
    ]
    figure.legend(handles=[*marks, *names], loc="outside lower center", ncols=6, fontsize=8)
    return figure


def _crop(axes: Axes, points: np.ndarray) -> None:
    """Show the square around the points (n, 2) [px]; NaN are left out."""
    points = points[np.isfinite(points).all(-1)]
    if len(points):
        low, high = points.min(0), points.max(0)
        centre, half = (low + high) / 2, 0.6 * max(float((high - low).max()), 20.0)
        axes.set(
            xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half)
        )


def _rows(tracks: Tracks, at: torch.Tensor) -> Tracks:
    return Tracks(
        uv=tracks.uv[at],
        weights=tracks.weights[at],
        robust=tracks.robust[at],
        xyz=tracks.xyz[at],
        info=tracks.info[at],
        truth=None,
        precision=None,
        keypoint=tracks.keypoint[at],
        first=tracks.first[at],
        last=tracks.last[at],
        source=tracks.source[at],
    )


def _overlay(
    axes: Axes, measured: np.ndarray, drawn: np.ndarray, far: np.ndarray, own: np.ndarray
) -> None:
    """Draw K keypoints in one image: detections, reprojections (faint where bridged), outliers."""
    for k in range(len(measured)):
        axes.plot(*measured[k], "o", mfc="none", mec=colour(k), ms=8, mew=1.4)
        axes.plot(
            *drawn[k], "x", color=colour(k), ms=5, mew=1.4, alpha=1.0 if own[k] else BRIDGE["alpha"]
        )
        if far[k]:
            axes.plot(*measured[k], "s", mfc="none", mec="red", ms=13, mew=1.2)


def _background(
    axes: Axes, file: TrackFile, view: int, frame: int, images: str | None
) -> tuple[float, float]:
    """Show the frame's picture, or white; returns width and height [px]."""
    path = image_path(images, file.camera_names[view], frame) if images else None
    if path is not None and path.is_file():
        picture = mpl_image.imread(path)
        height, width = picture.shape[:2]
        axes.imshow(picture, extent=(0, width, height, 0))
        return float(width), float(height)
    if path is not None:
        logger.warning("--images: %s does not exist; drawn on white", path)
    if file.image_size is not None:
        return float(file.image_size[view, 0]), float(file.image_size[view, 1])
    seen = file.measured[view][np.isfinite(file.measured[view]).all(-1)]
    reach = np.concatenate([2 * file.intrinsics[view, :2, 2][None], seen]).max(0)
    return float(reach[0]), float(reach[1])


def image_path(pattern: str, view: str, frame: int) -> Path:
    """Fill `{view}` and `{frame}` of a pattern in."""
    try:
        return Path(pattern.format(view=view, frame=frame))
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"--images {pattern!r}: {error!r}; allowed are {{view}} and {{frame}}, such as"
            " 'frames/{view}_{frame:06d}.png'"
        ) from error
