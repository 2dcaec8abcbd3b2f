"""Tables with a column for each coordinate of each keypoint, as DeepLabCut writes them.

Lightning Pose and anipose write the same tables, as csv files or as HDF5 files of pandas. The
header has several rows: `scorer`, `individuals` (only with several animals), `bodyparts`, `coords`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.views import ALONE, Floats, ViewTracks

INDIVIDUALS, BODYPARTS, COORDS, SCORER = "individuals", "bodyparts", "coords", "scorer"
LEVELS = ((SCORER, BODYPARTS, COORDS), (SCORER, INDIVIDUALS, BODYPARTS, COORDS))
SCORE = "likelihood"
VARIANCES = ("x_posterior_var", "y_posterior_var")  # of ensemble Kalman smoothers
MAX_VALUES = 1 << 28  # of a view: 2 GiB
_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Table:
    """A table of T rows and N columns.

    Attributes:
        source: The file.
        levels: Names of the header's rows, one of `LEVELS`.
        columns: N tuples, with a name for each level.
        values: (T, N), NaN where a cell is empty.
        index: T frame numbers, or names of images.
    """

    source: Path
    levels: tuple[str, ...]
    columns: Sequence[tuple[str, ...]]
    values: Floats
    index: Sequence[int] | Sequence[str]


def view_of(table: Table) -> ViewTracks:
    """Return the tracks of a table's view.

    Raises:
        DataError: The header does not name coordinates, or rows do not tell their frames.
    """
    own = _columns(table)
    individuals = tuple(dict.fromkeys(individual for individual, _, _ in own))
    keypoints = tuple(dict.fromkeys(keypoint for _, keypoint, _ in own))
    first, rows = _rows(table)
    T = int(rows.max()) + 1 if len(rows) else 0
    shape = (T, len(individuals), len(keypoints))
    if T * len(individuals) * len(keypoints) * 2 > MAX_VALUES:
        raise DataError(
            f"{table.source}: frames {first} to {first + T - 1} of {len(own) // 2} points are too"
            " many; cut the recording into parts"
        )

    def filled(coordinate: str) -> Floats | None:
        if all(c != coordinate for _, _, c in own):
            return None
        x = np.full(shape, np.nan)
        for a, individual in enumerate(individuals):
            for k, keypoint in enumerate(keypoints):
                column = own.get((individual, keypoint, coordinate))
                if column is not None:
                    x[rows, a, k] = table.values[:, column]
        return x

    x, y = filled("x"), filled("y")
    if x is None or y is None or not T:
        raise DataError(
            f"{table.source}: {'no rows' if not T else 'no columns x and y'}; the header's rows"
            f" must be {', '.join(LEVELS[0])} and the last one say x, y, {SCORE}"
        )
    points = np.stack([x, y], -1)
    points[np.isnan(points).any(-1)] = np.nan
    return ViewTracks(
        name=view_name(table),
        source=table.source,
        points=points,
        keypoints=keypoints,
        individuals=individuals,
        confidence=filled(SCORE),
        covariance=_covariance([filled(name) for name in VARIANCES]),
        first_frame=first,
    )


def _columns(table: Table) -> dict[tuple[str, str, str], int]:
    """Return (individual, keypoint, coordinate) -> number of the column."""
    level = {name: i for i, name in enumerate(table.levels)}
    own: dict[tuple[str, str, str], int] = {}
    for number, names in enumerate(table.columns):
        individual = names[level[INDIVIDUALS]] if INDIVIDUALS in level else ALONE
        key = (individual, names[level[BODYPARTS]], names[level[COORDS]])
        if key in own:
            raise DataError(
                f"{table.source}: the header names {' '.join(key).strip()[:80]!r} twice; each"
                " keypoint needs a name of its own"
            )
        own[key] = number
    points = {key[:2] for key in own if key[2] in ("x", "y")}
    for point in points:
        if not {(*point, "x"), (*point, "y")} <= own.keys():
            raise DataError(f"{table.source}: {' '.join(point).strip()[:80]!r} has no x or no y")
    # A column such as `set`, which says what an image was labelled for, is no keypoint.
    return {key: number for key, number in own.items() if key[:2] in points}


def _covariance(variances: Sequence[Floats | None]) -> Floats | None:
    if any(x is None for x in variances):
        return None
    found = np.stack([x for x in variances if x is not None], -1)
    found[~(np.isfinite(found) & (found > 0)).all(-1)] = np.nan
    covariance = found[..., None] * np.eye(2)
    return covariance if np.isfinite(covariance).any() else None


def _rows(table: Table) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the first frame, and of each row the number of frames after it."""
    numbers = _frame_numbers(table)
    if not len(numbers):
        return 0, numbers
    if len(np.unique(numbers)) < len(numbers):
        values, counts = np.unique(numbers, return_counts=True)
        raise DataError(
            f"{table.source}: frame {values[np.argmax(counts)]} is in {counts.max()} rows; each"
            " frame of a view needs one row: are these labelled images of several videos?"
        )
    first = int(numbers.min())
    if first < 0:
        raise DataError(f"{table.source}: frame {first} is below 0")
    return first, numbers - first


def _frame_numbers(table: Table) -> npt.NDArray[np.int64]:
    if not len(table.index) or not isinstance(table.index[0], str):
        return np.asarray(table.index, np.int64)
    numbers = []
    for name in map(str, table.index):
        found = _NUMBER.search(Path(name).stem)
        if found is None or len(found[1]) > 15:
            raise DataError(
                f"{table.source}: row {name[:80]!r} names no frame; it must be a number, or an"
                " image whose name ends with the number"
            )
        numbers.append(int(found[1]))
    return np.array(numbers, np.int64)


def view_name(table: Table) -> str:
    """Return the name of the video: the file's name up to the name of the network."""
    stem, scorer = table.source.stem, table.columns[0][0]
    cut = stem.find(scorer)
    if cut <= 0:
        found = re.search(r"DLC_", stem)
        cut = found.start() if found else -1
    return (stem[:cut].rstrip("_-. ") if cut > 0 else "") or stem
