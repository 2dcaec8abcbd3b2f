"""Joins the parts of episodes into the files of a LeRobot data set."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_generation.RLBench.exporting.episodes import EpisodeFacts, Selection
from data_generation.RLBench.exporting.lerobot import statistics, tables, video
from pose_obj_3d.common import lerobot_names as names
from pose_obj_3d.common.whole_files import write_whole

MB = 1 << 20
JOINING = ".joining"
"""A file that is not whole ends so."""
Places = dict[str, list[Any]]
"""Column of the table of episodes -> a value for each episode."""


def groups(sizes: Sequence[int], limit: int) -> list[range]:
    """Split a sequence into runs whose sizes sum up to at most a limit, or have one member."""
    found, start, total = [], 0, 0
    for i, size in enumerate(sizes):
        if i > start and total + size > limit:
            found.append(range(start, i))
            start, total = i, 0
        total += size
    return [*found, range(start, len(sizes))]


class Merger:
    """Writes the files of one data set; repeats what a kill interrupted."""

    def __init__(self, root: Path, selection: Selection, chunk: int) -> None:
        self._root, self._facts, self._chunk = root, selection.facts, chunk
        self._sentences = selection.sentences

    def _file(self, pattern: str, number: int) -> tuple[Path, int, int]:
        """Give the path of a file, its chunk, and its number in the chunk."""
        chunk, file = divmod(number, self._chunk)
        path = self._root / pattern.format(f"chunk-{chunk:03d}/file-{file:03d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path, chunk, file

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        """Let a file be written beside its place, then move it there."""
        unfinished = path.with_name(path.name + JOINING)
        write(unfinished)
        unfinished.replace(path)

    def join_rows(self, parts: Sequence[Path], columns: Any, limit: int) -> Places:
        """Write the tables of frames."""
        places: Places = {"data/chunk_index": [], "data/file_index": []}
        for number, group in enumerate(groups([p.stat().st_size for p in parts], limit)):
            path, chunk, file = self._file("data/{}.parquet", number)
            own = [parts[i] for i in group]
            self._write(path, lambda p, own=own: tables.join_rows(p, own, columns))  # type: ignore[misc]
            places["data/chunk_index"] += [chunk] * len(group)
            places["data/file_index"] += [file] * len(group)
        return places

    def join_videos(self, feature: str, parts: Sequence[Path], limit: int, fps: int) -> Places:
        """Write the videos of a camera."""
        columns = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        places: Places = {f"videos/{feature}/{column}": [] for column in columns}
        for number, group in enumerate(groups([p.stat().st_size for p in parts], limit)):
            path, chunk, file = self._file(f"videos/{feature}/{{}}.mp4", number)
            own = [(parts[i], self._facts[i].n_frames) for i in group]
            self._write(path, lambda p, own=own: video.join(p, own, fps))  # type: ignore[misc]
            first = 0
            for _, n_frames in own:
                row = (chunk, file, first / fps, (first + n_frames) / fps)
                for column, value in zip(columns, row, strict=True):
                    places[f"videos/{feature}/{column}"].append(value)
                first += n_frames
        return places

    def write_meta(
        self,
        places: Places,
        found: Iterable[Mapping[str, Any]],
        info: Mapping[str, Any],
    ) -> None:
        """Write tasks, episodes, statistics, and `info.json` last.

        Args:
            places: Where each episode's frames and videos are.
            found: The statistics of each episode, as plain lists.
            info: Content of `info.json`.
        """
        meta = self._root / Path(names.INFO_PATH).parent
        meta.mkdir(exist_ok=True)
        self._write(meta / "tasks.parquet", lambda p: tables.write_tasks(p, self._sentences))
        total = statistics.Total()
        path, _, _ = self._file(f"{names.EPISODES_FOLDER}/{{}}.parquet", 0)
        self._write(path, lambda p: tables.write_episodes(p, self._rows(places, found, total)))
        _write_json(meta / "stats.json", total.result())
        _write_json(self._root / names.INFO_PATH, info)

    def _rows(
        self, places: Places, found: Iterable[Mapping[str, Any]], total: statistics.Total
    ) -> Iterator[dict[str, Any]]:
        for facts, own in zip(self._facts, found, strict=True):
            total.add(statistics.arrays(own))
            yield {
                **_facts_row(facts),
                **{column: values[facts.number] for column, values in places.items()},
                **{f"stats/{f}/{name}": x for f, s in own.items() for name, x in s.items()},
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }


def _facts_row(facts: EpisodeFacts) -> dict[str, Any]:
    return {
        "episode_index": facts.number,
        "tasks": [facts.description],
        "length": facts.n_frames,
        "dataset_from_index": facts.first_frame,
        "dataset_to_index": facts.first_frame + facts.n_frames,
        names.TASK_ID: facts.key.task_id,
        names.TASK_NAME: facts.task_name,
        names.VARIATION: facts.key.variation,
        names.EXAMPLE: facts.key.example,
    }


def _write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False)
    write_whole(path, text.encode("utf-8"))
