"""Video files: H.264 with PyAV, MPEG-4 with OpenCV where PyAV is missing."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.whole_files import folder_in_the_making

logger = logging.getLogger(__name__)
Picture = npt.NDArray[np.uint8]
Add = Callable[[Picture], None]
SUFFIX = ".mp4"
_QUALITY = "23"  # constant rate factor of x264; smaller ones give better pictures, larger files
_RATES = (1.0, 240.0)  # frames a second that players take


@contextmanager
def video_file(path: Path, fps: float, size: tuple[int, int]) -> Iterator[Add]:
    """Write a video; the file is there when it is complete, and replaces an older one.

    Args:
        path: It ends with `.mp4`.
        fps: Frames a second.
        size: Width and height of the pictures [px], both even.

    Yields:
        A function that appends a picture (H, W, 3), RGB.

    Raises:
        DataError: No video can be written here.
    """
    rate = float(np.clip(fps, *_RATES))
    if rate != fps:
        logger.warning("%s: %g frames a second cannot be played; it plays with %g", path, fps, rate)
    encoder = _with_av if find_spec("av") is not None else _with_opencv
    with folder_in_the_making(path) as folder:
        with encoder(folder / path.name, rate, size) as add:
            yield add
        (folder / path.name).replace(path)


@contextmanager
def _with_av(path: Path, rate: float, size: tuple[int, int]) -> Iterator[Add]:
    av = import_module("av")
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": _QUALITY, "preset": "veryfast"}

        def add(picture: Picture) -> None:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))

        yield add
        container.mux(stream.encode(None))


@contextmanager
def _with_opencv(path: Path, rate: float, size: tuple[int, int]) -> Iterator[Add]:
    logger.info(
        "PyAV is not installed: the video is MPEG-4, which browsers do not play; pip install av"
    )
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    if not writer.isOpened():
        raise DataError(f"{path.name}: this OpenCV writes no videos; run: pip install av")

    def add(picture: Picture) -> None:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    try:
        yield add
    finally:
        writer.release()
