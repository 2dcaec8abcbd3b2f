"""What the parts of a detector hand to each other: pictures with labels, and detections.

Axes: N pictures of one demo and camera, T frames of a demo, V views, K keypoints, P prompts,
(H, W) height and width. Image coordinates are (u right, v down) [px]; the centre of the first pixel
is at 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """Where the keypoints of pictures are.

    Attributes:
        uv: (N, K, 2) exact image points [px]; NaN where there is no label.
        is_inside: (N, K) whether the point lies in the picture.
        is_seen: (N, K) whether it lies in the picture and nothing hides it.
    """

    uv: Floats
    is_inside: Flags
    is_seen: Flags


@dataclass(frozen=True)
class Prompt:
    """Which objects are meant, where several look alike.

    Attributes:
        masks: (P, H, W) the pixels of each meant object in `first` of the clip; all False where
            this view does not show it there.
        colours: (P, 3) its mean colour, 0 to 1, over the masks of all views; NaN where no view
            shows it.
    """

    masks: Flags
    colours: Floats


@dataclass(frozen=True)
class Clip:
    """Pictures of one demo by one camera.

    Attributes:
        task: Task id.
        example: Number of the example in the archive.
        view: Number of the camera in the archive.
        frames: (N,) frame numbers, rising; not each frame has to be there.
        pictures: (N, H, W, 3) RGB.
        first: (H, W, 3) RGB of frame 0.
        prompt: Which objects are meant.
        labels: Where the keypoints are; None where that is not known.
        camera: (3, 4) projection, world [m] to image [px]; None where that is not known.
    """

    task: int
    example: int
    view: int
    frames: npt.NDArray[np.int64]
    pictures: Pictures
    first: Pictures
    prompt: Prompt
    labels: Labels | None = None
    camera: npt.NDArray[np.float64] | None = None


def by_demo(clips: Sequence[Clip]) -> list[list[int]]:
    """Return the numbers of the clips of each demo."""
    demos: dict[tuple[int, int], list[int]] = {}
    for n, clip in enumerate(clips):
        demos.setdefault((clip.task, clip.example), []).append(n)
    return list(demos.values())


@dataclass(frozen=True)
class Detections:
    """What a detector says of the keypoints of one clip, or of several (then with a view axis).

    Attributes:
        uv: (..., T, K, 2) image points [px]; NaN where nothing was detected.
        sd: (..., T, K, 2) claimed standard deviations along u and v [px]; NaN where nothing is
            claimed.
        rho: (..., T, K) claimed correlation, -1 < rho < 1.
        p_inside: (..., T, K) probability that the point lies in the picture.
        p_seen: (..., T, K) probability that it lies in the picture and nothing hides it.
    """

    uv: Floats
    sd: Floats
    rho: Floats
    p_inside: Floats
    p_seen: Floats

    def channels(self) -> Floats:
        """Return (..., T, K, 7): u, v, sd_u, sd_v, rho, p_inside, p_seen."""
        single = (self.rho, self.p_inside, self.p_seen)
        parts = [self.uv, self.sd, *(part[..., None] for part in single)]
        return np.concatenate(parts, -1).astype(np.float32)


class Detector(Protocol):
    """Anything that finds keypoints in clips."""

    @property
    def name(self) -> str:
        """A name for the record."""
        ...

    @property
    def keypoints(self) -> list[str]:
        """Names `<group>/<name>` of the K keypoints that it finds."""
        ...

    def detect(self, clips: list[Clip]) -> list[Detections]:
        """Find the keypoints in clips of the same demo; one (N, K) result for each."""
        ...
