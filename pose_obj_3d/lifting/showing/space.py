"""A view of lifted points in space, without perspective."""

import numpy as np
import numpy.typing as npt

from pose_obj_3d.lifting.showing.painting import (
    INK,
    PALE,
    PAPER,
    Colour,
    Picture,
    circle,
    ellipse,
    fixed,
    line,
    lines,
    write_text,
)
from pose_obj_3d.lifting.writing.points import LiftedPoints

Floats = npt.NDArray[np.float64]
AZIMUTH, ELEVATION = np.deg2rad(-60.0), np.deg2rad(25.0)
TRAIL_S = 1.0
EDGE_PX = 40  # free at each side
REGION_95 = np.sqrt(5.991)  # standard deviations of an ellipse that holds 95 % of a plane's points
FAR_OFF = (0.5, 99.5)  # percentiles between which the box lies; a few bad points do not stretch it
_MARGIN = 0.05  # of the box's largest side


class SpaceView:
    """Draws one frame after another, in the same box.

    Args of the constructor:
        lifted: The points.
        bones: Pairs of keypoints that a line joins.
        colours: Of the K keypoints.
        up: Axis of the world that points up, or None for z.
        size: Width and height of the pictures [px].
    """

    def __init__(
        self,
        lifted: LiftedPoints,
        bones: list[tuple[int, int]],
        colours: list[Colour],
        up: str | None,
        size: tuple[int, int],
    ) -> None:
        self._lifted, self._bones, self._colours, self._size = lifted, bones, colours, size
        self._axes = view_axes(up or "z")
        self._low, self._high = box(lifted.points)
        side = self._high - self._low
        corners = self._low + side * np.array(list(np.ndindex(2, 2, 2)))  # x is the slowest
        flat = corners @ self._axes.T
        extent = np.maximum(np.ptp(flat, axis=0), 1e-9)
        room = np.array(size) - 2 * EDGE_PX
        self._scale = float((room / extent).min())
        self._offset = np.array(size) / 2 - (flat.max(0) + flat.min(0)) / 2 * self._scale
        self._corners = corners
        self._flat = lifted.points @ self._axes.T * self._scale + self._offset  # (T, K, 2)

    def draw(self, frame: int) -> Picture:
        """Draw a frame (H, W, 3), RGB."""
        picture = np.full((self._size[1], self._size[0], 3), PAPER, np.uint8)
        self._draw_box(picture)
        lifted = self._lifted
        start = max(first for first in lifted.sequence_starts if first <= frame)
        begin = max(start, frame - round(TRAIL_S * lifted.fps))
        at, own = self._flat[frame], lifted.is_measured[frame]
        turned = self._axes @ lifted.covariance[frame] @ self._axes.T * self._scale**2
        for k, colour in enumerate(self._colours):
            lines(picture, self._flat[begin : frame + 1, k], colour)
        for a, b in self._bones:
            line(picture, at[a], at[b], INK, 2)
        for k, colour in enumerate(self._colours):
            ellipse(picture, at[k], turned[k], REGION_95, colour)
            circle(picture, at[k], 4, colour, -1 if own[k] else 1)
        return picture

    def _draw_box(self, picture: Picture) -> None:
        flat = self._corners @ self._axes.T * self._scale + self._offset
        for i in range(8):
            for bit in (1, 2, 4):
                if not i & bit:
                    line(picture, flat[i], flat[i | bit], PALE)
        for axis, bit in zip("xyz", (4, 2, 1), strict=True):
            line(picture, flat[0], flat[bit], INK)
            end = flat[0] + (flat[bit] - flat[0]) * 1.06
            place = fixed(end)
            if place is not None:
                write_text(picture, axis, (int(end[0]) - 4, int(end[1]) + 4))
        sides = " x ".join(f"{side:.3g}" for side in self._high - self._low)
        write_text(picture, f"3D, box {sides} {self._lifted.units}", (8, 18))
        text = "ellipse: 95 % claimed; ring: bridged"
        write_text(picture, text, (8, self._size[1] - 8))


def box(points: Floats) -> tuple[Floats, Floats]:
    """Give the lower and upper corner of the points (T, K, 3), but for a few far-off ones."""
    known = points[np.isfinite(points).all(-1)]
    if len(known) == 0:
        return np.zeros(3), np.ones(3)
    low, high = np.percentile(known, FAR_OFF, axis=0)
    margin = max(float((high - low).max()) * _MARGIN, 1e-9)
    return low - margin, high + margin


def view_axes(up: str) -> Floats:
    """Give the picture's axes (2, 3), right and down, in the world's: seen from above a side."""
    third = np.eye(3)["xyz".index(up[-1])] * (-1 if up.startswith("-") else 1)
    first = np.roll(np.abs(third), 1)
    second = np.cross(third, first)
    ahead = np.cos(AZIMUTH) * first + np.sin(AZIMUTH) * second
    towards = np.cos(ELEVATION) * ahead + np.sin(ELEVATION) * third
    right = np.cross(third, ahead)
    return np.stack([right, -np.cross(towards, right)])
