"""Pictures of one example: a contact sheet and an animation of every view, with keypoints."""

import colorsys
import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from data_generation.RLBench.inspection.sources import Example
from data_generation.RLBench.inspection.statistics import (
    TABLE_HEIGHT,
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
)
from pose_obj_3d.formal import UV_EXACT, VISIBILITY, XYZ_WORLD
from rlbench.cameras import project_views
from rlbench.tools.video import video_bytes

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
GetFrame = Callable[[Example, int, int], Picture | None]  # example, view, frame

SHEET_TIMES = 4
SHEET_PANEL = 216  # [px] width of a panel; four fit a screen of 1,000 px
MOVIE_PANEL = 216
MOVIE_WIDTH = 890  # [px]; with many views the panels shrink to fit
MIN_PANEL = 96
MAX_RATIO = 4  # height to width of a panel
MOVIE_FRAMES = 200  # of a longer example every second, third ... frame is shown
JPEG_QUALITY = 85
TRAIL_S = 1.0
SHIFT = 4  # OpenCV draws at 1/16 px
GAP, MARGIN = 6, 14
INK, FAINT, PAPER, PLAIN, RIM = (
    (32, 36, 42),
    (110, 116, 124),
    (255, 255, 255),
    (243, 244, 246),
    (200, 204, 210),
)
COLOURS: tuple[Colour, ...] = (
    (210, 30, 240),
    (180, 240, 0),
    (60, 60, 0),
    (90, 240, 240),
    (30, 30, 120),
    (240, 210, 120),
    (210, 60, 150),
    (240, 150, 150),
    (0, 150, 0),
    (90, 30, 60),
    (120, 180, 240),
    (0, 0, 240),
)
"""Chosen so that the least distance of two of them in CIELAB is as large as possible, in normal
vision and in each kind of colour blindness; the first few lie farthest apart."""


def colour_of(k: int) -> Colour:
    """Give keypoint k's colour: chosen ones first, then hues a golden angle apart."""
    if k < len(COLOURS):
        return COLOURS[k]
    red, green, blue = colorsys.hsv_to_rgb(
        k * 0.618034 % 1, 0.85 - 0.25 * (k % 2), 0.9 - 0.3 * (k % 3 == 0)
    )
    return round(255 * red), round(255 * green), round(255 * blue)


class Drawer:
    """Draws the views of one example at a panel's width."""

    def __init__(
        self, example: Example, width: int, get_frame: GetFrame, frame_period_s: float
    ) -> None:
        rig = example.rig
        ratio = min(rig.image_size[1] / rig.image_size[0], MAX_RATIO)
        self.size = width, max(1, round(width * ratio))
        self._example, self._get_frame = example, get_frame
        self._trail = max(1, round(TRAIL_S / frame_period_s))
        self._uv = example.tracks[..., UV_EXACT].astype(np.float64) * (width / rig.image_size[0])
        xyz = np.nan_to_num(example.tracks[0, ..., XYZ_WORLD].astype(np.float64))
        depth = project_views(xyz, rig.intrinsics, rig.extrinsics)[1]
        reach = 8 * max(self.size)  # beyond it OpenCV's integers overflow
        with np.errstate(invalid="ignore"):
            is_near = (np.abs(self._uv) < reach).all(axis=-1)
        self._is_drawn = is_near & ~(depth <= 0)  # a depth that is unknown counts as in front
        self._plain = [self._plain_background(v) for v in range(len(rig.camera_names))]

    def panel(self, view: int, t: int) -> Picture:
        """Draw one view of one frame; plain where there is no picture."""
        picture = self._get_frame(self._example, view, t)
        if picture is None:
            canvas = self._plain[view].copy()
        else:
            is_smaller = self.size[0] < picture.shape[1]
            method = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
            canvas = np.asarray(cv2.resize(picture, self.size, interpolation=method), np.uint8)
        self._draw_trails(canvas, view, t)
        states = self._example.tracks[view, t, :, VISIBILITY]
        for state, draw in ((0.0, _draw_outside), (0.5, _draw_hidden), (1.0, _draw_seen)):
            for k in np.flatnonzero((states == state) & self._is_drawn[view, t]):
                draw(canvas, self._uv[view, t, k], colour_of(int(k)), self._radius(int(k)))
        cv2.rectangle(canvas, (0, 0), (self.size[0] - 1, self.size[1] - 1), RIM, 1)
        return canvas

    def _radius(self, k: int) -> float:
        """Give a marker's radius [px]; it shrinks with k, so that equal places show as rings."""
        return max(3.0, float(self.size[0]) / 50 * (1 - 0.35 * k / int(self._uv.shape[2])))

    def _draw_trails(self, canvas: Picture, view: int, t: int) -> None:
        start = max(0, t - self._trail)
        over = canvas.copy()
        for k in range(self._uv.shape[2]):
            is_drawn = self._is_drawn[view, start : t + 1, k]
            points = _fixed(self._uv[view, start : t + 1, k][is_drawn])
            if len(points) > 1 and np.ptp(points, axis=0).max() > 0:
                cv2.polylines(over, [points], False, colour_of(k), 2, cv2.LINE_AA, SHIFT)
        cv2.addWeighted(over, 0.65, canvas, 0.35, 0, dst=canvas)

    def _plain_background(self, view: int) -> Picture:
        """Give a plain panel with the workspace's grid on the table, 0.2 m apart."""
        canvas = np.full((self.size[1], self.size[0], 3), PLAIN, np.uint8)
        rig = self._example.rig
        xs, ys = (
            np.arange(a, b + 1e-6, 0.2) for a, b in zip(WORKSPACE_LOW, WORKSPACE_HIGH, strict=True)
        )
        lines = [((x, ys[0]), (x, ys[-1])) for x in xs] + [((xs[0], y), (xs[-1], y)) for y in ys]
        corners = np.array([[(*a, TABLE_HEIGHT), (*b, TABLE_HEIGHT)] for a, b in lines])
        uv, depth = project_views(
            corners, rig.intrinsics[view : view + 1], rig.extrinsics[view : view + 1]
        )
        uv = uv[0] * (self.size[0] / rig.image_size[0])
        for line, z in zip(uv, depth[0], strict=True):
            if (z > 0).all() and (np.abs(line) < 8 * max(self.size)).all():
                cv2.polylines(canvas, [_fixed(line)], False, (222, 225, 230), 1, cv2.LINE_AA, SHIFT)
        return canvas


def _fixed(points: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Give OpenCV's fixed-point coordinates of points [px] whose pixel i covers [i, i + 1)."""
    return np.asarray(np.rint((points - 0.5) * 2**SHIFT), np.int32)


def _disc(canvas: Picture, centre: Any, radius: float, colour: Colour, thickness: int) -> None:
    x, y = (int(v) for v in _fixed(np.asarray(centre)))
    cv2.circle(canvas, (x, y), round(radius * 2**SHIFT), colour, thickness, cv2.LINE_AA, SHIFT)


def _draw_seen(canvas: Picture, at: Any, colour: Colour, radius: float) -> None:
    _disc(canvas, at, radius + 1, PAPER, -1)
    _disc(canvas, at, radius, colour, -1)


def _draw_hidden(canvas: Picture, at: Any, colour: Colour, radius: float) -> None:
    _disc(canvas, at, radius, PAPER, 4)
    _disc(canvas, at, radius, colour, 2)


def _draw_outside(canvas: Picture, at: Any, colour: Colour, radius: float) -> None:
    """Draw a cross at the nearest place inside the picture."""
    high = np.array([canvas.shape[1], canvas.shape[0]]) - radius - 2
    x, y = np.clip(at, radius + 2, np.maximum(high, radius + 2))
    for shade, thickness in ((PAPER, 4), (colour, 2)):
        for sign in (1, -1):
            ends = np.array([[x - radius, y - sign * radius], [x + radius, y + sign * radius]])
            cv2.polylines(canvas, [_fixed(ends)], False, shade, thickness, cv2.LINE_AA, SHIFT)


# --- putting panels together ---


class Page:
    """A grid of panels with title, labels and legend; the panels are pasted in later."""

    def __init__(
        self, title: str, size: tuple[int, int], rows: Sequence[str], columns: Sequence[str]
    ) -> None:
        self._size, self._font = size, ImageFont.load_default(13)
        self._left = MARGIN + (22 if any(rows) else 0)
        self._top = MARGIN + 48
        self.width = max(self._left + len(columns) * (size[0] + GAP) - GAP + MARGIN, 420)
        self._height = self._top + len(rows) * (size[1] + GAP)
        self.image = Image.new("RGB", (self.width, self._height), PAPER)
        draw = ImageDraw.Draw(self.image)
        draw.text((MARGIN, MARGIN - 2), title, INK, ImageFont.load_default(16))
        for i, label in enumerate(columns):
            draw.text(
                (self._left + i * (size[0] + GAP) + size[0] / 2, self._top - 5),
                label,
                FAINT,
                self._font,
                anchor="md",
            )
        for j, label in enumerate(rows):
            strip = Image.new("RGB", (size[1], 18), PAPER)
            ImageDraw.Draw(strip).text((size[1] / 2, 9), label, FAINT, self._font, anchor="mm")
            self.image.paste(
                strip.rotate(90, expand=True), (MARGIN - 2, self._top + j * (size[1] + GAP))
            )

    def paste(self, panel: Picture, row: int, column: int) -> None:
        """Put a panel into its place."""
        x, y = (
            at + i * (n + GAP)
            for at, i, n in zip((self._left, self._top), (column, row), self._size, strict=True)
        )
        self.image.paste(Image.fromarray(panel), (x, y))

    def note(self, text: str) -> None:
        """Write a line at the right end of the title, over the one before."""
        draw = ImageDraw.Draw(self.image)
        box = (self.width - MARGIN - 130, MARGIN - 2, self.width, MARGIN + 20)
        draw.rectangle(box, PAPER)
        draw.text((self.width - MARGIN, MARGIN), text, FAINT, self._font, anchor="ra")

    def add_legend(self, names: Sequence[str]) -> None:
        """Add the markers' meaning and the keypoints' names below the panels."""
        entries: list[tuple[str, Colour, Callable[..., None]]] = [
            ("seen", FAINT, _draw_seen),
            ("in the image, hidden", FAINT, _draw_hidden),
            ("not in the image, at its edge", FAINT, _draw_outside),
        ]
        n_states = len(entries)
        entries += [(name, colour_of(k), _draw_seen) for k, name in enumerate(names)]
        x, y, places = MARGIN, 12, []
        for i, (text, _, _) in enumerate(entries):
            width = 24 + math.ceil(self._font.getlength(text)) + 12
            if i == n_states or (x + width > self.width - MARGIN and x > MARGIN):
                x, y = MARGIN, y + 21
            places.append((x, y))
            x += width
        legend = np.full((y + 20, self.width, 3), 255, np.uint8)
        for (_, colour, marker), (x, y) in zip(entries, places, strict=True):
            marker(legend, (x + 9, y), colour, 5.0)
        strip = Image.fromarray(legend)
        draw = ImageDraw.Draw(strip)
        for (text, _, _), (x, y) in zip(entries, places, strict=True):
            draw.text((x + 20, y), text, INK, self._font, anchor="lm")
        full = Image.new("RGB", (self.width, self._height + strip.height), PAPER)
        full.paste(self.image, (0, 0))
        full.paste(strip, (0, self._height))
        self.image = full


def _title(example: Example, period: float) -> str:
    task = f"{example.section.label} {example.task_name}".strip()
    origin = (
        f", variation {example.variation}"
        if example.variation is not None and "variation" not in example.label
        else ""
    )
    return (
        f"{task}: {example.label}{origin}, {example.tracks.shape[1]} frames of {period * 1000:g} ms"
    )


def contact_sheet(example: Example, get_frame: GetFrame, frame_period_s: float) -> bytes:
    """Draw views (rows) by times (columns); give the JPEG file."""
    drawer = Drawer(example, SHEET_PANEL, get_frame, frame_period_s)
    last = example.tracks.shape[1] - 1
    times = sorted({round(t) for t in np.linspace(0, last, SHEET_TIMES).tolist()})
    columns = [f"{t * frame_period_s:.2f} s (frame {t})" for t in times]
    cameras = example.rig.camera_names
    page = Page(_title(example, frame_period_s), drawer.size, cameras, columns)
    for (v, _), (i, t) in itertools.product(enumerate(cameras), enumerate(times)):
        page.paste(drawer.panel(v, t), v, i)
    page.add_legend(example.keypoint_names)
    buffer = io.BytesIO()
    # Colours at full size: markers are few pixels wide.
    page.image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue()


def animation(example: Example, get_frame: GetFrame, frame_period_s: float) -> bytes:
    """Draw all views side by side over time, at the true speed; give the MP4 file."""
    T = example.tracks.shape[1]
    stride = math.ceil(T / MOVIE_FRAMES)
    pictures = _movie(example, get_frame, frame_period_s, range(0, T, stride))
    return video_bytes(pictures, 1 / (stride * frame_period_s))


def _movie(
    example: Example, get_frame: GetFrame, frame_period_s: float, times: Iterable[int]
) -> Iterator[Picture]:
    cameras = example.rig.camera_names
    width = max(MIN_PANEL, min(MOVIE_PANEL, MOVIE_WIDTH // len(cameras)))
    drawer = Drawer(example, width, get_frame, frame_period_s)
    page = Page(_title(example, frame_period_s), drawer.size, ("",), cameras)
    page.add_legend(example.keypoint_names)
    for t in times:
        for v in range(len(cameras)):
            page.paste(drawer.panel(v, t), 0, v)
        page.note(f"{t * frame_period_s:.2f} s (frame {t})")
        yield np.asarray(page.image, np.uint8)
