"""The parquet tables of a LeRobot data set: frames, tasks, episodes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_generation.RLBench.exporting.lerobot.video import EXTRA
from data_generation.RLBench.exporting.packages import require

BATCH = 256
"""Episodes that are turned into rows at once; bounds the memory."""
_WRITING = {"compression": "snappy", "use_dictionary": True}


def schema(features: Mapping[str, Mapping[str, Any]]) -> Any:
    """Give the columns of frames; a video has none."""
    pa = require("pyarrow", EXTRA)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = []
    for name, feature in features.items():
        shape = feature["shape"]
        if feature["dtype"] == "video":
            continue
        if feature["dtype"] == "image":
            kind = image
        elif len(shape) == 2:
            kind = pa.list_(pa.list_(_number(pa, feature)))
        elif shape == [1]:
            kind = _number(pa, feature)
        else:
            kind = pa.list_(_number(pa, feature), shape[0])
        columns.append((name, kind))
    return pa.schema(columns)


def _number(pa: Any, feature: Mapping[str, Any]) -> Any:
    return pa.int64() if feature["dtype"] == "int64" else pa.float32()


def write_rows(
    path: Path, columns: Any, features: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]
) -> None:
    """Write the frames of an episode: arrays (T, ...), or lists of images as files."""
    pa, pq = require("pyarrow", EXTRA), require("pyarrow.parquet", EXTRA)
    arrays = []
    for column in columns:
        given = values[column.name]
        if features[column.name]["dtype"] == "image":
            arrays.append(pa.array(given, type=column.type))
        else:
            arrays.append(_column(pa, np.ascontiguousarray(given), column.type))
    pq.write_table(pa.Table.from_arrays(arrays, schema=columns), path, **_WRITING)


def _column(pa: Any, values: Any, kind: Any) -> Any:
    """Turn (T,), (T, n) or (T, n, m) into a column; NaN stays NaN."""
    flat = pa.array(values.ravel())
    if values.ndim == 1:
        return flat
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    frames, rows, width = values.shape
    inner = pa.ListArray.from_arrays(_offsets(pa, frames * rows, width), flat)
    return pa.ListArray.from_arrays(_offsets(pa, frames, rows), inner)


def _offsets(pa: Any, count: int, length: int) -> Any:
    return pa.array(np.arange(count + 1) * length, type=pa.int32())


def join_rows(path: Path, parts: Sequence[Path], columns: Any) -> None:
    """Put the frames of episodes into one file, a row group each."""
    pq = require("pyarrow.parquet", EXTRA)
    with pq.ParquetWriter(path, columns, **_WRITING) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part, schema=columns))


def write_tasks(path: Path, sentences: Sequence[str]) -> None:
    """Write the table of sentences, which pandas reads with the sentence as index."""
    pa, pq = require("pyarrow", EXTRA), require("pyarrow.parquet", EXTRA)
    table = pa.table(
        {"task_index": pa.array(range(len(sentences)), pa.int64()), "task": list(sentences)}
    )
    text = {"pandas_type": "unicode", "numpy_type": "object"}
    columns = [
        {"name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": None},
        {"name": "task", **text, "metadata": None},
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [{"name": None, "field_name": None, **text, "metadata": None}],
        "columns": [{**column, "field_name": column["name"]} for column in columns],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": None,
    }
    table = table.replace_schema_metadata({"pandas": json.dumps(pandas)})
    pq.write_table(table, path, **_WRITING)


def write_episodes(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table of episodes; rows have the same keys."""
    pa, pq = require("pyarrow", EXTRA), require("pyarrow.parquet", EXTRA)
    writer = None
    try:
        for batch in _batches(rows):
            table = pa.Table.from_pylist(batch, schema=writer.schema if writer else None)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, **_WRITING)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
