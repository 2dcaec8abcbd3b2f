"""Calibrate cameras with a board: `python -m pose_obj_3d.calibrate FOLDER --board ...`.

Each camera has a video of the board, or pictures of it; frames of one number are simultaneous. See
docs/calibrate.md.
"""

import os

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.calibrate", 850)
    # FFmpeg writes lines of its own about damaged videos; ours name the file.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pose_obj_3d.calibrate import pictures, report
from pose_obj_3d.calibrate.boards import FORMS, parse_board
from pose_obj_3d.calibrate.calibrating import calibrate, check_world
from pose_obj_3d.calibrate.frames import Source, frames_to_read, sources_of
from pose_obj_3d.calibrate.sightings import look
from pose_obj_3d.calibrate.writing import save_npz, save_toml
from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry.lenses import FISHEYE, LENSES, PINHOLE

MAX_FRAMES = 300
LEAST_FRAMES = 5


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.calibrate",
        description="Calibrate cameras with a board that they see: lenses, and where they are.",
    )
    add = parser.add_argument
    add(
        "folder",
        type=Path,
        nargs="?",
        help="folder with a video, or a sub-folder of pictures, for each camera",
    )
    add(
        "--camera",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="instead of a folder, once for each camera: a video, a folder of pictures, or a"
        " pattern of pictures in quotes",
    )
    add("--board", required=True, help=f"the board: {FORMS}")
    add(
        "--lens",
        nargs="+",
        default=[PINHOLE],
        help=f"{' or '.join(LENSES)} (default {PINHOLE}); for single cameras: NAME={FISHEYE}",
    )
    add(
        "--legacy",
        action="store_true",
        help="the charuco board has an even number of rows and was made before OpenCV 4.6",
    )
    add(
        "--two_sided",
        action="store_true",
        help="the back of the charuco board has the mirror image of its front",
    )
    add("--out", type=Path, help="folder for the results (default: calibration)")
    add("--units", choices=("m", "mm"), default="m", help="unit of the extrinsics (default m)")
    add(
        "--world",
        default="camera",
        help="the world's frame: camera (the first one's; default), or board:FRAME (the board's in"
        " that frame, z out of its front)",
    )
    add(
        "--max_frames",
        type=int,
        default=MAX_FRAMES,
        help=f"frames of each camera to look at, evenly chosen (default {MAX_FRAMES})",
    )
    add("--no_pictures", action="store_true", help="make no picture")
    add("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), args.debug)


def run(args: argparse.Namespace) -> None:
    """Look for the board, calibrate, write, and print a summary."""
    board = parse_board(args.board, args.legacy, args.two_sided)
    world = check_world(args.world)
    if args.max_frames < LEAST_FRAMES:
        raise ConfigError(f"--max_frames {args.max_frames}: allowed: {LEAST_FRAMES} or more")
    sources = sources_of(args.camera, args.folder)
    kinds = kinds_of(args.lens, sources)
    frames, notes = frames_to_read(sources, args.max_frames)
    total = len(frames) * len(sources)
    with tqdm(total=total, desc="pictures", disable=not sys.stderr.isatty()) as bar:
        views = look(sources, frames, board, bar.update)
    found = calibrate(views, board, kinds, world, notes)
    out = args.out or Path("calibration")
    out.mkdir(parents=True, exist_ok=True)
    save_npz(out / "calibration.npz", found.cameras, args.units)
    save_toml(out / "calibration.toml", found.cameras, args.units)
    if not args.no_pictures:
        pictures.draw(out / report.PICTURE, found)
    report.write(out, found, args.units, world, not args.no_pictures)
    print(report.summary(found))  # noqa: T201
    print(f"Results: {out / 'calibration.npz'} {out / 'calibration.toml'} {out / 'report.md'}")  # noqa: T201


def kinds_of(given: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Return the lens of each camera.

    Raises:
        ConfigError: A lens or a camera is unknown.
    """
    names = [source.name for source in sources]
    found = dict.fromkeys(names, PINHOLE)
    for text in given:
        name, separator, kind = text.rpartition("=")
        if kind not in LENSES or (separator and name not in names):
            raise ConfigError(
                f"--lens {text[:60]}: allowed: {' or '.join(LENSES)}, or NAME={FISHEYE} with a"
                f" camera's name ({', '.join(names)[:100]})"
            )
        found.update({name: kind} if separator else dict.fromkeys(names, kind))
    return [found[name] for name in names]


if __name__ == "__main__":
    sys.exit(main())
