"""Videos as files that browsers and slides play, encoded with PyAV."""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rlbench.backend.exceptions import RLBenchError
from rlbench.engines.files import writing

CODECS = {".mp4": ("mp4", "libx264"), ".webm": ("webm", "libvpx-vp9")}
"""Suffix of a file -> its container and codec."""
QUALITY = {"libx264": 23, "libvpx-vp9": 33}
"""Constant rate factors; smaller ones give better pictures and larger files."""
EXACT = {"libx264": {"x264-params": "aq-mode=0:mbtree=0"}}
"""What makes a codec give the same bytes for the same pictures: with x264's adaptive quantisation
and its trees of macroblocks, bytes were seen to differ from run to run."""

Picture = npt.NDArray[np.uint8]


class VideoError(RLBenchError):
    """A video cannot be made."""


class VideoWriter:
    """Encodes pictures of one size; see `video_file`."""

    def __init__(self, file: BinaryIO, suffix: str, rate: float, size: tuple[int, int]) -> None:
        container, codec = CODECS[suffix]
        av = _encoder()
        self._av, self._size = av, size
        self._container = av.open(file, "w", format=container, options={"fflags": "+bitexact"})
        stream = self._container.add_stream(codec, rate=_fraction(rate))
        # Both codecs store colours at half size, so both sides are even.
        stream.width, stream.height = (n + n % 2 for n in size)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(QUALITY[codec]), "b": "0", **EXACT.get(codec, {})}
        # With one thread the same pictures give the same bytes everywhere.
        stream.codec_context.thread_count = 1
        self._stream = stream

    def add(self, picture: Picture) -> None:
        """Append a (height, width, 3) picture."""
        width, height = self._size
        even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left; the file is complete after it."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


def check_video(path: Path) -> None:
    """Refuse a file that no video can be written to.

    Raises:
        VideoError: its suffix is unknown, its folder does not exist, or PyAV is missing.
    """
    if path.suffix not in CODECS:
        raise VideoError(f"{path}: a video's name must end with {' or '.join(CODECS)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise VideoError(f"{path}: name a file in a folder that exists")
    _encoder()


def check_encoder() -> None:
    """Check that videos can be made.

    Raises:
        VideoError: PyAV is missing.
    """
    _encoder()


@contextmanager
def video_file(path: Path, rate: float, size: tuple[int, int]) -> Iterator[VideoWriter]:
    """Write a video; the file is there when it is complete, and replaces an older one.

    Args:
        path: its name ends with a suffix of `CODECS`.
        rate: pictures in a second.
        size: width and height of the pictures [px].
    """
    check_video(path)
    with writing(path) as file:
        writer = VideoWriter(file, path.suffix, rate, size)
        yield writer
        writer.close()


def video_bytes(pictures: Iterator[Picture], rate: float, suffix: str = ".mp4") -> bytes:
    """Encode one or more (height, width, 3) pictures; return the content of the file."""
    first = next(pictures)
    buffer = io.BytesIO()
    writer = VideoWriter(buffer, suffix, rate, (first.shape[1], first.shape[0]))
    writer.add(first)
    for picture in pictures:
        writer.add(picture)
    writer.close()
    return buffer.getvalue()


def _fraction(rate: float) -> Fraction:
    return Fraction(rate).limit_denominator(1000)


def _encoder() -> Any:
    # Imported late: only videos need it.
    try:
        return importlib.import_module("av")
    except ImportError:
        raise VideoError("videos need the package av (PyAV); pip install av") from None
