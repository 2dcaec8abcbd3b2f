"""Meshes and textures as files: what the scripts that draw scenes share.

Meshes are the same text on every machine, since their numbers are rounded; pictures have the same
pixels.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

MESHES = Path(__file__).resolve().parents[2] / "task_mjcf" / "meshes"
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Image = npt.NDArray[np.uint8]


def ring_faces(rows: int, columns: int) -> Ints:
    """Return triangles of a (rows, columns) grid of points, closed along the columns."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b = index[:-1], index[1:]
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    return np.stack([np.stack([a, b, b2], -1), np.stack([a, b2, a2], -1)]).reshape(-1, 3)


def capped(rings: Floats) -> tuple[Floats, Ints]:
    """Join (R, C, 3) rings that turn right-handed about the way they go, both ends closed."""
    rows, columns, _ = rings.shape
    points = np.concatenate([rings.reshape(-1, 3), rings[[0, -1]].mean(axis=1)])
    k = np.arange(columns)
    first, last = rows * columns, rows * columns + 1
    start = np.stack([np.full(columns, first), np.roll(k, -1), k], axis=1)
    offset = (rows - 1) * columns
    end = np.stack([np.full(columns, last), k + offset, np.roll(k, -1) + offset], axis=1)
    return points, np.concatenate([ring_faces(rows, columns)[:, ::-1], start, end])


def join(*meshes: tuple[Floats, Ints]) -> tuple[Floats, Ints]:
    """Put meshes side by side into one."""
    starts = np.cumsum([0] + [len(points) for points, _ in meshes[:-1]])
    faces = [faces + start for (_, faces), start in zip(meshes, starts, strict=True)]
    return np.concatenate([points for points, _ in meshes]), np.concatenate(faces)


def obj_text(points: Floats, faces: Ints, texture: Floats | None = None) -> str:
    """Return a mesh as the text of a Wavefront file, rounded to 0.01 mm.

    Args:
        points: (N, 3) vertices [m].
        faces: (M, 3) indices, counter-clockwise from outside.
        texture: (N, 2) texture points, or None.
    """
    # Adding zero turns -0 into 0.
    lines = ["v {:.5f} {:.5f} {:.5f}".format(*row) for row in np.round(points, 5) + 0.0]
    if texture is None:
        lines += ["f {} {} {}".format(*row) for row in faces + 1]
    else:
        lines += ["vt {:.4f} {:.4f}".format(*row) for row in np.round(texture, 4) + 0.0]
        lines += ["f {0}/{0} {1}/{1} {2}/{2}".format(*row) for row in faces + 1]
    return "\n".join(lines) + "\n"


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write meshes (text) and textures (bytes) by name; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode("ascii") if isinstance(content, str) else content
        (folder / name).write_bytes(data)
    return [folder / name for name in files]
