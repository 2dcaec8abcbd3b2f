"""Render frames of published demonstrations anew, for pictures of what a model predicts.

python -m data_generation.RLBench.publishing.example_frames <archive> ... --config <config>

Beside an archive without pictures, `frames/` gets the middle frame of each task's first test
demonstration, as JPEG, of all cameras. The demonstrations are made again from their seeds; their
3D tracks must be those of the archive.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("example_frames", 480)

import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from data_generation.RLBench import command_line
from data_generation.RLBench.config import DatasetConfig, load_config
from data_generation.RLBench.errors import DataGenerationError, StoreError
from data_generation.RLBench.generation.simulator import open_source
from data_generation.RLBench.raw import layout
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.images import decode_rgb
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.frame_files import FRAMES_FOLDER, FRAMES_LIST, frame_name
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.formal import UV_EXACT, XYZ_WORLD, FormalData, read_formal

logger = logging.getLogger("example_frames")
QUALITY = 85  # JPEG
ROUNDED_M = 1e-5  # positions in an archive are rounded to a few micrometres


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="python -m data_generation.RLBench.publishing.example_frames",
        description=__doc__.split("\n", maxsplit=1)[0],
    )
    add = parser.add_argument
    add("archives", nargs="+", type=Path, metavar="archive", help="archives of one folder")
    add("--config", type=Path, required=True, help="dataset config with the archives' cameras")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        print(publish(args.archives, load_config(args.config)))
    except (DataGenerationError, PoseObj3DError) as error:
        return command_line.report_error("example_frames", error)
    except OSError as error:
        return command_line.report_error("example_frames", StoreError(f"not written: {error}"))
    return 0


def publish(archives: Sequence[Path], config: DatasetConfig) -> str:
    """Write the frames of all archives; return a line that says what was written."""
    folder = archives[0].parent / FRAMES_FOLDER
    if any(path.parent.resolve() != archives[0].parent.resolve() for path in archives):
        raise StoreError("the archives must be in one folder, which their frames share")
    folder.mkdir(exist_ok=True)
    known: dict[str, list[list[float]]] = {}
    size = 0
    for path in archives:
        data = read_formal(path)
        cameras = tuple(data.camera_names)
        shown = dataclasses.replace(config, cams=cameras, track_cams=cameras)
        for task in sorted(data.tracks):
            example = data.split(task)["test"][0]
            frame = data.tracks[task][example].shape[1] // 2
            for view, (camera, jpeg) in enumerate(_frame(data, shown, task, example, frame)):
                name = frame_name(task, example, camera, frame)
                write_whole(folder / name, jpeg)
                uv = data.tracks[task][example][view, frame, :, UV_EXACT]
                known[name] = np.round(uv.astype(float), 2).tolist()
                size += len(jpeg)
            logger.info("task %d: example %d, frame %d", task, example, frame)
    write_whole(folder / FRAMES_LIST, (json.dumps(known, sort_keys=True) + "\n").encode())
    return f"{len(known)} frames ({size / 1e3:.0f} kB) in {folder}"


def _frame(
    data: FormalData, config: DatasetConfig, task: int, example: int, frame: int
) -> list[tuple[str, bytes]]:
    """Make a demonstration again; return a frame of it, camera by camera."""
    seed, _, variation, number, attempt = (
        int(x) for x in data.meta["source_seeds"][f"T{task}"][example]
    )
    key = EpisodeKey(task_id=task, variation=variation, example=number)
    source = open_source(config, seed)
    try:
        episode = source.attempt(key, number, attempt)
    finally:
        source.close()
    there = data.tracks[task][example][0, :, :, XYZ_WORLD]
    if episode.xyz.shape != there.shape or np.abs(episode.xyz - there).max() > ROUNDED_M:
        raise StoreError(
            f"{data.path}: T{task} example {example} is another demonstration when it is made"
            " again; make the archive and its frames with one version"
        )
    found = []
    for camera in data.camera_names:
        wanted = layout.image(key, camera, "rgb", frame)
        png = dict(episode.films[camera].files(camera, key))[wanted]
        is_done, jpeg = cv2.imencode(
            ".jpg", decode_rgb(png)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
        if not is_done:
            raise StoreError(f"{data.path}: OpenCV cannot encode a frame of T{task}")
        found.append((camera, jpeg.tobytes()))
    return found


if __name__ == "__main__":
    sys.exit(main())
