r"""Prepare an archive with detections for others, who do not have its pictures.

python -m data_generation.RLBench.publishing.detected <archive> <output> --pictures <folder>

The copy names no pictures and is packed. Beside it, `pictures/detected_T<task>.jpg` are the frames
that `pose_obj_3d.show_detections` has drawn into `<folder>/T<task>/frames.png`.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("detected", 480)

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from data_generation.RLBench import command_line
from data_generation.RLBench.errors import DataGenerationError, StoreError
from data_generation.RLBench.publishing.pack_archive import packed
from data_generation.RLBench.raw.images import decode_rgb
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.frame_files import MASKS, PICTURES
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.formal import read_formal, write_formal

logger = logging.getLogger("detected")
FRAMES_NAME = "frames.png"
QUALITY = 80  # JPEG


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="python -m data_generation.RLBench.publishing.detected",
        description=__doc__.split("\n", maxsplit=1)[0],
    )
    add = parser.add_argument
    add("archive", type=Path, help="archive with detections, made by pose_obj_3d.detect")
    add("output", type=Path, help="folder for the copy and its pictures")
    add("--pictures", type=Path, required=True, help=f"folder with T<task>/{FRAMES_NAME}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        print(publish(args.archive, args.output, args.pictures))
    except (DataGenerationError, PoseObj3DError) as error:
        return command_line.report_error("detected", error)
    except OSError as error:
        return command_line.report_error("detected", StoreError(f"cannot be written: {error}"))
    return 0


def publish(archive: Path, output: Path, pictures: Path) -> str:
    """Write the copy and its pictures; return a line that says what was written."""
    data = read_formal(archive)
    if not data.detections:
        raise StoreError(f"{archive} has no detections; make them with pose_obj_3d.detect")
    copy = output / archive.name
    if copy.resolve() == archive.resolve():
        raise StoreError(f"{output} is the folder of {archive}; give another one")
    shown = {task: _jpeg(pictures / f"T{task}" / FRAMES_NAME) for task in sorted(data.detections)}
    meta = {key: value for key, value in data.meta.items() if key not in (PICTURES, MASKS)}
    calibration = data.intrinsics, data.extrinsics
    write_formal(copy, data.tracks, meta, *calibration, detections=data.detections)
    write_whole(copy, packed(copy))
    folder = output / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for task, picture in shown.items():
        write_whole(folder / f"detected_T{task}.jpg", picture)
    return f"{copy} ({copy.stat().st_size / 1e6:.1f} MB) and {len(shown)} pictures written"


def _jpeg(path: Path) -> bytes:
    """Give a PNG file as the bytes of a JPEG file.

    Raises:
        StoreError: It is missing or damaged.
    """
    try:
        picture = decode_rgb(path.read_bytes())
    except OSError:
        raise StoreError(
            f"{path} is missing; draw it with pose_obj_3d.show_detections --out {path.parent}"
        ) from None
    except ValueError as error:
        raise StoreError(f"{path}: {error}") from None
    quality = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
    is_done, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, ::-1]), quality)
    if not is_done:
        raise StoreError(f"{path}: OpenCV cannot write it as a JPEG file")
    return bytes(data.tobytes())


if __name__ == "__main__":
    sys.exit(main())
