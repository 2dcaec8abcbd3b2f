"""Turn the plain values of a calibration file into arrays; each fault is one line."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.lenses import FISHEYE, FISHEYE_COUNT, PINHOLE
from pose_obj_3d.importing.calibrations.types import Camera, Floats
from pose_obj_3d.lifting.track_files.members import DISTORTION_COUNTS

MAX_BYTES = 4 << 20  # of a file; those of a hundred cameras are far smaller
MAX_NUMBERS = 1000  # of one value


def read_text(path: Path) -> str:
    """Read a small text file.

    Raises:
        DataError: It cannot be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(raw) > MAX_BYTES:
        raise DataError(
            f"{path}: has more than {MAX_BYTES >> 20} MiB; no calibration is that large"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text ({error.reason} at byte {error.start})") from error


def numbers(where: str, value: object) -> Floats:
    """Return all numbers of nested lists in one row, (n,).

    Args:
        where: File, camera and key; for messages.
        value: Lists of numbers, or of texts that are numbers; an array.

    Raises:
        DataError: There is something else in it, or too much.
    """
    found: list[float] = []
    todo: list[Any] = [value.tolist() if isinstance(value, np.ndarray) else value]
    while todo:
        item = todo.pop()
        if isinstance(item, list | tuple):
            todo.extend(reversed(item))
            continue
        try:
            if isinstance(item, bool) or not isinstance(item, int | float | str):
                raise ValueError
            found.append(float(item))
        except (ValueError, OverflowError):
            raise DataError(f"{where} must hold numbers, found {str(item)[:40]!r}") from None
        if len(found) > MAX_NUMBERS:
            raise DataError(f"{where} has more than {MAX_NUMBERS} numbers")
    return np.array(found)


def matrix(where: str, value: object, rows: int, columns: int) -> Floats:
    """Return a matrix (rows, columns).

    Raises:
        DataError: It has another number of numbers.
    """
    found = numbers(where, value)
    if found.size != rows * columns:
        raise DataError(f"{where} must have {rows} x {columns} numbers, found {found.size}")
    return found.reshape(rows, columns)


def pose(where: str, rotation: object, translation: object) -> Floats:
    """Return [R | t] (3, 4).

    Args:
        where: File and camera; for messages.
        rotation: A rotation vector of 3 numbers, or a matrix of 9.
        translation: 3 numbers.

    Raises:
        DataError: One is something else.
    """
    turn = numbers(f"{where}: rotation", rotation)
    if turn.size not in (3, 9) or not np.isfinite(turn).all():
        raise DataError(
            f"{where}: rotation must be a vector of 3 or a matrix of 9 finite numbers, found"
            f" {turn.size}: {turn[:9].tolist()}"
        )
    R = turn.reshape(3, 3) if turn.size == 9 else cv2.Rodrigues(turn)[0]
    t = matrix(f"{where}: translation", translation, 3, 1)
    return np.concatenate([np.asarray(R, np.float64), t], axis=1)


def distortion(where: str, value: object, lens: str) -> Floats:
    """Return OpenCV's coefficients (14,), filled up with 0.

    Raises:
        DataError: Their number is none that OpenCV has.
    """
    found = numbers(f"{where}: distortion", [] if value is None else value)
    allowed = (FISHEYE_COUNT,) if lens == FISHEYE else DISTORTION_COUNTS
    used = np.trim_zeros(found, "b")
    if used.size > max(allowed) or (found.size not in allowed and used.size > min(allowed)):
        listed = ", ".join(str(n) for n in allowed)
        raise DataError(
            f"{where}: a {lens} lens has {listed} distortion coefficients, found {found.size}"
        )
    filled = np.zeros(max(DISTORTION_COUNTS))
    filled[: used.size] = used
    return filled


def image_size(where: str, value: object) -> tuple[int, int] | None:
    """Return width and height [px]; None where there is no value.

    Raises:
        DataError: They are no two positive numbers.
    """
    if value is None:
        return None
    found = numbers(f"{where}: size", value)
    if found.size != 2 or not np.isfinite(found).all() or found.min() < 1 or found.max() > 1e6:
        raise DataError(f"{where}: size must be width and height [px], found {found[:4].tolist()}")
    return int(found[0]), int(found[1])


def camera(
    source: str,
    name: str,
    values: dict[str, Any],
) -> Camera:
    """Make a camera of what a file says of it.

    Args:
        source: The file; for messages.
        name: The camera.
        values: `matrix` (3, 3); `distortion`, `rotation`, `translation`, `size` or None;
            `fisheye` true or false.

    Raises:
        DataError: A value is not what it must be.
    """
    where = f"{source}: {name[:80]}"
    lens = FISHEYE if values.get("fisheye") else PINHOLE
    has_pose = values.get("rotation") is not None and values.get("translation") is not None
    return Camera(
        name=name,
        intrinsics=matrix(f"{where}: matrix", values["matrix"], 3, 3),
        extrinsics=pose(where, values["rotation"], values["translation"]) if has_pose else None,
        distortion=distortion(where, values.get("distortion"), lens),
        lens=lens,
        size=image_size(where, values.get("size")),
    )
