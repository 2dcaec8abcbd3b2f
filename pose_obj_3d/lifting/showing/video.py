"""A labelled video: detections and reprojections on the frames of all cameras, 3D beside them."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.colours import rgb
from pose_obj_3d.common.progress import Pace
from pose_obj_3d.lifting.showing.frames import Frames
from pose_obj_3d.lifting.showing.painting import (
    FAINT_PART,
    GREY,
    INK,
    PAPER,
    Colour,
    Picture,
    circle,
    cross,
    legend,
    line,
    write_text,
)
from pose_obj_3d.lifting.showing.space import SpaceView
from pose_obj_3d.lifting.showing.video_file import video_file
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.support import Support, image_size

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
GRID_WIDTH, PANEL_WIDTH = 1280, 480  # [px] at most: of all cameras, and of one
MAX_RATIO = 1.5  # height of a panel by its width
SPACE_WIDTH = (480, 720)  # [px] least and largest width of the 3D view
MARKS = "o detected (faint: not used)   x lifted, reprojected (faint: bridged)"


@dataclass(frozen=True)
class Shown:
    """What the video shows.

    Attributes:
        lifted: The points.
        file: The tracks.
        support: The points in the images.
        bones: Pairs of keypoints that a line joins.
        up: Axis of the world that points up, or None for z.
    """

    lifted: LiftedPoints
    file: TrackFile
    support: Support
    bones: list[tuple[int, int]]
    up: str | None


def write_video(path: Path, shown: Shown, images: str | None) -> Path:
    """Write all frames; the file is there when it is complete."""
    count = len(shown.lifted.points)
    pace = Pace()
    with Frames(images, shown.file.camera_names) as frames:
        drawer = Drawer(shown, frames)
        first = drawer.draw(0)
        with video_file(path, shown.lifted.fps, (first.shape[1], first.shape[0])) as add:
            add(first)
            for frame in range(1, count):
                add(drawer.draw(frame))
                if pace.is_due():
                    logger.info("video: %d of %d frames", frame + 1, count)
    return path


class Drawer:
    """Draws the frames of a video, all of one size."""

    def __init__(self, shown: Shown, frames: Frames) -> None:
        self._shown, self._frames = shown, frames
        V = len(shown.file.camera_names)
        self._columns = min(V, math.ceil(math.sqrt(V)))
        width = min(PANEL_WIDTH, GRID_WIDTH // self._columns)
        self._sizes = [image_size(shown.file, v) for v in range(V)]
        ratio = max(min(float(size[1] / size[0]), MAX_RATIO) for size in self._sizes)
        self._panel = width, max(round(width * ratio), 40)
        self._colours = [rgb(k) for k in range(len(shown.lifted.keypoint_names))]
        rows = math.ceil(V / self._columns)
        height = rows * self._panel[1]
        side = int(np.clip(height, *SPACE_WIDTH))
        self._space = SpaceView(shown.lifted, shown.bones, self._colours, shown.up, (side, height))
        names = list(zip(shown.lifted.keypoint_names, self._colours, strict=True))
        self._legend = legend(names, self._columns * width + side)

    def draw(self, frame: int) -> Picture:
        """Draw one frame (H, W, 3), RGB, with even sides."""
        shown = self._shown
        panels = [self._camera(v, frame) for v in range(len(shown.file.camera_names))]
        rows = math.ceil(len(panels) / self._columns)
        empty = np.full_like(panels[0], PAPER)
        panels += [empty] * (rows * self._columns - len(panels))
        grid = np.vstack(
            [np.hstack(panels[r * self._columns : (r + 1) * self._columns]) for r in range(rows)]
        )
        top = np.hstack([grid, self._space.draw(frame)])
        whole = np.vstack([top, self._caption(frame, top.shape[1]), self._legend])
        height, width = whole.shape[:2]
        return np.pad(whole, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")

    def _caption(self, frame: int, width: int) -> Picture:
        caption = np.full((50, width, 3), PAPER, np.uint8)
        lifted = self._shown.lifted
        start = max(first for first in lifted.sequence_starts if first <= frame)
        number = lifted.sequence_starts.index(start)
        where = f"recording {number}, " if len(lifted.sequence_starts) > 1 else ""
        time = (frame - start) / lifted.fps
        write_text(caption, f"{where}frame {frame}, {time:.2f} s; {lifted.method}", (8, 18))
        write_text(caption, MARKS, (8, 40))
        return caption

    def _camera(self, view: int, frame: int) -> Picture:
        """Draw one camera: its frame, or grey."""
        shown, (width, height) = self._shown, self._panel
        panel = np.full((height, width, 3), GREY, np.uint8)
        size = self._sizes[view]
        scale = min(width / size[0], height / size[1])
        inner = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
        picture = self._frames.read(view, frame)
        if picture is not None:
            shrunk = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
            panel[: inner[1], : inner[0]] = shrunk
        uv = shown.support.uv[view, frame] * scale
        seen = shown.file.measured[view, frame] * scale
        own = shown.lifted.is_measured[frame]
        used = shown.lifted.weights[view, frame] > 0
        for a, b in shown.bones:
            paint = self._faint(a, bool(own[a] and own[b]))
            line(panel, uv[a], uv[b], paint, 1)
        for k in range(len(uv)):
            circle(panel, seen[k], 5, self._faint(k, bool(used[k])), 2 if used[k] else 1)
            cross(panel, uv[k], self._faint(k, bool(own[k])))
        cv2.rectangle(panel, (0, 0), (width - 1, height - 1), PAPER, 1)
        write_text(panel, shown.file.camera_names[view], (8, 18), INK)
        return panel

    def _faint(self, k: int, is_full: bool) -> Colour:
        """Give keypoint k's colour, or a pale one."""
        full = self._colours[k]
        if is_full:
            return full
        red, green, blue = (round(FAINT_PART * c + (1 - FAINT_PART) * 255) for c in full)
        return red, green, blue
