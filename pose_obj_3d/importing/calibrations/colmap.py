"""Cameras of COLMAP's text export: `cameras.txt` and `images.txt` in one folder.

Poses are world to camera, the quaternion as w x y z. COLMAP's pixel (0, 0) is the corner of the
upper left pixel, OpenCV's is its centre: half a pixel is taken from the image centre. The scale of
the world is unknown unless the user has set it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.lenses import FISHEYE, PINHOLE
from pose_obj_3d.importing.calibrations.types import Camera, CameraFile, Floats
from pose_obj_3d.importing.calibrations.values import image_size

CAMERAS, IMAGES = "cameras.txt", "images.txt"
MAX_LINE = 64 << 20  # characters: one line has all points of an image
MAX_IMAGES = 1000
_CORNER = 0.5  # px from the corner of a pixel to its centre
# Model: number of focal lengths, number of coefficients, lens. The coefficients are OpenCV's.
_MODELS = {
    "SIMPLE_PINHOLE": (1, 0, PINHOLE),
    "PINHOLE": (2, 0, PINHOLE),
    "SIMPLE_RADIAL": (1, 1, PINHOLE),
    "RADIAL": (1, 2, PINHOLE),
    "OPENCV": (2, 4, PINHOLE),
    "FULL_OPENCV": (2, 8, PINHOLE),
    "SIMPLE_FISHEYE": (1, 0, FISHEYE),
    "FISHEYE": (2, 0, FISHEYE),
    "SIMPLE_RADIAL_FISHEYE": (1, 1, FISHEYE),
    "RADIAL_FISHEYE": (1, 2, FISHEYE),
    "OPENCV_FISHEYE": (2, 4, FISHEYE),
}
_ADVICE = "export the model as text again, with COLMAP's model_converter --output_type TXT"


def read_colmap(folder: Path) -> CameraFile:
    """Read a folder.

    Raises:
        DataError: A file is missing or damaged, or a camera has a model that OpenCV lacks.
    """
    models = {}
    for line in _lines(folder / CAMERAS):
        if line:
            key, model = _camera_model(folder / CAMERAS, line)
            models[key] = model
            _few(folder / CAMERAS, len(models))
    poses = _poses(folder / IMAGES)
    names = _short_names([name for name, _, _ in poses])
    cameras = []
    for name, (image, key, extrinsics) in zip(names, poses, strict=True):
        if key not in models:
            raise DataError(
                f"{folder / IMAGES}: image {image[:80]!r} has camera {key[:20]}, which is not in"
                f" {CAMERAS}; {_ADVICE}"
            )
        intrinsics, distortion, lens, size = models[key]
        cameras.append(Camera(name, intrinsics, extrinsics, distortion, lens, size))
    if not cameras:
        raise DataError(f"{folder / IMAGES}: no image in it; {_ADVICE}")
    return CameraFile(str(folder), "COLMAP", cameras, None, [])


def _lines(path: Path) -> Iterator[str]:
    """Give the lines without comments; empty ones too."""
    try:
        with path.open("rb") as file:
            while raw := file.readline(MAX_LINE):
                line = raw.decode("utf-8").strip()
                if not line.startswith("#"):
                    yield line
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "no text"
        raise DataError(f"{path}: cannot be read ({what}); {_ADVICE}") from error


def _few(path: Path, count: int) -> None:
    if count > MAX_IMAGES:
        raise DataError(
            f"{path}: has more than {MAX_IMAGES} entries; keep one image of each camera: a camera"
            " that moves has no single pose"
        )


def _floats(path: Path, line: str, texts: list[str]) -> Floats:
    try:
        found = np.array([float(text) for text in texts])
    except ValueError:
        found = np.array([np.nan])
    if not np.isfinite(found).all():
        raise DataError(f"{path}: damaged line {line[:80]!r}; {_ADVICE}")
    return found


def _camera_model(
    path: Path, line: str
) -> tuple[str, tuple[Floats, Floats, str, tuple[int, int] | None]]:
    parts = line.split()
    if len(parts) < 5:
        raise DataError(f"{path}: damaged line {line[:80]!r}; {_ADVICE}")
    key, model, width, height, *rest = parts
    if model not in _MODELS:
        raise DataError(
            f"{path}: camera {key[:20]} has the model {model[:40]!r}, which OpenCV's coefficients"
            f" cannot describe; allowed: {', '.join(_MODELS)}; reconstruct with one of them"
        )
    focals, count, lens = _MODELS[model]
    numbers = _floats(path, line, rest)
    if len(numbers) != focals + 2 + count:
        raise DataError(
            f"{path}: camera {key[:20]}: {model} has {focals + 2 + count} parameters, found"
            f" {len(numbers)}; {_ADVICE}"
        )
    K = np.eye(3)
    K[0, 0], K[1, 1] = numbers[0], numbers[focals - 1]
    K[:2, 2] = numbers[focals : focals + 2] - _CORNER
    distortion = np.zeros(14)
    distortion[:count] = numbers[focals + 2 :]
    size = image_size(f"{path}: camera {key[:20]}", [width, height])
    return key, (K, distortion, lens, size)


def _poses(path: Path) -> list[tuple[str, str, Floats]]:
    """Return name, camera and pose of each image; every second line has its points."""
    found: list[tuple[str, str, Floats]] = []
    lines = _lines(path)
    for line in lines:
        if not line:
            continue
        parts = line.split(maxsplit=9)
        if len(parts) < 10:
            raise DataError(
                f"{path}: {line[:80]!r} is no line of an image: id, quaternion w x y z,"
                f" translation, camera, name; {_ADVICE}"
            )
        numbers = _floats(path, line, parts[1:8])
        found.append((parts[9], parts[8], _pose(path, parts[9], numbers)))
        _few(path, len(found))
        next(lines, "")  # the image's points
    return found


def _pose(path: Path, name: str, numbers: Floats) -> Floats:
    length = float(np.linalg.norm(numbers[:4]))
    if not 0.5 < length < 2:
        raise DataError(f"{path}: image {name[:80]!r} has no rotation: {numbers[:4].tolist()}")
    w, x, y, z = numbers[:4] / length
    R = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.concatenate([R, numbers[4:, None]], axis=1)


def _short_names(images: list[str]) -> list[str]:
    """Name cameras by their images: the stem, or the folder where stems repeat, or the whole."""
    parts = [Path(image) for image in images]
    for names in ([p.stem for p in parts], [p.parent.name for p in parts]):
        if len(set(names)) == len(names) and all(names):
            return names
    return [str(p.with_suffix("")).replace("/", "_") for p in parts]
