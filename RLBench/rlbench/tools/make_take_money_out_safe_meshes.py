"""Draw the printed note on top of the money stacks.

`python -m rlbench.tools.make_take_money_out_safe_meshes` writes
task_mjcf/meshes/take_money_out_safe_note.png, the same bytes on every machine.
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

MESHES = Path(__file__).resolve().parent.parent / "task_mjcf" / "meshes"
NOTE = "take_money_out_safe_note.png"
WIDTH, HEIGHT = 48, 112  # [px], the note's short and long side: 53 x 125 mm
PAPER, PRINT, INK = (170, 184, 136), (122, 138, 104), (34, 42, 34)
Image = npt.NDArray[np.uint8]


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


def png_bytes(image: Image) -> bytes:
    """Encode (H, W, 3) rgb as PNG, uncompressed: compressors differ between machines."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    height, width, _ = image.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 0))
        + chunk(b"IEND", b"")
    )


def main(folder: Path = MESHES) -> None:
    """Write the texture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTE).write_bytes(png_bytes(draw_note()))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
