"""Lifted points as CSV tables: one row for each point, or anipose's one row for each frame."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.support import Support

TIDY = (
    *("sequence", "frame", "time_s", "keypoint", "x", "y", "z", "sd_x", "sd_y", "sd_z", "unit"),
    *("is_measured", "cameras", "reprojection_px"),
)
_BLOCK = 1024  # frames that are turned into text at once
AXES = "xyz"


def write_tidy(path: Path, lifted: LiftedPoints, support: Support | None) -> None:
    """Write a row for each frame and keypoint; what is unknown is an empty field.

    The frame counts from the start of the file, the time from the start of its sequence.
    """
    error = mean_error(lifted, support)
    with writing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(TIDY)
        for number, frames in enumerate(lifted.sequences()):
            for start in range(frames.start, frames.stop, _BLOCK):
                part = slice(start, min(start + _BLOCK, frames.stop))
                table.writerows(_tidy_rows(lifted, error, part, number, frames.start))
        text.flush()
        text.detach()


def _tidy_rows(
    lifted: LiftedPoints, error: npt.NDArray[np.float64], part: slice, sequence: int, first: int
) -> Iterator[list[object]]:
    numbers = np.concatenate([lifted.points[part], lifted.deviation[part]], -1)
    cells = [[text_of(row) for row in frame] for frame in numbers]
    counts, measured = lifted.camera_counts[part], lifted.is_measured[part].astype(int)
    for t, frame in enumerate(range(part.start, part.stop)):
        time = f"{(frame - first) / lifted.fps:.9g}"
        errors = text_of(error[frame])
        for k, name in enumerate(lifted.keypoint_names):
            yield [
                *(sequence, frame, time, name, *cells[t][k], lifted.units),
                *(measured[t, k], counts[t, k], errors[k]),
            ]


def text_of(values: npt.NDArray[np.float64], missing: str = "") -> list[str]:
    """Write numbers with ten digits; NaN as `missing`."""
    return [missing if x != x else f"{x:.10g}" for x in values.tolist()]  # noqa: PLR0124 - NaN


def mean_error(lifted: LiftedPoints, support: Support | None) -> npt.NDArray[np.float64]:
    """Average the distance of used detections from each point (T, K) [px]; NaN without any."""
    if support is None:
        return np.full(lifted.is_measured.shape, np.nan)
    used = (lifted.weights > 0) & np.isfinite(support.distance_px)
    total, count = np.where(used, support.distance_px, 0.0).sum(0), used.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def write_anipose(path: Path, lifted: LiftedPoints, support: Support | None) -> None:
    """Write the columns of anipose's `pose-3d` files: one row for each frame.

    `_error` [px] is the mean distance of the used detections from the reprojected point, `_ncams`
    the number of cameras used, `_score` their least confidence. M_ij and center_i turn the points
    back into the world of the cameras, which they are in already.
    """
    scores = _least_confidence(lifted, support)
    error = mean_error(lifted, support)
    counts = np.where(lifted.camera_counts > 0, lifted.camera_counts, np.nan)
    columns = [
        f"{name}_{what}"
        for name in lifted.keypoint_names
        for what in (*AXES, "error", "ncams", "score")
    ]
    columns += [f"M_{i}{j}" for i in range(3) for j in range(3)]
    columns += [*(f"center_{i}" for i in range(3)), "fnum"]
    fixed = [*text_of(np.eye(3).ravel()), *text_of(np.zeros(3))]
    values = np.concatenate([lifted.points, np.stack([error, counts, scores], -1)], -1)
    with writing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(columns)
        for t, row in enumerate(values):
            table.writerow([*text_of(row.ravel()), *fixed, t])
        text.flush()
        text.detach()


def _least_confidence(lifted: LiftedPoints, support: Support | None) -> npt.NDArray[np.float64]:
    if support is None:
        return np.full(lifted.is_measured.shape, np.nan)
    used = np.where(lifted.weights > 0, support.confidence, np.inf).min(0)
    return np.where(np.isfinite(used), used, np.nan)
