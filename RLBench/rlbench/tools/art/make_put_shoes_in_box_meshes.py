"""Write the drawn parts of put_shoes_in_box: sole, upper and lining of a left shoe.

`python -m rlbench.tools.art.make_put_shoes_in_box_meshes` writes
task_mjcf/meshes/put_shoes_in_box_*, the same bytes each time. A shoe stands on z = 0 and points
along x; lengths are metres.
"""

import sys
from pathlib import Path

import numpy as np

from rlbench.tools.art.obj_files import MESHES, Floats, Ints, capped, obj_text, write_files

Mesh = tuple[Floats, Ints]
PREFIX = "put_shoes_in_box"
SIDES = 28
HALF_LENGTH, SOLE_HEIGHT, ANKLE_HEIGHT = 0.09, 0.02, 0.088
ANKLE_FRONT, ANKLE_BACK = -0.006, -0.084
SOLE_RINGS = ((0.0, 0.95), (0.004, 1.0), (0.016, 1.0), (SOLE_HEIGHT, 0.96))
"""(height [m], part of the outline) of the sole's rings."""
UPPER_RINGS = 9


def half_width(x: Floats) -> Floats:
    """Return the half width [m] of the outline at x: ball, waist and heel."""
    u = x / HALF_LENGTH
    return (
        0.0265
        + 0.0055 * np.cos(np.pi * (u - 0.35) / 0.9) * (u > -0.55)
        - 0.0055 * (u <= -0.55) * 0.9
    )


def outline(front: float, back: float, width: float, height: float) -> Floats:
    """Return one ring (SIDES, 3): rounder at the heel, bent inwards at the toe."""
    angle = 2 * np.pi * np.arange(SIDES) / SIDES
    x = (front + back) / 2 + (front - back) / 2 * np.cos(angle)
    side = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.75
    bend = -0.005 * np.clip(x / HALF_LENGTH, 0, 1) ** 2
    y = half_width(x) * width * side + bend
    return np.column_stack([x, y, np.full(SIDES, height)])


def sole() -> Mesh:
    """Return the sole, rounded below."""
    return capped(
        np.array([outline(HALF_LENGTH * k, -HALF_LENGTH * k, k, z) for z, k in SOLE_RINGS])
    )


def upper_ring(s: float) -> Floats:
    """Return the upper's ring at s in [0, 1], from the sole to the opening."""
    front = ANKLE_FRONT + (0.083 - ANKLE_FRONT) * np.sqrt(1 - s**1.7)
    back = -0.086 + (ANKLE_BACK + 0.086) * s
    return outline(front, back, 0.93 - 0.16 * s, SOLE_HEIGHT + (ANKLE_HEIGHT - SOLE_HEIGHT) * s)


def upper() -> Mesh:
    """Return the upper, closed by a flat top on which the lining lies."""
    return capped(np.array([upper_ring(s) for s in np.linspace(0, 1, UPPER_RINGS)]))


def lining() -> Mesh:
    """Return a thin disc that fills the opening but for its rim."""
    rim = upper_ring(1.0)
    middle = rim.mean(axis=0)
    low = middle + (rim - middle) * 0.8
    return capped(np.array([low, low + np.array([0.0, 0.0, 0.0012])]))


def write(folder: Path = MESHES) -> list[Path]:
    """Write all meshes of the task and return their paths."""
    made = {f"{PREFIX}_{m.__name__}.obj": obj_text(*m()) for m in (sole, upper, lining)}
    return write_files(folder, made)


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:2]))
