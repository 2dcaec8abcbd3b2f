"""Videos: encoding images, and joining videos without encoding them again.

H.264 with a key frame at every second frame, so that any frame is found fast; one thread and no
time of creation, so that the same images give the same bytes.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.exporting.packages import require

CODEC = "libx264"
EXTRA = "lerobot"
OPTIONS = {"g": "2", "bf": "0", "preset": "medium"}
CONTAINER = {"fflags": "+bitexact", "movflags": "+faststart"}


def check_size(camera: str, size: tuple[int, int]) -> None:
    """Refuse sizes that the pixel format does not have.

    Raises:
        ConfigError: Width or height is odd.
    """
    if size[0] % 2 or size[1] % 2:
        raise ConfigError(
            f"images of camera {camera} have {size[0]} x {size[1]} px; videos need an even width"
            " and height: use --images png"
        )


def encode(
    path: Path, images: Iterable[npt.NDArray[np.uint8]], size: tuple[int, int], fps: int, crf: int
) -> None:
    """Write (H, W, 3) images as a video.

    Args:
        path: The file, .mp4.
        images: One after the other.
        size: Width, height [px].
        fps: Frames per second.
        crf: Quality, 0 (best) to 51.
    """
    av = require("av", EXTRA)
    with av.open(str(path), "w", format="mp4", options=CONTAINER) as container:
        stream = container.add_stream(CODEC, rate=fps, options={**OPTIONS, "crf": str(crf)})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps)
        for t, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def join(path: Path, parts: Sequence[tuple[Path, int]], fps: int) -> None:
    """Join videos of one encoder, one after the other.

    Args:
        path: The file to write.
        parts: Files, and how many frames each has.
        fps: Frames per second of all.
    """
    av = require("av", EXTRA)
    with av.open(str(path), "w", format="mp4", options=CONTAINER) as target:
        stream: Any = None
        first = 0
        for part, n_frames in parts:
            with av.open(str(part)) as source:
                given = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(given)
                    stream.time_base = given.time_base
                shift = round(first / (fps * given.time_base))
                for packet in source.demux(given):
                    if packet.dts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = stream
                    target.mux(packet)
            first += n_frames
