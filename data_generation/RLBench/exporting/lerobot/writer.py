"""Writes a LeRobot data set, version 3.0, without the package of LeRobot.

A part is one episode: its rows, a video of each camera, its statistics. The data set holds many
episodes in a file. `meta/info.json` is written last: without it LeRobot finds no data set.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.exporting.episodes import ExportEpisode, Selection
from data_generation.RLBench.exporting.folder import ExportFolder
from data_generation.RLBench.exporting.lerobot import features as feature_table
from data_generation.RLBench.exporting.lerobot import statistics, tables, video
from data_generation.RLBench.exporting.lerobot.merging import MB, Merger
from data_generation.RLBench.exporting.packages import require
from data_generation.RLBench.raw.images import decode_rgb
from pose_obj_3d.common import lerobot_names as names

ROWS, STATISTICS = "rows.parquet", "statistics.json"
FILES = {"chunks_size": 1000, "data_files_size_in_mb": 100, "video_files_size_in_mb": 200}


class LeRobotExporter:
    """See `exporting.run.Exporter`."""

    def __init__(self, selection: Selection, images: str, crf: int) -> None:
        """Check what can be checked before anything is written.

        Args:
            selection: The episodes.
            images: video, png, or none.
            crf: Quality of videos, 0 (best) to 51.

        Raises:
            DataGenerationError: A package is missing, or images cannot become videos.
        """
        require("pyarrow.parquet", video.EXTRA)
        self.settings: Mapping[str, Any] = {"to": "lerobot", "images": images}
        self.notes: Sequence[str] = ()
        if images == "video":
            require("av", video.EXTRA)
            self.settings = {**self.settings, "crf": crf}
            for camera in selection.cams:
                video.check_size(camera, selection.image_size[camera])
        self._selection, self._images, self._crf = selection, images, crf
        self._features = feature_table.features(selection, images)
        self._schema = tables.schema(self._features)

    def names(self) -> list[str]:
        """List the folders of the data set."""
        has_videos = self._images == "video"
        return ["meta", "data", *(["videos"] if has_videos else [])]

    def place(self, folder: ExportFolder, number: int) -> Path:
        """Give the folder of an episode's part."""
        return folder.staging / "parts" / f"{number:06d}"

    def write_part(self, episode: ExportEpisode, folder: Path) -> None:
        """Write rows, videos and statistics of an episode."""
        values = feature_table.values(episode, self._selection)
        found = {name: statistics.of_numbers(x) for name, x in values.items()}
        columns: dict[str, Any] = dict(values)
        for camera in self._selection.cams if self._images != "none" else ():
            name = names.IMAGE.format(camera=camera)
            counted = statistics.ImageStatistics(episode.facts.n_frames)
            if self._images == "video":
                size = self._selection.image_size[camera]
                images = _counting(episode.rgb(camera), counted)
                video.encode(folder / f"{name}.mp4", images, size, feature_table.FPS, self._crf)
            else:
                columns[name] = _files(episode, camera, counted)
            found[name] = counted.result()
        tables.write_rows(folder / ROWS, self._schema, self._features, columns)
        text = json.dumps(statistics.plain({f: found[f] for f in self._features}))
        (folder / STATISTICS).write_text(text, encoding="utf-8")

    def finish(self, folder: ExportFolder) -> None:
        """Join the parts."""
        merger = Merger(folder.root, self._selection, FILES["chunks_size"])
        parts = [self.place(folder, f.number) for f in self._selection.facts]
        places = merger.join_rows(
            [p / ROWS for p in parts], self._schema, FILES["data_files_size_in_mb"] * MB
        )
        for name, feature in self._features.items():
            if feature["dtype"] == "video":
                places |= merger.join_videos(
                    name,
                    [p / f"{name}.mp4" for p in parts],
                    FILES["video_files_size_in_mb"] * MB,
                    feature_table.FPS,
                )
        merger.write_meta(
            places,
            (json.loads((p / STATISTICS).read_text(encoding="utf-8")) for p in parts),
            feature_table.info(self._selection, self._images, FILES),
        )


def _counting(
    images: Iterator[npt.NDArray[np.uint8]], counted: statistics.ImageStatistics
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield images, counting some of them."""
    for t, image in enumerate(images):
        if counted.is_sample(t):
            counted.add(image)
        yield image


def _files(
    episode: ExportEpisode, camera: str, counted: statistics.ImageStatistics
) -> list[dict[str, Any]]:
    """Give the PNG files of a camera as they are, counting some of them."""
    found = []
    for t in range(episode.facts.n_frames):
        data = episode.image_bytes(camera, "rgb", t)
        if counted.is_sample(t):
            counted.add(decode_rgb(data))
        found.append({"bytes": data, "path": f"{camera}-{episode.facts.number:06d}-{t:06d}.png"})
    return found
