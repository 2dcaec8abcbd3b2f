"""Marks, lines and texts on pictures (H, W, 3), RGB; what is not finite is left out."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
INK, PAPER, GREY, PALE = (40, 36, 32), (255, 255, 255), (225, 225, 225), (205, 205, 205)
FAINT_PART = 0.4  # of a colour, the rest white
FONT, SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
LINE_HEIGHT = 18
_SHIFT = 4  # OpenCV draws at 1/16 px
_REACH = 4000.0  # [px]; OpenCV fails on what is much farther


def fixed(point: Floats) -> tuple[int, int] | None:
    """Return a point [px] as OpenCV wants it; None where it cannot be drawn."""
    if not (np.abs(point) < _REACH).all():
        return None
    x, y = np.round(point * 2**_SHIFT)
    return int(x), int(y)


def line(picture: Picture, begin: Floats, end: Floats, colour: Colour, width: int = 1) -> None:
    """Draw a line."""
    first, last = fixed(begin), fixed(end)
    if first is not None and last is not None:
        cv2.line(picture, first, last, colour, width, cv2.LINE_AA, _SHIFT)


def lines(picture: Picture, points: Floats, colour: Colour, width: int = 1) -> None:
    """Draw the line through points (n, 2); it is broken where one is not finite."""
    for begin, end in pairwise(points):
        line(picture, begin, end, colour, width)


def circle(picture: Picture, centre: Floats, radius: float, colour: Colour, width: int) -> None:
    """Draw a ring, or a disc where `width` is negative."""
    at = fixed(centre)
    if at is not None:
        size = round(radius * 2**_SHIFT)
        cv2.circle(picture, at, size, colour, width, cv2.LINE_AA, _SHIFT)


def cross(picture: Picture, centre: Floats, colour: Colour) -> None:
    """Draw an x with a pale rim, so that it is seen on any ground."""
    for paint, width in ((PAPER, 4), (colour, 2)):
        for slope in (1.0, -1.0):
            step = np.array([4.0, 4.0 * slope])
            line(picture, centre - step, centre + step, paint, width)


def ellipse(picture: Picture, centre: Floats, covariance: Floats, scale: float, c: Colour) -> None:
    """Draw the ellipse of a covariance (2, 2) [px^2], `scale` standard deviations large."""
    at = fixed(centre)
    if at is None or not np.isfinite(covariance).all():
        return
    values, axes = np.linalg.eigh(covariance)
    half = scale * np.sqrt(np.clip(values[::-1], 0, None))
    size = fixed(half)
    if size is not None:
        angle = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))
        cv2.ellipse(picture, at, size, angle, 0, 360, c, 1, cv2.LINE_AA, _SHIFT)


def write_text(picture: Picture, text: str, at: tuple[int, int], colour: Colour = INK) -> None:
    """Write on a bright ground; `at` is the left end of the base line."""
    (width, height), below = cv2.getTextSize(text, FONT, SIZE, 1)
    corner = at[0] - 3, at[1] - height - 3
    cv2.rectangle(picture, corner, (at[0] + width + 3, at[1] + below), PAPER, cv2.FILLED)
    cv2.putText(picture, text, at, FONT, SIZE, colour, 1, cv2.LINE_AA)


def legend(names: Sequence[tuple[str, Colour]], width: int) -> Picture:
    """Draw all names, each behind its colour, in as many rows as they need."""
    rows: list[list[tuple[int, str, Colour]]] = [[]]
    x = 8
    for name, colour in names:
        wide = 22 + int(cv2.getTextSize(name, FONT, SIZE, 1)[0][0]) + 14
        if x + wide > width and rows[-1]:
            rows.append([])
            x = 8
        rows[-1].append((x, name, colour))
        x += wide
    picture = np.full((LINE_HEIGHT * len(rows) + 6, width, 3), PAPER, np.uint8)
    for i, row in enumerate(rows):
        for left, name, colour in row:
            middle = LINE_HEIGHT * i + LINE_HEIGHT // 2
            cv2.rectangle(picture, (left, middle - 4), (left + 14, middle + 4), colour, cv2.FILLED)
            write_text(picture, name, (left + 20, middle + 5))
    return picture
