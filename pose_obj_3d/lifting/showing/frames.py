"""The recorded frames of each camera: from image files, or from a video of each camera."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError

logger = logging.getLogger(__name__)
Picture = npt.NDArray[np.uint8]
MAX_SKIPPED = 64  # frames that are decoded to reach a later one; beyond it the video is searched


class Frames:
    """Frames by view and number; whoever asks in order reads a video once.

    Args of the constructor:
        pattern: Such as `frames/{view}_{frame:06d}.png`, or `videos/{view}.mp4` (no `{frame}`) for
            a video of each camera; None for no frames.
        camera_names: V names, which replace `{view}`.
    """

    def __init__(self, pattern: str | None, camera_names: Sequence[str]) -> None:
        self._pattern, self._names = pattern, list(camera_names)
        self._videos: dict[int, cv2.VideoCapture | None] = {}
        self._next: dict[int, int] = {}
        self._missed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the videos."""
        for video in self._videos.values():
            if video is not None:
                video.release()
        self._videos.clear()

    def read(self, view: int, frame: int) -> Picture | None:
        """Give a frame (H, W, 3), RGB; None where there is none, which is said once."""
        if self._pattern is None:
            return None
        path = image_path(self._pattern, self._names[view], frame)
        is_video = not has_frames(self._pattern)
        found = self._from_video(path, view, frame) if is_video else _image(path)
        if found is None and not self._missed:
            what = f"frame {frame} of {path}" if is_video and path.is_file() else str(path)
            logger.warning("--images: %s cannot be read; drawn on grey, as others may be", what)
            self._missed = True
        return found

    def _from_video(self, path: Path, view: int, frame: int) -> Picture | None:
        if view not in self._videos:
            opened = cv2.VideoCapture(str(path)) if path.is_file() else None
            self._videos[view] = opened if opened is not None and opened.isOpened() else None
            self._next[view] = 0
        video = self._videos[view]
        if video is None:
            return None
        ahead = frame - self._next[view]
        if not 0 <= ahead <= MAX_SKIPPED:
            video.set(cv2.CAP_PROP_POS_FRAMES, frame)
            ahead = 0
        for _ in range(ahead):
            video.grab()
        is_read, picture = video.read()
        self._next[view] = frame + 1
        if not is_read:
            return None
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def has_frames(pattern: str) -> bool:
    """Tell whether a pattern names a file for each frame, and not a video."""
    return image_path(pattern, "view", 0) != image_path(pattern, "view", 1)


def image_path(pattern: str, view: str, frame: int) -> Path:
    """Fill `{view}` and `{frame}` of a pattern in."""
    try:
        return Path(pattern.format(view=view, frame=frame))
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"--images {pattern!r}: {error!r}; allowed are {{view}} and {{frame}}, such as"
            " 'frames/{view}_{frame:06d}.png', or 'videos/{view}.mp4'"
        ) from error


def check_pattern(pattern: str | None) -> None:
    """Refuse a pattern that cannot be filled in, or has neither of the two names."""
    if pattern is None:
        return
    if not has_frames(pattern) and image_path(pattern, "a", 0) == image_path(pattern, "b", 0):
        raise ConfigError(
            f"--images {pattern[:200]!r}: it names one file for all; put {{view}} and {{frame}} in,"
            " such as 'frames/{view}_{frame:06d}.png', or {view} alone for a video of each camera"
        )


def _image(path: Path) -> Picture | None:
    read = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    return None if read is None else np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)
