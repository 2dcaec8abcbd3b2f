"""Which features of a LeRobot data set hold what, and the cameras that they describe."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common import lerobot_names as names
from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.names import some_names
from pose_obj_3d.importing.lerobot_folder import LeRobotFolder

CAMERA = "{camera}"
MAX_CALIBRATION_BYTES = 1 << 20
MAX_SIDE = 100_000  # [px]
SAME = 1e-4
"""How much a camera that stands still may differ between frames, relative or absolute."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mapped:
    """Names of features; `{camera}` stands for each camera's name.

    Attributes:
        uv: (K, 2) [px], (2 K,), or (K, 3) with a confidence, 0 where nothing was detected.
        visibility: (K,) 1, 0.5 or 0; may be missing.
        xyz: (K, 3) [m], world; may be missing.
        intrinsics: (3, 3) or (9,) [px].
        extrinsics: (3, 4), (12,), (4, 4) or (16,), world to camera [m], OpenCV's axes.
        image: Colour images, whose shape gives the size; may be missing.
    """

    uv: str = names.UV
    visibility: str = names.VISIBILITY
    xyz: str = names.XYZ
    intrinsics: str = names.INTRINSICS
    extrinsics: str = names.EXTRINSICS
    image: str = names.IMAGE

    def __post_init__(self) -> None:
        """Check that each camera has its own."""
        for name in ("uv", "visibility", "intrinsics", "extrinsics", "image"):
            given = getattr(self, name)
            if given.count(CAMERA) != 1:
                raise ConfigError(f"--{name} is {given!r}; it must hold {CAMERA} once")

    def of(self, name: str, camera: str) -> str:
        """Give the feature of a camera."""
        pattern: str = getattr(self, name)
        return pattern.replace(CAMERA, camera)


@dataclass(frozen=True)
class Camera:
    """A calibrated camera that stands still; None: the features of the frames say it."""

    name: str
    image_size: tuple[int, int]
    intrinsics: Floats | None
    extrinsics: Floats | None


def find_cameras(
    folder: LeRobotFolder,
    mapped: Mapped,
    wanted: Sequence[str] | None,
    calibration: Path | None,
    image_size: Sequence[int] | None,
) -> list[Camera]:
    """Find the cameras that have keypoints, and their calibration.

    Args:
        folder: The data set.
        mapped: Names of features.
        wanted: Names of cameras; None for all.
        calibration: JSON file with a calibration for each camera; None: features hold it.
        image_size: Width, height [px], where neither tells it.

    Raises:
        DataError: There are less than two, or something of one is missing.
    """
    given = _read_calibration(calibration) if calibration else {}
    start, end = mapped.uv.split(CAMERA)
    there = [
        f[len(start) : len(f) - len(end)]
        for f in folder.features
        if f.startswith(start) and f.endswith(end) and len(f) > len(start) + len(end)
    ]
    chosen = list(dict.fromkeys(wanted or there))
    if len(chosen) < 2:
        raise DataError(
            f"{folder.root}: {len(chosen)} camera(s) with features {mapped.uv}; 3D needs two or"
            f" more: name the features with --uv; {some_names(mapped.uv, folder.features)}"
        )
    found = [_camera(folder, mapped, name, given.get(name), image_size) for name in chosen]
    sizes = {c.name: c.image_size for c in found}
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"{folder.root}: image sizes differ ({str(sizes)[:200]}); an archive has one: choose"
            " cameras with --cameras"
        )
    return found


def _camera(
    folder: LeRobotFolder,
    mapped: Mapped,
    name: str,
    given: Mapping[str, Any] | None,
    image_size: Sequence[int] | None,
) -> Camera:
    folder.shape(mapped.of("uv", name))
    K = E = None
    size: object = image_size
    if given is not None:
        K = _matrix(given.get("intrinsics"), f"intrinsics of {name}", (3, 3))
        E = _matrix(given.get("extrinsics"), f"extrinsics of {name}", (3, 4))
        size = given.get("image_size", size)
    else:
        for kind in ("intrinsics", "extrinsics"):
            if mapped.of(kind, name) not in folder.features:
                raise DataError(
                    f"{folder.root}: camera {name} has no feature {mapped.of(kind, name)!r}; name"
                    f" it with --{kind}, or give a file with --calibration"
                )
        size = size or _stated_size(folder, mapped, name)
    if (
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(isinstance(n, int) and 0 < n <= MAX_SIDE for n in size)
    ):
        return Camera(name, (size[0], size[1]), K, E)
    raise DataError(
        f"{folder.root}: the image size of camera {name} is not known; give --image_size WIDTH"
        " HEIGHT"
    )


def _stated_size(folder: LeRobotFolder, mapped: Mapped, name: str) -> object:
    """Give [width, height] as the features say."""
    image = folder.features.get(mapped.of("image", name))
    if image is not None and len(image["shape"]) == 3:
        labels = image.get("names")
        is_last = not (isinstance(labels, list) and labels and str(labels[0]).startswith("chan"))
        height, width = image["shape"][:2] if is_last else image["shape"][1:]
        return [width, height]
    info = folder.features[mapped.of("intrinsics", name)].get("info")
    return info.get("image_size") if isinstance(info, dict) else None


def _read_calibration(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CALIBRATION_BYTES:
            raise DataError(f"{path} is larger than {MAX_CALIBRATION_BYTES} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"--calibration {path} cannot be read: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(c, dict) for c in found.values()):
        raise DataError(
            f'--calibration {path} must hold {{"<camera>": {{"intrinsics": 3 x 3, "extrinsics":'
            ' 3 x 4, "image_size": [width, height]}}'
        )
    return found


def _matrix(value: object, name: str, shape: tuple[int, int]) -> Floats:
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != shape or not np.isfinite(found).all():
        raise DataError(f"--calibration: {name} must be finite numbers of shape {shape}")
    return found


def one_matrix(values: Floats, name: str, rows: int, columns: int) -> Floats:
    """Give the matrix that all frames have.

    Args:
        values: (T, ...) with at least `rows` times `columns` numbers a frame.
        name: For messages.
        rows: Of the matrix.
        columns: Of the matrix.

    Raises:
        DataError: It changes, or has another shape.
    """
    flat = values.reshape(len(values), -1)
    if flat.shape[1] % columns or flat.shape[1] < rows * columns:
        raise DataError(f"{name} has {flat.shape[1]} numbers; {rows} x {columns} are wanted")
    first = flat[0]
    if not np.isfinite(flat).all() or not np.allclose(flat, first, rtol=SAME, atol=SAME):
        raise DataError(
            f"{name} changes from frame to frame; an archive needs cameras that stand still: choose"
            " others with --cameras"
        )
    matrix: Floats = first.reshape(-1, columns)[:rows]
    return matrix
