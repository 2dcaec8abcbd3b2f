"""Find an object by the name of its colour, in one picture: a poor prompt, for want of a better.

Light changes colours: the lit top of a maroon block looks like the side of a red one. A mask or a
box in the first frame is the better prompt.
"""

import re

import cv2
import numpy as np

from pose_obj_3d.detector.types import Flags, Pictures

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (1.0, 0.0, 0.0),
    "maroon": (0.5, 0.0, 0.0),
    "lime": (0.0, 1.0, 0.0),
    "green": (0.0, 0.5, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "navy": (0.0, 0.0, 0.5),
    "yellow": (1.0, 1.0, 0.0),
    "cyan": (0.0, 1.0, 1.0),
    "magenta": (1.0, 0.0, 1.0),
    "silver": (0.75, 0.75, 0.75),
    "gray": (0.5, 0.5, 0.5),
    "orange": (1.0, 0.5, 0.0),
    "olive": (0.5, 0.5, 0.0),
    "purple": (0.5, 0.0, 0.5),
    "teal": (0.0, 0.5, 0.5),
    "azure": (0.0, 0.5, 1.0),
    "violet": (0.5, 0.0, 1.0),
    "rose": (1.0, 0.0, 0.5),
    "black": (0.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
}
"""RLBench's names of colours, and their red, green, blue, 0 to 1."""

_WORD = re.compile(r"[a-z]+")
MAX_HUE = 14.0  # degrees between a pixel and the colour
MIN_SATURATION, MAX_GRAY_SATURATION = 0.45, 0.1  # of a pixel of a colour, and of a gray one
DARKEST, BRIGHTEST = 0.35, 1.15  # of a pixel, as a share of the colour's own brightness
GRAY_RANGE = 0.12  # of the brightness of a gray pixel
MIN_SHARE, MAX_SHARE = 1e-4, 0.05  # of the picture, that an object takes


def colour_in(text: str) -> str | None:
    """Return the first name of a colour in a text, such as "pick up the red block"."""
    words = _WORD.findall(text.lower())
    return next((word for word in words if word in COLOURS), None)


def colour_mask(picture: Pictures, name: str) -> Flags:
    """Return the largest patch (H, W) of a colour; all False where there is none.

    Args:
        picture: (H, W, 3) RGB.
        name: One of `COLOURS`.
    """
    wanted = np.array(COLOURS[name], np.float32)
    hue, saturation, value = _hsv(picture)
    own_hue, own_saturation, own_value = (
        float(part[0, 0]) for part in _hsv((wanted * 255).astype(np.uint8)[None, None])
    )
    if own_saturation > 0:
        turn = np.abs((hue - own_hue + 180) % 360 - 180)
        bright = (value >= DARKEST * own_value) & (value <= BRIGHTEST * own_value)
        fits = (turn <= MAX_HUE) & (saturation >= MIN_SATURATION) & bright
    else:
        fits = (saturation <= MAX_GRAY_SATURATION) & (np.abs(value - own_value) <= GRAY_RANGE)
    return _largest(np.asarray(fits))


def _hsv(picture: Pictures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hue [degrees], saturation and value, each (H, W)."""
    converted = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    return converted[..., 0], converted[..., 1], converted[..., 2]


def _largest(fits: Flags) -> Flags:
    """Keep the largest connected patch of the size of an object."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(fits.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64) / fits.size
    areas[0] = 0  # what does not fit
    areas[(areas < MIN_SHARE) | (areas > MAX_SHARE)] = 0
    if count < 2 or not areas.any():
        return np.zeros(fits.shape, bool)
    return np.asarray(labels == int(areas.argmax()))
