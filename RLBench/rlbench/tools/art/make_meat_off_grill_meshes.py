"""Write the drawn parts of meat_off_grill: lid, bars, drumstick, steak and their textures.

`python -m rlbench.tools.art.make_meat_off_grill_meshes` writes task_mjcf/meshes/meat_off_grill_*,
the same meshes and pixels each time. Lengths are metres; a mesh stands in the frame of the body
that carries it.
"""

import sys
from pathlib import Path

import numpy as np

from rlbench.engines.files import png_bytes
from rlbench.tools.art.obj_files import (
    MESHES,
    Floats,
    Image,
    Ints,
    capped,
    join,
    obj_text,
    ring_faces,
    write_files,
)

PREFIX = "meat_off_grill"
Mesh = tuple[Floats, Ints]
Textured = tuple[Floats, Ints, Floats]

# The lid: half a tube, open towards -x, its axis along z.
LID_CENTRE, LID_RADIUS, LID_LENGTH, LID_SHEET = -0.0484, 0.0968, 0.2932, 0.003
LID_STEPS = 16

# Bars run along z of grill_visual, whose y is up and whose x looks to the robot.
BAR_WIDTH, BAR_HEIGHT = 0.0044, 0.006
FIRE_BARS = (0.15547, np.linspace(-0.0915, 0.0965, 16), (-0.2685, 0.0235))
SIDE_BARS = (0.17747, np.linspace(-0.0765, 0.0705, 13), (0.059, 0.266))
"""Height of a rack's bars, their x, and where they begin and end."""

# The drumstick along x: stations of (x, radius, middle's y); z is squeezed and cut flat below.
DRUMSTICK = np.array(
    [
        (0.0552, 0.0030, 0.0050),
        (0.0530, 0.0105, 0.0050),
        (0.0475, 0.0180, 0.0050),
        (0.0390, 0.0232, 0.0050),
        (0.0288, 0.0250, 0.0050),
        (0.0180, 0.0238, 0.0048),
        (0.0060, 0.0200, 0.0040),
        (-0.0060, 0.0152, 0.0026),
        (-0.0180, 0.0110, 0.0012),
        (-0.0280, 0.0086, 0.0004),
        (-0.0330, 0.0070, 0.0000),
        (-0.0335, 0.0030, 0.0000),
    ]
)
DRUMSTICK_SQUEEZE, DRUMSTICK_RISE, DRUMSTICK_FLOOR = 0.88, 0.0008, -0.0212
BONE = np.array(
    [
        (-0.0290, 0.0054),
        (-0.0540, 0.0050),
        (-0.0585, 0.0080),
        (-0.0630, 0.0078),
        (-0.0655, 0.0040),
    ]
)

# The steak: a rounded slab; a lobe and a notch keep it from being an egg.
STEAK_MIDDLE, STEAK_HALF, STEAK_THICKNESS = np.array([0.0170, -0.0045]), (0.0570, 0.0310), 0.026
STEAK_SIDES, STEAK_BEVEL = 36, 0.004
STEAK_PICTURE = (0.12, 0.08)
"""Length and width of the texture's picture, centred on `STEAK_MIDDLE`."""

CHAR, GLOW, FLAME = (26, 22, 21), (176, 58, 22), (232, 130, 46)
SKIN, CRUST, JUICE = (172, 104, 48), (112, 58, 24), (206, 146, 78)
FLESH, SEARED, FAT = (142, 62, 48), (96, 42, 32), (232, 206, 176)


def box(low: Floats, high: Floats) -> Mesh:
    """Return an axis-aligned box."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    rings = np.array([np.column_stack([corners, np.full(4, z)]) for z in (0.0, 1.0)])
    return capped(low + rings * (high - low))


def lid() -> Mesh:
    """Return a half tube of thin sheet with closed ends, hollow."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, LID_STEPS + 1)
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    middle = np.array([LID_CENTRE, 0.0])
    outer, inner = arc * LID_RADIUS, arc * (LID_RADIUS - LID_SHEET)
    section = np.concatenate([outer, inner[::-1]]) + middle
    half = LID_LENGTH / 2
    rings = np.array([np.column_stack([section, np.full(len(section), z)]) for z in (-half, half)])
    points = rings.reshape(-1, 3)
    tube = points, ring_faces(2, len(section))[:, ::-1]
    caps = []
    for low, high in ((-half, LID_SHEET - half), (half - LID_SHEET, half)):
        disc = outer + middle
        caps.append(
            capped(np.array([np.column_stack([disc, np.full(len(disc), z)]) for z in (low, high)]))
        )
    return join(tube, *caps)


def bars() -> Mesh:
    """Return the bars over the fire and those of the side rack."""
    parts = []
    for height, places, (start, end) in (FIRE_BARS, SIDE_BARS):
        for x in places:
            low = np.array([x - BAR_WIDTH / 2, height, start])
            parts.append(box(low, low + np.array([BAR_WIDTH, BAR_HEIGHT, end - start])))
    return join(*parts)


def drumstick() -> Textured:
    """Return the meat of the drumstick, lying flat, skin texture around it."""
    sides = 24
    phi = 2 * np.pi * np.arange(sides + 1) / sides
    x, radius, y = (column[:, None] for column in DRUMSTICK.T)
    rings = np.stack(
        [
            np.broadcast_to(x, (len(x), sides + 1)),
            y + radius * np.cos(phi),
            np.maximum(DRUMSTICK_RISE + DRUMSTICK_SQUEEZE * radius * np.sin(phi), DRUMSTICK_FLOOR),
        ],
        axis=-1,
    )
    u, v = np.meshgrid(phi / (2 * np.pi), (0.06 - DRUMSTICK[:, 0]) / 0.1)
    points, faces = capped(rings)
    ends = [(0.5, v[0, 0]), (0.5, v[-1, 0])]
    # x falls from station to station: seen from outside the rings turn the other way.
    return points, faces[:, ::-1], np.concatenate([np.stack([u, v], -1).reshape(-1, 2), ends])


def bone() -> Mesh:
    """Return the bone that sticks out of the drumstick."""
    phi = 2 * np.pi * np.arange(12) / 12
    x, radius = (column[:, None] for column in BONE.T)
    rings = np.stack(
        [
            np.broadcast_to(x, (len(x), 12)),
            radius * np.cos(phi),
            DRUMSTICK_RISE + radius * np.sin(phi),
        ],
        axis=-1,
    )
    points, faces = capped(rings)
    return points, faces[:, ::-1]


def steak() -> Textured:
    """Return the steak, its picture laid on from above."""
    phi = 2 * np.pi * np.arange(STEAK_SIDES) / STEAK_SIDES
    # Between an ellipse and a rectangle, so that the long sides are nearly straight.
    shape = (np.abs(np.cos(phi)) ** 2.7 + np.abs(np.sin(phi)) ** 2.7) ** (-1 / 2.7)
    lobe = 1 - 0.10 * np.exp(-((np.angle(np.exp(1j * (phi - 0.75))) / 0.35) ** 2))
    outline = np.stack([np.cos(phi), np.sin(phi)], 1) * (shape * lobe)[:, None] * STEAK_HALF
    half = STEAK_THICKNESS / 2
    levels = [(-half, STEAK_BEVEL), (STEAK_BEVEL - half, 0.0), (half - STEAK_BEVEL, 0.0)]
    levels.append((half, STEAK_BEVEL))
    rings = []
    for z, inset in levels:
        ring = STEAK_MIDDLE + outline * (1 - inset / np.array(STEAK_HALF))
        rings.append(np.column_stack([ring, np.full(STEAK_SIDES, z)]))
    points, faces = capped(np.array(rings))
    return points, faces, (points[:, :2] - STEAK_MIDDLE) / STEAK_PICTURE + 0.5


def clouds(shape: tuple[int, int], cells: tuple[int, int], seed: int) -> Floats:
    """Return smooth noise in [0, 1] of (H, W) pixels from a coarse random grid."""
    grid = np.random.default_rng(seed).uniform(size=(cells[0] + 1, cells[1] + 1))
    rows, columns = (np.linspace(0, c, n) for c, n in zip(cells, shape, strict=True))
    across = np.array([np.interp(columns, np.arange(cells[1] + 1), row) for row in grid])
    down = [np.interp(rows, np.arange(cells[0] + 1), column) for column in across.T]
    return np.stack(down, axis=1)


def mix(first: Floats | tuple[int, ...], second: tuple[int, ...], share: Floats) -> Floats:
    """Blend colours by a (H, W) share of the second in [0, 1]."""
    share = np.clip(share, 0.0, 1.0)[..., None]
    blend: Floats = (1 - share) * np.asarray(first, float) + share * np.array(second, float)
    return blend


def embers() -> Image:
    """Return (48, 72, 3) glowing coal."""
    size = (48, 72)
    heat = 0.6 * clouds(size, (9, 13), 3) + 0.4 * clouds(size, (20, 30), 4)
    picture = mix(CHAR, GLOW, (heat - 0.40) / 0.10)
    return mix(picture, FLAME, (heat - 0.60) / 0.10).astype(np.uint8)


def skin() -> Image:
    """Return (48, 48, 3) roasted skin: spots, darker towards the bone; columns close."""
    size = (48, 48)
    spots = clouds(size, (10, 12), 5)
    spots = 0.5 * (spots + spots[:, ::-1])
    picture = mix(SKIN, CRUST, (spots - 0.45) / 0.25)
    picture = mix(picture, JUICE, (0.36 - spots) / 0.10)
    along = np.broadcast_to(np.linspace(0, 1, size[0])[::-1, None], size)
    return mix(picture, CRUST, (along - 0.70) / 0.35).astype(np.uint8)


def marbled() -> Image:
    """Return (48, 72, 3) steak from above: marbling, searing stripes, a rim of fat."""
    size = (48, 72)
    y, x = np.mgrid[:48, :72]
    u, v = (x + 0.5) / 72 - 0.5, 0.5 - (y + 0.5) / 48
    veins = np.abs(clouds(size, (7, 9), 6) - 0.5)
    picture = mix(FLESH, FAT, 0.8 * (0.045 - veins) / 0.045)
    picture = mix(picture, SEARED, 0.75 * (np.cos(2 * np.pi * (u * 9 + v * 3)) > 0.55))
    edge = np.hypot(u * STEAK_PICTURE[0] / STEAK_HALF[0], v * STEAK_PICTURE[1] / STEAK_HALF[1])
    rim = (edge - 0.84) / 0.06 * (v > -0.12 + 0.25 * np.abs(u))
    return mix(picture, FAT, rim).astype(np.uint8)


def write(folder: Path = MESHES) -> list[Path]:
    """Write all meshes and textures of the task and return their paths."""
    drawn: dict[str, tuple[Floats, Ints] | tuple[Floats, Ints, Floats]] = {
        "lid": lid(),
        "bars": bars(),
        "drumstick": drumstick(),
        "bone": bone(),
        "steak": steak(),
    }
    painted = {"embers": embers(), "skin": skin(), "marbled": marbled()}
    files: dict[str, str | bytes] = {f"{PREFIX}_{n}.obj": obj_text(*m) for n, m in drawn.items()}
    files |= {f"{PREFIX}_{n}.png": png_bytes(i, level=9) for n, i in painted.items()}
    return write_files(folder, files)


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:2]))
