"""Reads the tables of a LeRobot data set, version 3.0, with pyarrow; videos are not needed."""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common import lerobot_names as names
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.names import some_names

MAX_INFO_BYTES = 16 << 20
MAX_FPS = 100_000
Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Episode:
    """What the table of episodes says of one.

    Attributes:
        task: Id and name of its task, where the table has them.
        sentence: What to do, or "".
    """

    index: int
    length: int
    task: tuple[int, str] | None
    sentence: str


class LeRobotFolder:
    """One data set on disk.

    Attributes:
        features: Name -> dtype, shape, names.
        fps: Frames per second.
    """

    def __init__(self, root: Path) -> None:
        """Read `meta/info.json`.

        Raises:
            DataError: It is missing, damaged, or of another version; or pyarrow is not installed.
        """
        self.root = root
        try:
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise DataError(
                "package pyarrow is not installed; run: pip install -e '.[lerobot]' in the"
                " repository's root"
            ) from None
        info = _read_info(root)
        version = info.get("codebase_version")
        if version != names.CODEBASE_VERSION:
            raise DataError(
                f"{root}: codebase_version is {str(version)[:40]!r}; {names.CODEBASE_VERSION!r} is"
                " read: convert the data set with LeRobot's own script"
            )
        self.features: dict[str, dict[str, Any]] = _checked_features(root, info.get("features"))
        fps = info.get("fps")
        if not isinstance(fps, int | float) or isinstance(fps, bool) or not 0 < fps <= MAX_FPS:
            raise DataError(f"{root}: fps is {str(fps)[:40]}; it must be above 0")
        self.fps = float(fps)

    def shape(self, feature: str) -> tuple[int, ...]:
        """Give the shape of a feature of numbers.

        Raises:
            DataError: There is no such feature.
        """
        found = self.features.get(feature)
        if found is None:
            raise DataError(
                f"{self.root}: there is no feature {feature[:100]!r};"
                f" {some_names(feature, self.features)}"
            )
        return tuple(found["shape"])

    def episodes(self) -> list[Episode]:
        """Read the table of episodes, in order."""
        wanted = ("episode_index", "length", "tasks", names.TASK_ID, names.TASK_NAME)
        found = []
        for path in self._files(names.EPISODES_FOLDER):
            for row in self._table(path, wanted, needed=wanted[:2]).to_pylist():
                found.append(self._episode(path, row))
        found.sort(key=lambda e: e.index)
        if [e.index for e in found] != list(range(len(found))) or not found:
            raise DataError(f"{self.root}: the table of episodes must number them 0, 1, 2, ...")
        return found

    def _episode(self, path: Path, row: Mapping[str, Any]) -> Episode:
        numbers = (row["episode_index"], row["length"])
        if not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise DataError(f"{path}: episode_index and length must be whole numbers")
        task, name = row.get(names.TASK_ID), row.get(names.TASK_NAME)
        own = (task, name) if isinstance(task, int) and isinstance(name, str) else None
        sentences = row.get("tasks")
        sentence = sentences[0] if isinstance(sentences, list) and sentences else ""
        return Episode(*numbers, own, str(sentence))

    def frames(self, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, Floats]]]:
        """Yield the episodes in order: index, and feature -> (T, ...) numbers.

        Raises:
            DataError: A column is missing, or has other shapes than `meta/info.json` says.
        """
        columns = ("episode_index", *wanted)
        open_index = -1
        parts: list[dict[str, Floats]] = []
        for path in self._files(names.DATA_FOLDER):
            table = self._table(path, columns, needed=columns)
            values = {n: self._numbers(path, table, n) for n in columns}
            index = values.pop("episode_index").reshape(-1).astype(np.int64)
            starts = np.flatnonzero(np.diff(index, prepend=-1))
            for start, end in zip(starts, [*starts[1:], len(index)], strict=True):
                own = {name: x[start:end] for name, x in values.items()}
                if index[start] != open_index:
                    if parts:
                        yield open_index, _joined(parts)
                    open_index, parts = int(index[start]), []
                parts.append(own)
        if parts:
            yield open_index, _joined(parts)

    def _files(self, folder: str) -> list[Path]:
        found = sorted((self.root / folder).glob("*/*.parquet"))
        if not found:
            raise DataError(f"{self.root}: {folder} has no parquet file; the data set is not whole")
        return found

    def _table(self, path: Path, wanted: Sequence[str], needed: Sequence[str]) -> Any:
        try:
            there = self._parquet.read_schema(path).names
            missing = [name for name in needed if name not in there]
            if not missing:
                return self._parquet.read_table(path, columns=[n for n in wanted if n in there])
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}") from None
        raise DataError(
            f"{path}: column {missing[0]!r} is missing; {some_names(missing[0], there)}"
        )

    def _numbers(self, path: Path, table: Any, name: str) -> Floats:
        """Turn a column of nested lists into (T, ...)."""
        shape = tuple(self.features[name]["shape"]) if name in self.features else (1,)
        column = table.column(name).combine_chunks()
        try:
            while hasattr(column, "flatten") and hasattr(column.type, "value_type"):
                column = column.flatten()
            flat: Floats = np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
            return flat.reshape(table.num_rows, *shape)
        except (TypeError, ValueError):
            raise DataError(
                f"{path}: column {name!r} must hold numbers of shape {shape} in each frame"
            ) from None


def _joined(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _read_info(root: Path) -> dict[str, Any]:
    path = root / names.INFO_PATH
    if not path.is_file():
        raise DataError(
            f"{root} is no LeRobot data set: it has no {names.INFO_PATH}; name the folder that"
            " holds meta/ and data/"
        )
    try:
        if path.stat().st_size > MAX_INFO_BYTES:
            raise DataError(f"{path} is larger than {MAX_INFO_BYTES} bytes")
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not isinstance(info, dict):
        raise DataError(f"{path} must hold an object")
    return info


def _checked_features(root: Path, found: object) -> dict[str, dict[str, Any]]:
    ok = isinstance(found, dict) and all(
        isinstance(f, dict)
        and isinstance(f.get("shape"), list)
        and all(isinstance(n, int) and 0 < n <= MAX_FPS for n in f["shape"])
        for f in found.values()
    )
    if not ok:
        raise DataError(f"{root / names.INFO_PATH}: features must be an object with shapes")
    return dict(found)  # type: ignore[call-overload,no-any-return]
