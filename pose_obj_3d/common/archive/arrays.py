"""The arrays of `sim_all_formal.npz`: the channels of a track, and the checks of every number.

`formal.py` has the schema of the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive.meta import (
    CALIBRATION_NAMES,
    CALIBRATIONS,
    Meta,
    check_meta,
    check_split_numbers,
)
from pose_obj_3d.common.errors import FormalError

NUM_CHANNELS = 8
UV_EXACT = slice(0, 2)  # exact projection [px], rounded to 1/1024 px
UV_DETECTED = slice(2, 4)  # detector-like 2D [px], rounded to 1/16 px; both NaN = no detection
XYZ_WORLD = slice(4, 7)  # [m], the same in every view, rounded to 2^-17 m
VISIBILITY = 7  # 1 seen; 0.5 in the image but hidden; 0 outside the image or behind the camera
CHANNELS = ("u_exact", "v_exact", "u_detected", "v_detected", "x", "y", "z", "visibility")
MAX_LENS_PX = 1e6
MAX_PX, MAX_M = 1e9, 1e6  # of coordinates; the exact ones of a point beside a camera are large
MAX_STRETCH = 0.01  # of a rotation: R R^T - 1
_LIMITS = np.array([MAX_PX] * 4 + [MAX_M] * 3 + [1], np.float32)
_PIECE = 2**22  # numbers of an example that are checked at once; bounds the memory

Array = npt.NDArray[Any]


class Shaped(Protocol):
    """An array, or what its header says of it."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its lengths."""


def validate(path: Path, counts: Mapping[int, int], meta: Meta, K: Array, E: Array) -> None:
    """Check `meta`, calibration, and the names and split of each task.

    Args:
        path: The archive; for messages.
        counts: Task id -> number of examples.
        meta: With all fields.
        K: Intrinsics (V, 3, 3) [px]; with calibrations by example (R, V, 3, 3).
        E: Extrinsics (V, 3, 4), world to camera [m]; or (R, V, 3, 4).

    Raises:
        FormalError: Something is not as it must be; the message names it.
    """
    if not counts:
        raise FormalError(f"{path}: no examples; at least one task with 3 examples is needed")
    try:
        check_meta(meta)
    except FormalError as error:
        raise FormalError(f"{path}: {error}") from error
    V = len(meta["camera_names"])
    by_example = meta.get(CALIBRATIONS)
    many = () if by_example is None else (len(meta[CALIBRATION_NAMES]),)
    shapes = (*many, V, 3, 3), (*many, V, 3, 4)
    for name, array, shape in (("intrinsics", K, shapes[0]), ("extrinsics", E, shapes[1])):
        if array.shape != shape or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise FormalError(
                f"{path}: {name} must be finite {shape} for {V} cameras, found {array.dtype}, shape"
                f" {array.shape}; convert the data again"
            )
    _check_calibration(path, K.reshape(-1, 3, 3), E.reshape(-1, 3, 4))
    if V < 2:
        raise FormalError(f"{path}: {V} view(s); 3D needs at least two cameras (track_cams)")
    for task, n in counts.items():
        key = f"T{task}"
        for name in ("keypoint_names", "task_names", "split"):
            if key not in meta[name]:
                raise FormalError(
                    f"{path}: meta['{name}'] lacks {key}; it has {sorted(meta[name])}"
                )
        check_split_numbers(f"{path}: split of {key}", meta["split"][key], n)
        if by_example is not None and len(by_example.get(key, ())) != n:
            raise FormalError(
                f"{path}: meta['{CALIBRATIONS}'] of {key} has {len(by_example.get(key, ()))}"
                f" numbers; the task has {n} example(s)"
            )


def _check_calibration(path: Path, K: Array, E: Array) -> None:
    """Check that focal lengths and lengths are usable, and that rotations are rotations."""
    focal = np.abs(K[:, [0, 1], [0, 1]])
    is_upper = (K[:, 2] == [0, 0, 1]).all() and (K[:, 1, 0] == 0).all()
    if not is_upper or focal.min() < 1 / MAX_LENS_PX or np.abs(K).max() > MAX_LENS_PX:
        raise FormalError(
            f"{path}: intrinsics must be [[fx, s, cx], [0, fy, cy], [0, 0, 1]] [px], found"
            f" {K.min():g} to {K.max():g}"
        )
    R = E[:, :, :3].astype(np.float64)
    if np.abs(E).max() > MAX_M or np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max() > MAX_STRETCH:
        raise FormalError(
            f"{path}: extrinsics must be [R | t], world to camera [m], with R a rotation"
        )


def expected_shape(meta: Meta, task: int) -> tuple[int, int]:
    """Return the numbers of views and of keypoints of a task's examples."""
    return len(meta["camera_names"]), len(meta["keypoint_names"][f"T{task}"])


def check_shape(where: str, expected: tuple[int, int], x: Shaped) -> None:
    """Check an example's type and shape, before its numbers are unpacked."""
    views, keypoints = expected
    if x.dtype != np.float32 or len(x.shape) != 4:
        raise FormalError(f"{where} must be float32 (V, T, K, 8), found {x.dtype} {x.shape}")
    if (
        x.shape[0] != views
        or x.shape[1] < 1
        or x.shape[2] != keypoints
        or x.shape[3] != NUM_CHANNELS
    ):
        raise FormalError(
            f"{where} has shape {x.shape}; expected ({views} views, frames, {keypoints} keypoints,"
            f" {NUM_CHANNELS})"
        )


def _missed(x: Array) -> npt.NDArray[np.bool_]:
    """Return the detections (V, T, K, 8) that are NaN in both coordinates."""
    missed = np.zeros(x.shape, bool)
    missed[..., UV_DETECTED] = np.isnan(x[..., UV_DETECTED]).all(axis=-1, keepdims=True)
    return missed


def check_values(where: str, x: Array) -> None:
    """Check an example's numbers: finite, except for missed detections; visibility 0, 0.5, 1."""
    frames = max(1, _PIECE // max(1, x[:, 0].size))
    for start in range(0, x.shape[1], frames):
        part = x[:, start : start + frames]
        sound = np.abs(part) <= _LIMITS  # false for NaN
        # Both NaN is a keypoint that the detector missed.
        if not sound.all() and (bad := ~(sound | _missed(part))).any():
            v, t, k, c = np.argwhere(bad)[0]
            value, limit = part[v, t, k, c], _LIMITS[c]
            what = f"{value:g}, above {limit:g}," if np.isfinite(value) else "not finite"
            raise FormalError(
                f"{where} is {what} at view {v}, frame {start + t}, keypoint {k}, {CHANNELS[c]}"
            )
        seen = part[..., VISIBILITY]
        if not ((seen == 0) | (seen == 0.5) | (seen == 1)).all():
            raise FormalError(f"{where}: visibility must be 0, 0.5 or 1")
