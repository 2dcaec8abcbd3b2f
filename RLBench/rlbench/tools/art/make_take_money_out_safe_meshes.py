"""Draw the printed note on top of the money stacks.

`python -m rlbench.tools.art.make_take_money_out_safe_meshes` writes
task_mjcf/meshes/take_money_out_safe_note.png, the same pixels on every machine.
"""

import sys
from pathlib import Path

import numpy as np

from rlbench.engines.files import png_bytes
from rlbench.tools.art.obj_files import MESHES, Image, write_files

NOTE = "take_money_out_safe_note.png"
WIDTH, HEIGHT = 48, 112  # [px], the note's short and long side: 53 x 125 mm
PAPER, PRINT, INK = (170, 184, 136), (122, 138, 104), (34, 42, 34)


def draw_note() -> Image:
    """Return the (HEIGHT, WIDTH, 3) picture: frame, bars, an oval with a bust."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    edge = np.minimum(np.minimum(x, WIDTH - 1 - x), np.minimum(y, HEIGHT - 1 - y))
    u, v = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2  # from the middle, across and along
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = PAPER
    image[edge >= 5] = INK
    bars = (x % 10 < 3) | ((np.abs(v) > 27) & (y % 12 < 4))
    image[(edge >= 9) & bars] = PRINT
    oval = (u / 13) ** 2 + (v / 19) ** 2
    image[oval < 1.3] = PAPER
    image[oval < 1.0] = PRINT
    bust = ((u / 6) ** 2 + ((v + 5) / 8) ** 2 < 1) | ((u / 11) ** 2 + ((v - 14) / 9) ** 2 < 1)
    image[bust & (oval < 1.0)] = INK
    return image


def write(folder: Path = MESHES) -> list[Path]:
    """Write the texture of the task and return its path."""
    return write_files(folder, {NOTE: png_bytes(draw_note(), level=9)})


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:2]))
