"""A video of all cameras: detections with claimed regions, and the lifted points reprojected."""

import math
from pathlib import Path

import cv2
import numpy as np
from matplotlib.colors import to_rgb

from pose_obj_3d.common.colours import colour
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.evaluation.detection_pictures.clip import Clip, Float, Picture
from pose_obj_3d.evaluation.detections import GROSS_PX

PANEL = 480  # [px] width of a camera's panel
CAPTION = 54  # [px] height of the text below
_SHIFT = 4  # OpenCV draws at 1/16 px
_LONGEST = 4000.0  # [px]; OpenCV fails on what is much longer
RED, INK, PAPER = (0, 0, 235), (40, 36, 32), (255, 255, 255)
Colour = tuple[int, int, int]


def write_video(path: Path, clip: Clip, frame_period_s: float, title: str) -> None:
    """Write an MP4 file with all frames of a demonstration.

    Args:
        path: The file; it is written under another name, then renamed.
        clip: The demonstration.
        frame_period_s: Seconds between frames.
        title: Text below the panels.

    Raises:
        DataError: This installation of OpenCV cannot write videos.
    """
    height, width = compose(clip, 0, title).shape[:2]
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(temporary), code, 1 / frame_period_s, (width, height))
    if not writer.isOpened():
        raise DataError(f"{path}: this installation of OpenCV cannot write MP4 videos")
    for frame in range(len(clip)):
        writer.write(compose(clip, frame, title))
    writer.release()
    temporary.replace(path)


def compose(clip: Clip, frame: int, title: str) -> Picture:
    """Draw one frame of the video: panels of all cameras, text below; (H, W, 3), BGR."""
    columns = math.ceil(math.sqrt(len(clip.cameras)))
    rows = math.ceil(len(clip.cameras) / columns)
    panels = [_panel(clip, frame, v) for v in range(len(clip.cameras))]
    empty = np.full_like(panels[0], PAPER)
    panels += [empty] * (rows * columns - len(panels))
    grid = [np.hstack(panels[r * columns : (r + 1) * columns]) for r in range(rows)]
    caption = np.full((CAPTION, grid[0].shape[1], 3), PAPER, np.uint8)
    legend = (
        f"dot, ellipse: detected, {clip.region} (thin: hidden)   x: lifted and reprojected   red"
        f" square: more than {GROSS_PX:g} px off"
    )
    for line, text in enumerate((f"{title}, frame {frame}", legend)):
        _text(caption, text, (8, 20 + 22 * line), 0.45)
    whole = np.vstack([*grid, caption])
    # Codecs want even sizes.
    return np.asarray(whole[: whole.shape[0] // 2 * 2, : whole.shape[1] // 2 * 2])


def _panel(clip: Clip, frame: int, view: int) -> Picture:
    width, height = clip.data.image_size
    scale = PANEL / width
    picture = clip.picture(clip.cameras[view], frame)
    shown = cv2.cvtColor(clip.blank() if picture is None else picture, cv2.COLOR_RGB2BGR)
    size = PANEL, max(1, round(height * scale))
    panel = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    is_gross = clip.is_gross[frame, view]
    for k in range(len(clip.names)):
        at = frame, view, k
        red, green, blue = (round(255 * x) for x in to_rgb(colour(k)))
        paint = blue, green, red
        if clip.is_usable[at] and np.isfinite(clip.uv[at]).all():
            line = 2 if clip.visibility[at] == 1 else 1
            _ellipse(panel, scale * clip.uv[at], clip.ellipses[at], scale, (paint, line))
        if is_gross[k]:
            low, high = (_fixed(scale * clip.uv[at] + d) for d in (-9, 9))
            cv2.rectangle(panel, low, high, RED, 2, cv2.LINE_AA, _SHIFT)
        _cross(panel, scale * clip.lifted[at], paint)
    _text(panel, clip.cameras[view], (8, 20), 0.5)
    return panel


def _fixed(point: Float) -> tuple[int, int]:
    """Return a point [px] as OpenCV wants it."""
    x, y = np.clip(np.round(point * 2**_SHIFT), -_LONGEST * 2**_SHIFT, _LONGEST * 2**_SHIFT)
    return int(x), int(y)


def _ellipse(
    panel: Picture, centre: Float, ellipse: Float, scale: float, style: tuple[Colour, int]
) -> None:
    """Draw a detection (2,) [px of the panel], and its ellipse in px of the camera."""
    colour_, line = style
    cv2.circle(panel, _fixed(centre), 2 << _SHIFT, colour_, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    if np.isfinite(ellipse).all():
        axes = _fixed(scale * ellipse[:2])
        angle = float(np.degrees(ellipse[2]))
        cv2.ellipse(panel, _fixed(centre), axes, angle, 0, 360, colour_, line, cv2.LINE_AA, _SHIFT)


def _cross(panel: Picture, centre: Float, paint: Colour) -> None:
    """Draw an x with a dark rim, so that it is seen on any ground."""
    if not np.isfinite(centre).all():
        return
    for colour_, line in ((INK, 4), (paint, 2)):
        for slope in (1, -1):
            begin, end = (_fixed(centre + d * np.array([1, slope])) for d in (-6, 6))
            cv2.line(panel, begin, end, colour_, line, cv2.LINE_AA, _SHIFT)


def _text(picture: Picture, text: str, at: tuple[int, int], size: float) -> None:
    """Write on a bright ground of its own; `at` is the left end of the base line."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), below = cv2.getTextSize(text, font, size, 1)
    corner = at[0] - 4, at[1] - height - 4
    cv2.rectangle(picture, corner, (at[0] + width + 4, at[1] + below + 2), PAPER, cv2.FILLED)
    cv2.putText(picture, text, at, font, size, INK, 1, cv2.LINE_AA)
