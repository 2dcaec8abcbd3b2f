"""Read csv files with a header of several rows, as DeepLabCut and Lightning Pose write them."""

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.readers.tables import LEVELS, SCORER, Table

_HEADER_BYTES = 1 << 20
_EMPTY = ("", "nan", "NaN", "NA", "None")


def header_of(path: Path) -> tuple[str, ...]:
    """Return the names of the header's rows; empty if the file is no such table."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES).decode("utf-8-sig", errors="replace")
    except OSError:
        return ()
    if not start.startswith((f"{SCORER},", f'"{SCORER}",')):
        return ()
    firsts = tuple(line.split(",", 1)[0].strip('"\r ') for line in start.split("\n", 5)[:4])
    return next((own for own in LEVELS[::-1] if firsts[: len(own)] == own), firsts)


def scorer_and_coordinates(path: Path) -> tuple[str, set[str]]:
    """Return the name of the network, and the names in the header's last row; empty if none."""
    levels = header_of(path)
    if levels not in LEVELS:
        return "", set()
    with path.open("rb") as file:
        lines = file.read(_HEADER_BYTES).decode("utf-8-sig", errors="replace").split("\n")
    last = {cell.strip('"\r ') for cell in lines[len(levels) - 1].split(",")[1:]}
    return lines[0].split(",")[-1].strip('"\r '), last


def read_csv(path: Path) -> Table:
    """Read a csv file.

    Raises:
        DataError: A row has another number of cells than the header, or a cell is no number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, csv.reader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; export it again") from None


def _read(path: Path, rows: Iterator[list[str]]) -> Table:
    header: list[list[str]] = []
    for row in rows:
        header.append(row)
        if len(header) == len(LEVELS[-1]) or (row and row[0] == LEVELS[0][-1]):
            break
    levels = tuple(row[0] if row else "" for row in header)
    if levels not in LEVELS:
        raise DataError(
            f"{path}: the header's rows begin with {', '.join(levels)[:120]}; they must be"
            f" {', '.join(LEVELS[0])}, with individuals after {SCORER} where there are several"
        )
    lengths = {len(row) for row in header}
    if len(lengths) != 1:
        raise DataError(f"{path}: the header's rows have {sorted(lengths)} cells; export it again")
    width = lengths.pop()
    # Labelled images have folder, video and image in columns of their own, without a header.
    names = next((i for i in range(1, width) if header[-1][i]), width)
    columns = list(zip(*(row[names:] for row in header), strict=True))
    numeric = [i for i, column in enumerate(columns) if column[-1] not in ("", "set")]
    kept = [columns[i] for i in numeric if columns[i][-1]]
    if not kept:
        raise DataError(f"{path}: the header names no column; export it again")
    values, index = array("d"), []
    for number, row in enumerate(rows, len(header) + 1):
        if not row:
            continue
        if len(row) != width:
            raise DataError(
                f"{path}: line {number} has {len(row)} cells, the header {width}; the file is"
                " damaged, or was cut off: export it again"
            )
        index.append("/".join(row[:names]))
        _append(values, [row[names + i] for i in numeric], path, number)
    return Table(
        source=path,
        levels=levels,
        columns=kept,
        values=np.frombuffer(values, np.float64).reshape(len(index), len(kept)),
        index=_as_numbers(index),
    )


def _append(values: "array[float]", cells: Sequence[str], path: Path, number: int) -> None:
    before = len(values)
    try:
        values.extend(map(float, cells))
    except ValueError:  # slower: some cells are empty
        del values[before:]
        for cell in cells:
            try:
                values.append(math.nan if cell.strip() in _EMPTY else float(cell))
            except ValueError:
                raise DataError(
                    f"{path}: line {number} has {cell[:60]!r} where a number must be; export it"
                    " again"
                ) from None


def _as_numbers(index: list[str]) -> list[int] | list[str]:
    """Return frame numbers where all rows have one."""
    try:
        numbers = [float(name) for name in index]
    except ValueError:
        return index
    if any(not n.is_integer() or abs(n) > 1e15 for n in numbers):
        return index
    return [int(n) for n in numbers]
