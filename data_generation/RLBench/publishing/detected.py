r"""Prepare an archive with detections for others, who do not have its pictures.

python -m data_generation.RLBench.publishing.detected <archive> <output folder>

The copy names no pictures and is packed. Beside it, `pictures/detected_T<task>.jpg` shows some
frames: circles are detections, their radius is twice the claimed standard deviation (dashed where
the detector says that the point is hidden); a cross is the truth where it is more than 10 px away.
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
import numpy.typing as npt

from data_generation.RLBench import command_line
from data_generation.RLBench.errors import DataGenerationError, StoreError
from data_generation.RLBench.publishing.pack_archive import packed
from data_generation.RLBench.raw.images import decode_rgb
from pose_obj_3d.common.colours import colour
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.frame_files import MASKS, PICTURES, frame_file
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.formal import (
    DETECTED_SD,
    DETECTED_SEEN,
    DETECTED_UV,
    UV_EXACT,
    VISIBILITY,
    FormalData,
    read_formal,
    write_formal,
)

logger = logging.getLogger("detected")
SHOWN_FRAMES = 3  # of one test demo of each task
QUALITY = 82  # JPEG
GROSS_PX = 10.0
SCALE, SHIFT = 2, 4  # pictures are enlarged; OpenCV draws in sixteenths of a pixel
MOST_PX = 30.0  # radius of a drawn circle
Picture = npt.NDArray[np.uint8]


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="python -m data_generation.RLBench.publishing.detected",
        description=__doc__.split("\n", maxsplit=1)[0],
    )
    add = parser.add_argument
    add("archive", type=Path, help="archive with detections, made by pose_obj_3d.detect")
    add("output", type=Path, help="folder for the copy and its pictures")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        print(publish(args.archive, args.output))
    except (DataGenerationError, PoseObj3DError) as error:
        return command_line.report_error("detected", error)
    except OSError as error:
        return command_line.report_error("detected", StoreError(f"cannot be written: {error}"))
    return 0


def publish(archive: Path, output: Path) -> str:
    """Write the copy and its pictures; return a line that says what was written."""
    data = read_formal(archive)
    if not data.detections:
        raise StoreError(f"{archive} has no detections; make them with pose_obj_3d.detect")
    copy = output / archive.name
    if copy.resolve() == archive.resolve():
        raise StoreError(f"{output} is the folder of {archive}; give another one")
    sheets = {task: frame_sheet(data, task) for task in sorted(data.detections)}
    meta = {key: value for key, value in data.meta.items() if key not in (PICTURES, MASKS)}
    calibration = data.intrinsics, data.extrinsics
    write_formal(copy, data.tracks, meta, *calibration, detections=data.detections)
    write_whole(copy, packed(copy))
    folder = output / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for task, sheet in sheets.items():
        write_whole(folder / f"detected_T{task}.jpg", _jpeg(sheet))
    return f"{copy} ({copy.stat().st_size / 1e6:.1f} MB) and {len(sheets)} pictures written"


def frame_sheet(data: FormalData, task: int) -> Picture:
    """Draw frames (rows) of the first test demo in every camera (columns)."""
    example = data.split(task)["test"][0]
    frames = data.tracks[task][example].shape[1]
    shown = np.linspace(0, frames - 1, SHOWN_FRAMES + 2).round().astype(int)[1:-1]
    rows = [
        np.concatenate(
            [_drawn(data, task, example, v, int(t)) for v in range(len(data.camera_names))], 1
        )
        for t in shown
    ]
    return np.concatenate(rows)


def _drawn(data: FormalData, task: int, example: int, view: int, frame: int) -> Picture:
    """Draw the detections of one frame on its picture."""
    camera = data.camera_names[view]
    path = frame_file(data.path, data.meta, (task, example, camera, frame))
    if path is None or not path.is_file():
        raise StoreError(f"{data.path}: the picture {path} is missing; keep the raw data")
    try:
        picture = decode_rgb(path.read_bytes())
    except ValueError as error:
        raise StoreError(f"{path}: {error}") from None
    size = (picture.shape[1] * SCALE, picture.shape[0] * SCALE)
    canvas: Picture = np.asarray(cv2.resize(picture, size), np.uint8)
    found, track = data.detections[task][example][view, frame], data.tracks[task][example]
    for k, (detection, truth) in enumerate(zip(found, track[view, frame], strict=True)):
        if np.isfinite(detection[DETECTED_UV]).all():
            _draw(canvas, detection, truth, _rgb(colour(k)))
    return canvas


def _draw(
    canvas: Picture,
    detection: npt.NDArray[np.float32],
    truth: npt.NDArray[np.float32],
    ink: tuple[int, int, int],
) -> None:
    """Draw one detection (7,), and its truth (8,) where it is far off."""
    sd = float(np.nan_to_num(detection[DETECTED_SD], nan=1.0).mean())
    radius = int(min(2 * sd, MOST_PX) * SCALE * 2**SHIFT)
    centre = _fixed(detection[DETECTED_UV])
    is_seen = detection[DETECTED_SEEN] >= 0.5
    for start in range(0, 360, 45):
        end = start + (45 if is_seen else 22)
        cv2.ellipse(canvas, centre, (radius, radius), 0, start, end, ink, 1, cv2.LINE_AA, SHIFT)
    cv2.circle(canvas, centre, 2**SHIFT, ink, -1, cv2.LINE_AA, SHIFT)
    error = float(np.linalg.norm(detection[DETECTED_UV] - truth[UV_EXACT]))
    if error > GROSS_PX and truth[VISIBILITY] > 0:
        at = tuple(n >> SHIFT for n in _fixed(truth[UV_EXACT]))
        cv2.drawMarker(canvas, at, ink, cv2.MARKER_TILTED_CROSS, 9, 1, cv2.LINE_AA)
        cv2.line(canvas, centre, _fixed(truth[UV_EXACT]), ink, 1, cv2.LINE_AA, SHIFT)


def _fixed(uv: npt.NDArray[np.float32]) -> tuple[int, int]:
    """Give an image point in sixteenths of a pixel of the enlarged picture."""
    u, v = (float(n) * SCALE * 2**SHIFT for n in uv)
    return round(u), round(v)


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _jpeg(sheet: Picture) -> bytes:
    is_done, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(sheet[:, :, ::-1]), (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
    )
    if not is_done:
        raise StoreError("OpenCV cannot encode the picture")
    return bytes(data.tobytes())


if __name__ == "__main__":
    sys.exit(main())
