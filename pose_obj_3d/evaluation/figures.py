"""Figures: 3D tracks against truth, reprojections drawn on the frames, the training curve."""

from pathlib import Path

import matplotlib.image as mpl_image
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pose_obj_3d.common.colours import colour
from pose_obj_3d.common.frame_files import frame_file, published_frame
from pose_obj_3d.evaluation.report import aligned
from pose_obj_3d.formal import UV_EXACT, FormalData
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

_ROWS = 30  # keypoints named in one column of a legend


def example_rows(tracks: Tracks, number: int = 0) -> Tensor:
    """Return the frame numbers (T,) of the number-th example."""
    starts: Tensor = torch.unique_consecutive(tracks.first)
    return (tracks.first == starts[number % len(starts)]).nonzero().squeeze(-1)


def track_figure(
    predicted: Tensor, tracks: Tracks, rows: Tensor, ids: list[str], title: str
) -> Figure:
    """Draw one example's tracks in 3D: predicted lines over the truth.

    Args:
        predicted: (N, K, 3) [m], for all frames.
        tracks: The data.
        rows: (T,) frames of the example.
        ids: Keypoint names.
        title: Headline.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.add_subplot(projection="3d")
    keypoints = tracks.keypoint[rows[0]].tolist()
    for k, index in enumerate(keypoints):
        if index < 0:
            continue
        if tracks.truth is not None:  # first, so that it leads the legend
            truth = tracks.truth[rows, k].cpu().numpy()
            label = None if axes.lines else "truth"
            axes.plot(*truth.T, color="black", lw=0.8, ls="--", label=label)
            axes.scatter(*truth[-1:].T, color=colour(k), marker="x", s=40)
        xyz = predicted[rows, k].cpu().numpy()
        label = ids[index].split("/", 1)[1]
        axes.plot(*xyz.T, color=colour(k), lw=1.2, marker=".", ms=3, label=label)
    axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", title=title)
    columns = 1 + len(keypoints) // _ROWS
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.25, 1.0), ncols=columns)
    axes.set_aspect("equal", adjustable="datalim")
    return figure


def frame_image_path(
    data: FormalData, task: int, example: int, camera: str, frame: int
) -> Path | None:
    """Return the path of a frame's picture; None without one.

    The archive's `image_pattern` says where it is. Beside an archive without it, a few frames may
    have been published.
    """
    place = task, example, camera, frame
    path = frame_file(data.path, data.meta, place)
    if path is not None:
        return path if path.is_file() else None
    view = data.camera_names.index(camera)
    uv = data.tracks[task][example][view, frame, :, UV_EXACT]
    return published_frame(data.path, place, uv.tolist())


def table_figure(rows: list[list[str]], title: str) -> Figure:
    """Draw the table of errors, small enough to be read as a thumbnail.

    Args:
        rows: Of `report.table_rows`: header, methods, counts. What stands in brackets behind a
            method's name is left out, but for a model, and so are columns beyond all, moving,
            still.
        title: Headline.
    """
    shown = [
        [name if name.startswith("model") else name.split(" (")[0], *values[:3]]
        for name, *values in rows
    ]
    shown[0][0] = rows[0][0]
    text = aligned(shown)
    width = max(map(len, text.splitlines()))
    figure = Figure(figsize=(0.082 * width + 0.2, 0.185 * len(text.splitlines()) + 0.5))
    figure.text(0.02, 0.98, title, fontsize=9, va="top")
    figure.text(0.02, 0.9, text, family="monospace", fontsize=9, va="top", linespacing=1.3)
    return figure


def reprojection_figure(
    predicted: Tensor, tracks: Tracks, row: int, rig: Rig, data: FormalData, ids: list[str]
) -> Figure:
    """Draw a frame in every view: detected points (circles), reprojected predictions (crosses).

    Args:
        predicted: (N, K, 3) [m].
        tracks: The data.
        row: Number of the frame.
        rig: The cameras.
        data: The archive, for pictures and sizes; a blank canvas stands in for a missing picture.
        ids: Keypoint names.
    """
    task, example, frame = tracks.source[row].tolist()
    uv = (
        geometry.project(predicted[row].double(), rig.intrinsics, rig.extrinsics)[0].cpu().numpy()
    )  # (K, V, 2)
    width, height = data.image_size
    shown = list(enumerate(rig.view_ids))
    if data.calibrations:  # the cameras of other examples
        is_blind = (tracks.weights[row] <= 0).all(1).tolist()
        shown = [place for place in shown if not is_blind[place[0]]] or shown[:1]
    figure = Figure(figsize=(3.6 * len(shown), 4.2), layout="constrained")
    for number, (v, view) in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), number)
        camera = data.camera_names[view]
        path = frame_image_path(data, task, example, camera, frame)
        if path is None:
            picture = np.full((height, width, 3), 235, np.uint8)
        else:
            picture = mpl_image.imread(path)
        axes.imshow(picture, extent=(0, width, height, 0))
        for k, index in enumerate(tracks.keypoint[row].tolist()):
            if index < 0:
                continue
            if tracks.weights[row, v, k] > 0:
                axes.plot(
                    *tracks.uv[row, v, k].cpu().numpy(),
                    "o",
                    mfc="none",
                    mec=colour(k),
                    ms=9,
                    mew=1.5,
                )
            label = ids[index].split("/", 1)[1] if number == 1 else None
            axes.plot(*uv[k, v], "x", color=colour(k), ms=6, mew=1.5, label=label)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], title=camera)
    figure.suptitle(
        f"T{task} {data.task_name(task)}, example {example}, frame {frame}: o detected, x"
        " reprojected",
        fontsize=10,
    )
    figure.legend(fontsize=7, loc="outside lower center", ncols=6)
    return figure
