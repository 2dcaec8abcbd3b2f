"""Detections on the frames of every camera, with the regions that they claim."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from pose_obj_3d.common.colours import colour
from pose_obj_3d.evaluation.detection_pictures.clip import Clip
from pose_obj_3d.evaluation.detections import GROSS_PX

_PANEL = 4.2  # [inch]
GROSS = "red"
HIDDEN_STYLE = (0, (2.2, 1.6))  # dashes


def frames_figure(clip: Clip, frames: Sequence[int], title: str) -> Figure:
    """Draw some frames (rows) in every camera (columns), the part with the keypoints.

    Args:
        clip: The demonstration.
        frames: Numbers of frames.
        title: Headline.
    """
    rows, columns = len(frames), len(clip.cameras)
    width, height = clip.data.image_size
    squares = [clip.limits(v, frames) for v in range(columns)]
    size = (_PANEL * columns, _PANEL * rows + 1.5)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for i, frame in enumerate(frames):
        for v, camera in enumerate(clip.cameras):
            axes = grid[i, v]
            picture = clip.picture(camera, frame)
            axes.imshow(clip.blank() if picture is None else picture, extent=(0, width, height, 0))
            for k in range(len(clip.names)):
                draw_keypoint(axes, clip, frame, v, k)
            left, top, side = squares[v]
            axes.set(xlim=(left, left + side), ylim=(top + side, top), xticks=[], yticks=[])
            if i == 0:
                axes.set_title(f"{camera}, {squares[v][2]:.0f} px of {width}", fontsize=11)
            if v == 0:
                axes.set_ylabel(f"frame {frame}", fontsize=11)
    figure.suptitle(title, fontsize=12)
    marks = [*_marks(clip.region), *_names(clip)]
    figure.legend(handles=marks, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    return figure


def draw_keypoint(axes: Axes, clip: Clip, frame: int, view: int, keypoint: int) -> None:
    """Draw a detection with its ellipse, and a line to the truth where it is far from it."""
    at = frame, view, keypoint
    uv, exact, level = clip.uv[at], clip.exact[at], clip.visibility[at]
    if level > 0:
        axes.plot(*exact, "+", color="black", ms=6, mew=1.0, zorder=4)
    if not np.isfinite(uv).all():
        return
    if not clip.is_usable[at]:
        axes.plot(*uv, "x", color=colour(keypoint), ms=4, mew=0.8, alpha=0.5, zorder=2)
        return
    style = "solid" if level == 1 else HIDDEN_STYLE
    first, second, angle = clip.ellipses[at]
    if np.isfinite(first):
        shape = Ellipse(
            (float(uv[0]), float(uv[1])),
            2 * first,
            2 * second,
            angle=float(np.degrees(angle)),
            fill=False,
            ec=colour(keypoint),
            lw=1.4,
            ls=style,
            zorder=3,
        )
        axes.add_patch(shape)
    axes.plot(*uv, ".", color=colour(keypoint), ms=5, zorder=5)
    if clip.is_gross[at]:
        axes.plot(*uv, "s", mfc="none", mec=GROSS, ms=10, mew=1.3, zorder=6)
        axes.plot([uv[0], exact[0]], [uv[1], exact[1]], color=GROSS, lw=0.9, zorder=5)


def _marks(region: str) -> list[Line2D]:
    """Return what the marks mean."""
    ink = "0.25"
    return [
        Line2D([], [], color=ink, marker=".", lw=1.4, label=f"detected where seen; {region}"),
        Line2D([], [], color=ink, marker=".", lw=1.4, ls=HIDDEN_STYLE, label="the same, hidden"),
        Line2D([], [], color=ink, marker="x", ms=4, ls="", alpha=0.5, label="not used"),
        Line2D([], [], color="black", marker="+", ls="", label="true place, in the image"),
        Line2D(
            [],
            [],
            color=GROSS,
            marker="s",
            mfc="none",
            lw=0.9,
            label=f"more than {GROSS_PX:g} px off",
        ),
    ]


def _names(clip: Clip) -> list[Line2D]:
    return [Line2D([], [], color=colour(k), lw=3, label=name) for k, name in enumerate(clip.names)]
