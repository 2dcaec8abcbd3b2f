"""Draw the table's wood, the floor's tiles and the wall's hexagons of the base scene.

`python -m rlbench.tools.art.make_base_scene_textures` writes the pictures of `base_scene.xml`
and of the scene that stands in for RLBench's, the same pixels on every machine: random numbers come
from a fixed seed, and no function is used that a machine may round in its own way.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from rlbench.tools.art.obj_files import Floats, Image, write_files

TEXTURES = Path(__file__).resolve().parents[3] / "pyrep_mujoco" / "stand_ins" / "textures"
WOOD, TILES, HEXAGONS = "wood.png", "tiles.png", "hexagons.png"
SEED = 20

TABLE_M, TABLE_PX = (1.6, 1.1), (800, 544)
"""Length along x and width along y of the table's top, and the columns and rows that show it."""
DARK_WOOD, LIGHT_WOOD = (187.0, 127.0, 47.0), (233.0, 206.0, 123.0)
WOOD_SHADES = 32
EDGE, EDGE_M = (96.0, 74.0, 36.0), 0.022
"""Colour and width of a dark strip at the table's end behind the robot."""

TILE_PX, TILES_A_SIDE = 96, 2
"""A tile of 0.5 m, and how many the picture has in each direction before it repeats."""
DARK_TILE, LIGHT_TILE = (205.0, 199.0, 189.0), (249.0, 243.0, 232.0)
TILE_SHADES = 20

WALL_M, WALL_PX = (5.0, 3.0), (800, 480)
HEXAGON_M = 0.13
"""Distance between two opposite sides of a hexagon."""
DARK_WALL, LIGHT_WALL = (0.0, 22.0, 34.0), (0.0, 131.0, 128.0)
WALL_SHADES = 32


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]
) -> Floats:
    """Return (rows, columns) values in [0, 1]: a grid of random ones, joined smoothly; it repeats.

    Args:
        rng: where the random values come from.
        shape: rows and columns.
        cells: of the grid, down and across.
    """
    grid = rng.random(cells)
    down, across = (np.arange(n) * (c / n) for n, c in zip(shape, cells, strict=True))
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    y, x = (down - top)[:, None], (across - left)[None, :]
    y, x = y * y * (3 - 2 * y), x * x * (3 - 2 * x)
    below, right = (top + 1) % cells[0], (left + 1) % cells[1]
    upper = grid[np.ix_(top, left)] * (1 - x) + grid[np.ix_(top, right)] * x
    lower = grid[np.ix_(below, left)] * (1 - x) + grid[np.ix_(below, right)] * x
    noise: Floats = upper * (1 - y) + lower * y
    return noise


def draw_wood() -> bytes:
    """Return the table's top: grain along x, dark veins, pores; a dark edge where x is least."""
    rng = np.random.default_rng(SEED)
    shape = TABLE_PX[::-1]
    bend = smooth_noise(rng, shape, (3, 4))
    years = smooth_noise(rng, shape, (60, 5))
    # Veins that the bend shifts sideways: distances across the grain from the nearest.
    across = np.arange(shape[0])[:, None] / shape[0] * 7 + bend * 4
    vein = np.maximum(0.06 - np.abs(across - np.floor(across) - 0.5), 0) / 0.06
    clouds = smooth_noise(rng, shape, (7, 5)) * 0.6 + smooth_noise(rng, shape, (17, 11)) * 0.4
    pores = smooth_noise(rng, shape, (272, 80))
    fine = smooth_noise(rng, shape, (272, 200)) * 0.75 + rng.random(shape) * 0.25
    shade = (
        0.64
        + 0.24 * (years - 0.5)
        + 0.5 * (clouds - 0.5)
        + 0.95 * (fine - 0.5)
        - 0.42 * vein * smooth_noise(rng, shape, (5, 7))
        - 0.6 * np.maximum(pores - 0.7, 0) / 0.3
    )
    index, colours = shaded(shade, DARK_WOOD, LIGHT_WOOD, WOOD_SHADES)
    # What the recorded pictures show at the far end of the table, seen from the front.
    index[:, : round(EDGE_M / TABLE_M[0] * shape[1])] = WOOD_SHADES
    return palette_png(index, np.vstack([colours, [EDGE]]))


def draw_tiles() -> bytes:
    """Return light and dark tiles in turn, cloudy and with a few specks, narrow joints between."""
    rng = np.random.default_rng(SEED + 1)
    side = TILE_PX * TILES_A_SIDE
    row, column = np.mgrid[:side, :side]
    is_light = (row // TILE_PX + column // TILE_PX) % 2 == 0
    square = (side, side)
    clouds, specks = smooth_noise(rng, square, (10, 10)), smooth_noise(rng, square, (96, 96))
    fine = smooth_noise(rng, square, (96, 96))
    shade = np.where(is_light, 0.86, 0.36) + 0.2 * (clouds - 0.5) + 0.36 * (fine - 0.5)
    shade -= np.maximum(specks - 0.9, 0) * 4
    is_joint = (row % TILE_PX == 0) | (column % TILE_PX == 0)
    shade[is_joint] -= 0.12
    return palette_png(*shaded(shade, DARK_TILE, LIGHT_TILE, TILE_SHADES))


def draw_hexagons() -> bytes:
    """Return the wall: hexagons of many shades between dark joints, the lower the darker."""
    rng = np.random.default_rng(SEED + 2)
    columns, rows = WALL_PX
    scale = WALL_M[0] / columns / HEXAGON_M  # from pixels to widths of a hexagon
    x, y = (np.arange(n)[None, :] * scale for n in (columns, rows))
    y = y.T
    # Centres form two grids, each sqrt(3) wide and 1 high; a point belongs to the nearest.
    wide = 3**0.5
    number, gap = [], []
    for shift in (0.0, 0.5):
        i, j = np.floor(x / wide - shift + 0.5), np.floor(y - shift + 0.5)
        dx, dy = np.abs(x - (i + shift) * wide), np.abs(y - (j + shift))
        gap.append(np.maximum(dy, dx * (wide / 2) + dy / 2))
        number.append((i * 128 + j) * 2 + 2 * shift)
    is_first = gap[0] <= gap[1]
    distance = np.where(is_first, *gap)  # 0.5 at a side
    which = np.where(is_first, *number).astype(int)
    tones = rng.random(which.max() + 1)[which]
    height = 1 - y / y.max()  # 0 at the floor
    shade = (0.2 + 0.9 * height) * (0.62 + 0.56 * tones)
    shade += 0.06 * (rng.random((rows, columns)) - 0.5)
    shade = np.where(distance > 0.44, shade * 0.5, shade)
    # The picture's first row is the wall's lower edge.
    return palette_png(*shaded(shade[::-1], DARK_WALL, LIGHT_WALL, WALL_SHADES))


def shaded(
    shade: Floats, dark: Sequence[float], light: Sequence[float], n_shades: int
) -> tuple[Image, Floats]:
    """Return the numbers of colours, and the colours, on the line from `dark` (0) to `light` (1).

    Few shades keep the file small; below 0 and above 1 the line goes on as far as colours can.
    """
    low, high = shade.min(), shade.max()
    index = np.floor((shade - low) / (high - low) * (n_shades - 1) + 0.5).astype(np.uint8)
    levels = low + (high - low) * np.arange(n_shades)[:, None] / (n_shades - 1)
    return index, np.asarray(dark) + levels * (np.asarray(light) - np.asarray(dark))


def palette_png(index: Image, colours: Floats) -> bytes:
    """Return a picture with (N, 3) colours of 0 to 255 as a file."""
    picture = Picture.fromarray(index, "P")
    picture.putpalette(np.clip(np.floor(colours + 0.5), 0, 255).astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "png", optimize=True, bits=8)
    return file.getvalue()


def write(folder: Path = TEXTURES) -> list[Path]:
    """Write the textures of the base scene and return their paths."""
    pictures = {WOOD: draw_wood(), TILES: draw_tiles(), HEXAGONS: draw_hexagons()}
    return write_files(folder, pictures)


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:2]))
