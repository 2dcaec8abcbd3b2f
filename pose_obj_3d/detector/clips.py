"""Clips: pictures of a demo by one camera, with prompt and labels, for training and detection."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.progress import Pace
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.prompts import PromptSource
from pose_obj_3d.detector.types import Clip, Labels, Pictures
from pose_obj_3d.formal import UV_EXACT, VISIBILITY

logger = logging.getLogger(__name__)
IN_MEMORY = 1 << 30  # bytes of pictures above which they are kept in a file
Frames = npt.NDArray[np.int64]


def spread(n_frames: int, count: int | None) -> Frames:
    """Choose frames of a demo: all, or `count` of them at equal distances, the first included."""
    if count is None or count >= n_frames:
        return np.arange(n_frames)
    return np.unique(np.floor(np.arange(count) * (n_frames / count)).astype(np.int64))


def demo_clips(
    pictures: DemoPictures, prompts: PromptSource, task: int, example: int
) -> list[Clip]:
    """Read all frames of a demo: one clip for each camera of the archive.

    A demo of 100 frames of 256 x 256 px takes 20 MB a camera.
    """
    return load_clips(pictures, prompts, task, [example])


def load_clips(
    pictures: DemoPictures,
    prompts: PromptSource,
    task: int,
    examples: Sequence[int],
    frames_of: Sequence[Frames] | None = None,
    folder: Path | None = None,
) -> list[Clip]:
    """Read pictures of several demos, for each camera of the archive.

    Above `IN_MEMORY` bytes they lie in a file without a name, which vanishes with the last clip.

    Args:
        pictures: The archive's pictures.
        prompts: Says which objects are meant.
        task: Task id.
        examples: Numbers of the demos.
        frames_of: For each demo the frames to read, rising; all by default.
        folder: Where the file is made; the system's folder for temporary files by default.

    Returns:
        For each demo the clips of all cameras, one after the other.

    Raises:
        DataError: A picture is missing, unreadable or of another size.
    """
    if frames_of is None:
        frames_of = [spread(pictures.n_frames(task, n), None) for n in examples]
    V = len(pictures.data.camera_names)
    cameras = np.asarray(pictures.data.intrinsics @ pictures.data.extrinsics, np.float64)
    store = _make_store(V * sum(map(len, frames_of)), pictures.data.image_size, folder)
    pace, clips, filled = Pace(), [], 0
    for number, (example, frames) in enumerate(zip(examples, frames_of, strict=True)):
        shown = prompts.prompts(task, example)
        for view in range(V):
            part = store[filled : filled + len(frames)]
            filled += len(frames)
            for i, frame in enumerate(frames):
                part[i] = pictures.read(task, example, view, int(frame))
            clips.append(
                Clip(
                    task=task,
                    example=example,
                    view=view,
                    frames=frames,
                    pictures=part,
                    first=shown.firsts[view],
                    prompt=shown.views[view],
                    labels=labels_of(pictures, task, example, view, frames),
                    camera=cameras[view],
                )
            )
        if pace.is_due():
            logger.info("pictures of %d of %d demos read", number + 1, len(examples))
    return clips


def labels_of(pictures: DemoPictures, task: int, example: int, view: int, frames: Frames) -> Labels:
    """Give the archive's truth of some frames in a view."""
    track = pictures.data.tracks[task][example][view, frames]  # (N, K, 8)
    return Labels(
        uv=np.ascontiguousarray(track[..., UV_EXACT], np.float32),
        is_inside=track[..., VISIBILITY] > 0,
        is_seen=track[..., VISIBILITY] == 1,
    )


def _make_store(count: int, size: tuple[int, int], folder: Path | None) -> Pictures:
    """Make room for `count` pictures (H, W, 3), in memory or in a nameless file."""
    shape = (count, size[1], size[0], 3)
    n_bytes = int(np.prod(shape, dtype=np.int64))
    if n_bytes <= IN_MEMORY:
        return np.zeros(shape, np.uint8)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(n_bytes)
        return np.memmap(file, np.uint8, "r+", shape=shape)
