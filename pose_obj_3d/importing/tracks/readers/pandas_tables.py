"""Read tables that pandas has written to HDF5, as DeepLabCut does, without pandas and PyTables.

These two would unpickle what the file holds. Here the header of the `table` format, which PyTables
pickles, is read by a reader that makes lists and texts and nothing else; the `fixed` format has
plain arrays.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.safe_reading.plain_pickle import load
from pose_obj_3d.importing.tracks.readers.hdf5 import Hdf5, as_text, is_hdf5, opened
from pose_obj_3d.importing.tracks.readers.tables import LEVELS, SCORER, Table

_KINDS = ("frame_table", "frame")


def knows(path: Path) -> bool:
    """Tell whether a file holds such a table."""
    if not is_hdf5(path):
        return False
    try:
        with opened(path) as file:
            return bool(_keys(file))
    except DataError as error:
        # Without h5py the file may be one: its reader then says what to install.
        return "h5py" in str(error)


def read_pandas(path: Path) -> Table:
    """Read the only table in a file.

    Raises:
        DataError: There is none, or it is no table of keypoints.
    """
    with opened(path) as file:
        keys = _keys(file)
        if len(keys) != 1:
            raise DataError(
                f"{path}: holds {len(keys)} tables of pandas ({', '.join(keys)[:100]}); one is"
                " needed: export it again"
            )
        kind = as_text(file.attribute(keys[0], "pandas_type"))
        return _table(file, keys[0]) if kind == _KINDS[0] else _fixed(file, keys[0])


def _keys(file: Hdf5) -> list[str]:
    return [name for name in file.names() if as_text(file.attribute(name, "pandas_type")) in _KINDS]


def _table(file: Hdf5, key: str) -> Table:
    """Read the format `table`: records, one column for each block of values."""
    name = f"{key}/table"
    records = file.array(name)
    fields = [f for f in records.dtype.names or () if f.startswith("values_block_")]
    columns: list[tuple[str, ...]] = []
    blocks = []
    for field in fields:
        own = _header(file, file.attribute(name, f"{field}_kind"))
        values = records[field].reshape(len(records), -1)
        _check(file, key, own, values)
        columns += own
        blocks.append(values.astype(np.float64))
    if not columns or "index" not in (records.dtype.names or ()):
        raise DataError(f"{file.path}: {key} has no columns of numbers; export it again")
    levels = _levels(file, _unpickled(file, file.attribute(key, "info")), columns)
    return Table(
        file.path, levels, columns, np.concatenate(blocks, 1), _index(file.path, records["index"])
    )


def _check(file: Hdf5, key: str, columns: Sequence[object], values: Any) -> None:
    if values.dtype.kind not in "fiub" or values.shape[1] != len(columns):
        raise DataError(
            f"{file.path}: {key} has {values.shape[1]} columns of {values.dtype}, its header names"
            f" {len(columns)}; numbers are needed: export it again"
        )


def _header(file: Hdf5, pickled: object) -> list[tuple[str, ...]]:
    found = _unpickled(file, pickled)
    if not isinstance(found, list) or not all(
        isinstance(c, tuple) and all(isinstance(part, str) for part in c) for c in found
    ):
        raise DataError(
            f"{file.path}: the header is no table of names; the rows {', '.join(LEVELS[0])} are"
            " needed"
        )
    return found


def _unpickled(file: Hdf5, pickled: object) -> Any:
    """Return what PyTables pickled, as far as it is lists, dicts, texts and numbers."""
    if not isinstance(pickled, bytes):
        return None
    try:
        return load(io.BytesIO(bytes(pickled)), {})
    except ArchiveError as error:
        raise DataError(f"{file.path}: the header {error}; export it as csv") from None


def _levels(file: Hdf5, info: object, columns: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of the header's rows, as the file says; by their number if it does not."""
    own = info.get(1) if isinstance(info, dict) else None
    names = own.get("names") if isinstance(own, dict) else None
    count = len(columns[0])
    if isinstance(names, list) and tuple(names) in LEVELS and len(names) == count:
        return tuple(names)
    found = next((levels for levels in LEVELS if len(levels) == count), None)
    if found is None or any(len(column) != count for column in columns):
        raise DataError(
            f"{file.path}: the header has {count} rows; needed are {', '.join(LEVELS[0])}, or"
            f" individuals after {SCORER}"
        )
    return found


def _fixed(file: Hdf5, key: str) -> Table:
    """Read the format `fixed`: plain arrays of values, names, and numbers of names."""
    columns: list[tuple[str, ...]] = []
    blocks = []
    count = int(file.attribute(key, "nblocks") or 0)
    for b in range(count):
        own = _multi(file, f"{key}/block{b}_items")
        values = file.array(f"{key}/block{b}_values")
        values = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(0, 0)
        _check(file, key, own, values)
        columns += own
        blocks.append(values.astype(np.float64))
    if not columns or len({len(block) for block in blocks}) != 1:
        raise DataError(f"{file.path}: {key} has no columns of numbers; export it again")
    index: Any
    if f"{key}/axis1" in file:
        index = file.array(f"{key}/axis1")
    else:  # labelled images: folder, video, image
        index = np.array(["/".join(names) for names in _multi(file, f"{key}/axis1")])
    if len(index) != len(blocks[0]):
        raise DataError(f"{file.path}: {len(blocks[0])} rows, but {len(index)} frames are named")
    return Table(
        file.path,
        _levels(file, None, columns),
        columns,
        np.concatenate(blocks, 1),
        _index(file.path, index),
    )


def _multi(file: Hdf5, name: str) -> list[tuple[str, ...]]:
    """Return the entries of an index of several levels."""
    parts = []
    level = 0
    while f"{name}_level{level}" in file:
        names = np.array(file.texts(f"{name}_level{level}"))
        numbers = file.array(f"{name}_label{level}").astype(np.int64)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(names)):
            raise DataError(f"{file.path}: {name} names what is not there; export it again")
        parts.append(names[numbers].tolist())
        level += 1
    if not parts or len({len(part) for part in parts}) != 1:
        raise DataError(
            f"{file.path}: {name} is no header of the rows {', '.join(LEVELS[0])}; export it again"
        )
    return list(zip(*parts, strict=True))


def _index(path: Path, values: Any) -> list[int] | list[str]:
    if values.dtype.kind in "iu":
        return [int(n) for n in values]
    if values.dtype.kind == "f":
        return _whole(path, values)
    return [as_text(x) for x in values]


def _whole(path: Path, values: Any) -> list[int]:
    """Return frame numbers that are stored as floats."""
    if not all(float(n).is_integer() and abs(float(n)) < 1e15 for n in values):
        raise DataError(
            f"{path}: the rows are named by numbers that are no whole ones, such as times; number"
            " the frames, and export the table again"
        )
    return [int(n) for n in values]
