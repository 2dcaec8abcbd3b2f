"""Draw the detections of an archive: on frames, as charts of their errors, and as a video.

With the detections of a detector these are drawn, else the simulated ones. The test demonstrations
of a task make the charts; one of them makes the frames and the video.
`python -m pose_obj_3d.show_detections --help` lists the flags.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.show_detections", 600)

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pose_obj_3d.common.archive.detections import (
    DETECTED,
    DETECTOR,
    SIMULATED,
    TRUTH,
    Witness,
)
from pose_obj_3d.common.errors import ConfigError, PoseObj3DError, one_line
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.evaluation import detections, figures, protocol, report
from pose_obj_3d.evaluation.detection_pictures.charts import errors_figure, pixel_errors
from pose_obj_3d.evaluation.detection_pictures.clip import Clip, make_clip
from pose_obj_3d.evaluation.detection_pictures.frames import frames_figure
from pose_obj_3d.evaluation.detection_pictures.video import write_video
from pose_obj_3d.evaluation.protocol import Protocol
from pose_obj_3d.formal import FormalData, read_formal
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.stated_noise import check_noise

logger = logging.getLogger(__name__)
FRAMES_NAME, CHARTS_NAME, VIDEO_NAME = "frames.png", "errors.png", "detections.mp4"
SHOWN_FRAMES = 3
GROUPS = ("waypoints", "objects", "robot", "frames")
_DPI = 110


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.show_detections",
        description=(__doc__ or "").splitlines()[0],
    )
    add = parser.add_argument
    add("archive", type=Path, help="archive of tracks, such as sim_all_detected.npz")
    add("--task", type=int, help="task id (default: the first that has such detections)")
    add("--example", type=int, help="demonstration to draw (default: the first test one)")
    add("--frames", type=int, nargs="+", help=f"frames to draw (default: {SHOWN_FRAMES} of them)")
    add(
        "--detections",
        choices=(SIMULATED, DETECTED),
        help=f"which ones (default: {DETECTED}, where the archive has them)",
    )
    add("--out", type=Path, default=Path("detections"), help="folder (default: %(default)s)")
    add("--no_video", action="store_true", help="leave out the video")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draw; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    try:
        for path in draw(args):
            print(path)  # noqa: T201
    except (PoseObj3DError, OSError) as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def draw(args: argparse.Namespace) -> list[Path]:
    """Make the pictures, the report and the video; return the files."""
    archive = read_formal(args.archive)
    kind = args.detections or (DETECTED if archive.detections else SIMULATED)
    witness = Witness(kind, DETECTOR if kind == DETECTED else TRUTH)
    task = _task(archive, args.task, kind)
    data = choose_detections(archive, witness, [task])
    ids = keypoint_ids(data, [task], _groups(data, task))
    data, _ = check_noise(data, [task], ids)
    data = _with_example(data, task, args.example)
    rig = make_rig(data)
    tracks = load_tracks(data, rig, [task], "test", ids)
    seen = detections.seen_points(archive, data, tracks, rig, ids)
    of_data = Protocol(7, frame_period_s=data.frame_period_s)
    lifted = {
        protocol.DLT: protocol.reference_predictions(tracks, rig, of_data)[protocol.DLT].xyz,
        **{n: x.xyz for n, x in protocol.whole_track_predictions(tracks, rig, of_data).items()},
    }
    method, best = list(lifted.items())[-1]
    about = detections.describe(archive, witness)
    errors = detections.errors_px(tracks, rig, seen)
    logger.info("%s", about)
    logger.info("%s", report.aligned(report.detection_rows({"detections": {"errors": errors}})))
    args.out.mkdir(parents=True, exist_ok=True)
    charts = errors_figure(pixel_errors(tracks, rig, seen), lifted, tracks, seen, about)
    files = [_save(args.out / CHARTS_NAME, charts)]
    number = data.split(task)["test"].index(args.example) if args.example is not None else 0
    rows = figures.example_rows(tracks, number)
    clip = make_clip(data, ids, tracks, rig, seen, best, rows)
    title = f"T{task} {data.task_name(task)}, demonstration {clip.example}"
    return files + _draw_clip(args, clip, title, method)


def _draw_clip(args: argparse.Namespace, clip: Clip, title: str, method: str) -> list[Path]:
    """Draw one demonstration: frames, and a video unless it is left out."""
    frames = args.frames or _spread(len(clip))
    beyond = [f for f in frames if not 0 <= f < len(clip)]
    if beyond:
        raise ConfigError(
            f"--frames {beyond[0]}: the demonstration has frames 0 to {len(clip) - 1}"
        )
    if clip.picture(clip.cameras[0], frames[0]) is None:
        logger.warning(
            "%s: there are no pictures of these frames; drawn on grey (generate the demonstrations"
            " with `cams`, and convert them to an archive beside them)",
            clip.data.path,
        )
    files = [_save(args.out / FRAMES_NAME, frames_figure(clip, frames, title))]
    if not args.no_video:
        files.append(args.out / VIDEO_NAME)
        write_video(files[-1], clip, clip.data.frame_period_s, f"{title}; lifted by: {method}")
    return files


def _spread(length: int) -> list[int]:
    """Return `SHOWN_FRAMES` frames of a demonstration, evenly spread."""
    ends = np.linspace(0, length - 1, SHOWN_FRAMES + 2).round().astype(int)
    return sorted(set(ends[1:-1].tolist()))


def _task(archive: FormalData, asked: int | None, kind: str) -> int:
    there = sorted(archive.detections if kind == DETECTED else archive.tracks)
    if asked is None:
        if not there:
            raise ConfigError(f"{archive.path} has no detections by a detector")
        return there[0]
    archive.require_tasks([asked])
    return asked


def _groups(data: FormalData, task: int) -> tuple[str, ...]:
    there = {name.split("/")[0] for name in data.keypoint_names(task)}
    return tuple(group for group in GROUPS if group in there)


def _with_example(data: FormalData, task: int, example: int | None) -> FormalData:
    """Add a demonstration to those of the test, where it is none of them."""
    parts = data.split(task)
    if example is None or example in parts["test"]:
        return data
    if not 0 <= example < len(data.tracks[task]):
        raise ConfigError(
            f"--example {example}: T{task} has demonstrations 0 to {len(data.tracks[task]) - 1}"
        )
    split = {**data.meta["split"], f"T{task}": {**parts, "test": [*parts["test"], example]}}
    return dataclasses.replace(data, meta={**data.meta, "split": split})


def _save(path: Path, figure: Figure) -> Path:
    with writing(path) as file:
        figure.savefig(file, dpi=_DPI, format="png")
    return path


if __name__ == "__main__":
    sys.exit(main())
