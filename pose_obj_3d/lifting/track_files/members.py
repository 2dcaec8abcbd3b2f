"""Check each member of a track file, and give it the form in which it is used.

Each function takes `source`, the file's or the caller's name for messages, and the members.
A fault is a DataError that names both.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.geometry.lenses import FISHEYE, FISHEYE_COUNT, LENSES, PINHOLE
from pose_obj_3d.lifting.track_files.axes import explain_axes

logger = logging.getLogger(__name__)
METRES = {"m": 1.0, "mm": 0.001}
DISTORTION_COUNTS = (4, 5, 8, 12, 14)  # OpenCV: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tx ty]]]]
DEFAULT_FPS = 20.0
MAX_VALUE = 1e12  # of any number; squares of larger ones overflow on the way
# Confidence in this range is clipped to 0..1: scores of networks may be a little outside.
SCORE_RANGE = (-0.05, 1.5)
_ROTATION_TOLERANCE = 1e-3

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Members = Mapping[str, Array]


def read_floats(
    source: str,
    members: Members,
    key: str,
    axes: tuple[Any, ...],
    shape: tuple[int, ...],
) -> Floats:
    """Return a numeric member as float64 of a shape (-1 = any length)."""
    x = members[key]
    fits = x.ndim == len(shape) and all(n in (-1, m) for n, m in zip(shape, x.shape, strict=True))
    if not fits or not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
        what = (
            f"hold numbers of shape ({', '.join(str(a) for a in axes)})"
            if axes
            else "be one number"
        )
        raise DataError(
            f"{source}: {key} must {what}, found {x.dtype} {x.shape}; docs/own_videos.md has the"
            " schema"
        )
    x = x.astype(np.float64)
    largest = float(np.abs(x, where=np.isfinite(x), out=np.zeros_like(x)).max(initial=0.0))
    if largest > MAX_VALUE:
        raise DataError(
            f"{source}: {key} has a value of {largest:.3g}; no pixel and no length is beyond"
            f" {MAX_VALUE:g}: write NaN for missing points, and check the unit"
        )
    return x


def read_points(source: str, members: Members) -> Floats:
    """Return the points (V, T, K, 2) [px]; NaN = missing."""
    wrong = explain_axes(members["points"], members)
    if wrong:
        raise DataError(f"{source}: {wrong}")
    points = read_floats(
        source, members, "points", ("views", "frames", "keypoints", 2), (-1, -1, -1, 2)
    )
    if min(points.shape) < 1:
        raise DataError(
            f"{source}: points is empty, {points.shape}; at least one view, frame and keypoint are"
            " needed"
        )
    if np.isinf(points).any():
        raise DataError(f"{source}: points has infinite values; mark missing points by NaN")
    return points


def read_confidence(source: str, members: Members, points: Floats) -> tuple[Floats, list[str]]:
    """Return the confidence, 0 where missing, and lines on what was changed in it."""
    seen = np.asarray(~np.isnan(points).any(-1))
    if "confidence" not in members:
        return seen.astype(np.float64), []
    V, T, K = seen.shape
    axes = (f"{V} views", f"{T} frames", f"{K} keypoints")
    given = read_floats(source, members, "confidence", axes, (V, T, K))
    confidence = np.where(np.isnan(given), 0.0, given)
    low, high = float(confidence.min()), float(confidence.max())
    if low < SCORE_RANGE[0] or high > SCORE_RANGE[1]:
        off = int(((confidence < 0) | (confidence > 1)).sum())
        how = (
            "divide by 100"
            if 1 < high <= 100 and low >= 0
            else "write 0 where missing"
            if high <= SCORE_RANGE[1]
            else "rescale it"
        )
        raise DataError(
            f"{source}: confidence must lie in 0..1, found {low:g} to {high:g} ({off} of"
            f" {confidence.size} outside); {how} (0 = missing)"
        )
    notes = []
    off = int(((confidence < 0) | (confidence > 1)).sum())
    if off:
        notes.append(
            f"{off} of {confidence.size} values of confidence lie a little outside 0..1 ({low:.4g}"
            f" to {high:.4g}): they are clipped"
        )
    lost = int((np.isnan(given) & seen).sum())
    if lost:
        notes.append(f"{lost} points have NaN as confidence: they count as missing; write 0 there")
    return np.where(seen, confidence.clip(0, 1), 0.0), notes


def read_unit(source: str, members: Members, given: str | None) -> str:
    """Return the unit of the extrinsics, `m` or `mm`; `given` counts where no member says it."""
    if "units" not in members:
        return given or "m"
    unit = (
        str(members["units"])
        if members["units"].size == 1
        else f"an array of shape {members['units'].shape}"
    )
    if unit not in METRES:
        raise DataError(
            f"{source}: units is {unit!r}; allowed: {', '.join(METRES)}; convert extrinsics and"
            " truth to one of them"
        )
    if given not in (None, unit):
        raise ConfigError(
            f"--units {given}, but {source} says {unit!r}; leave the flag out or correct the file"
        )
    return unit


def read_names(source: str, members: Members, key: str, count: int, default: str) -> list[str]:
    """Return `count` names; `<default>0`, `<default>1`, ... where there are none."""
    if key not in members:
        return [f"{default}{i}" for i in range(count)]
    x = members[key]
    names = [str(name) for name in x.ravel()[: count + 1]]
    if x.ndim != 1 or len(names) != count or len(set(names)) != count or not all(names):
        raise DataError(
            f"{source}: {key} must be {count} different names, found {x.size}:"
            f" {', '.join(names)[:200]}"
        )
    return names


def read_chosen(source: str, names: list[str], views: Sequence[str]) -> list[int]:
    """Return the numbers of the cameras to use, given by name or number; all when empty."""
    chosen = []
    for view in views or [str(i) for i in range(len(names))]:
        if view in names:
            chosen.append(names.index(view))
        elif view.isdigit() and int(view) < len(names):
            chosen.append(int(view))
        else:
            listed = ", ".join(f"{i} {name}" for i, name in enumerate(names))
            raise ConfigError(f"--views: {view!r} is not in {source}; allowed: {listed}")
    if len(set(chosen)) != len(chosen):
        raise ConfigError(f"--views {' '.join(views)}: a view is named twice; name each once")
    return chosen


def read_intrinsics(source: str, members: Members, V: int, names: list[str]) -> Floats:
    """Return the intrinsics (V, 3, 3) [px]."""
    K = read_floats(source, members, "intrinsics", (f"{V} views", 3, 3), (V, 3, 3))
    bottom = np.abs(K[:, 2] - [0, 0, 1]).max(-1) > 1e-9
    focal = (K[:, 0, 0] <= 0) | (K[:, 1, 1] <= 0)
    skewed = np.abs(K[:, [0, 1], [1, 0]]).max(-1) > 1e-6 * np.abs(K[:, 0, 0])
    for faults, what in (
        (~np.isfinite(K).all((1, 2)), "is not finite"),
        (bottom, "must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] [px]; is it transposed?"),
        (
            focal,
            (
                "has a focal length <= 0; OpenCV's are positive: the axes are x right, y down, z"
                " forward"
            ),
        ),
        (skewed, "has a skew, which is not supported; calibrate without it, as OpenCV does"),
    ):
        if faults.any():
            v = int(np.argmax(faults))
            raise DataError(f"{source}: intrinsics of {names[v]} {what}; found {K[v].tolist()}")
    return K


def read_extrinsics(source: str, members: Members, V: int, names: list[str]) -> Floats:
    """Return the extrinsics (V, 3, 4), world to camera, OpenCV axes, in the file's unit."""
    rows = 4 if members["extrinsics"].ndim == 3 and members["extrinsics"].shape[1] == 4 else 3
    E = read_floats(source, members, "extrinsics", (f"{V} views", "3 or 4", 4), (V, rows, 4))
    R = E[:, :3, :3]
    error = np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
    last = np.zeros(V, bool) if rows == 3 else np.abs(E[:, 3] - [0, 0, 0, 1]).max(-1) > 1e-9
    for faults, what in (
        (~np.isfinite(E).all((1, 2)), "are not finite"),
        (last, "must end with the row [0, 0, 0, 1]; are they transposed?"),
        (
            ~(error <= _ROTATION_TOLERANCE),
            "have no rotation in the left 3 x 3 (R R^T is not 1); do not scale it",
        ),
        (
            np.linalg.det(np.nan_to_num(R)) < 0,
            "mirror the world (determinant -1); OpenCV's axes are x right, y down, z forward",
        ),
    ):
        if faults.any():
            v = int(np.argmax(faults))
            raise DataError(
                f"{source}: extrinsics of {names[v]} {what}; needed is [R | t], world to camera;"
                f" found {E[v].tolist()}"
            )
    return E[:, :3].copy()


def read_distortion(source: str, members: Members, V: int) -> tuple[Floats, list[str]]:
    """Return the coefficients (V, 14) and each camera's kind of lens."""
    filled, lenses = np.zeros((V, max(DISTORTION_COUNTS))), _lenses(source, members, V)
    if "distortion" not in members:
        if FISHEYE in lenses:
            raise DataError(
                f"{source}: lens says {FISHEYE}, but there is no distortion; add it, ({V} views,"
                f" {FISHEYE_COUNT}): k1 k2 k3 k4"
            )
        return filled, lenses
    x = members["distortion"]
    count = x.shape[1] if x.ndim == 2 and x.shape[1] in DISTORTION_COUNTS else -2
    axes = (f"{V} views", " or ".join(str(n) for n in DISTORTION_COUNTS))
    x = read_floats(source, members, "distortion", axes, (V, count))
    if not np.isfinite(x).all():
        raise DataError(f"{source}: distortion is not finite; 0 means none")
    is_fisheye = np.array([lens == FISHEYE for lens in lenses])
    if x[is_fisheye, FISHEYE_COUNT:].any():
        raise DataError(
            f"{source}: a fisheye lens has {FISHEYE_COUNT} coefficients, k1 k2 k3 k4, found"
            f" {x.shape[1]} in distortion; fill up with 0"
        )
    filled[:, : x.shape[1]] = x
    return filled, lenses


def _lenses(source: str, members: Members, V: int) -> list[str]:
    if "lens" not in members:
        return [PINHOLE] * V
    given = [str(name) for name in members["lens"].ravel()]
    lenses = given * V if members["lens"].ndim == 0 else given
    if len(lenses) != V or not set(lenses) <= set(LENSES) or members["lens"].ndim > 1:
        raise DataError(
            f"{source}: lens must be {' or '.join(LENSES)}, once or for each of {V} views; found"
            f" {', '.join(given)[:100]}"
        )
    return lenses


def read_image_size(source: str, members: Members, V: int, chosen: list[int]) -> Floats | None:
    """Return width and height (V', 2) [px] of the chosen cameras, or None."""
    if "image_size" not in members:
        return None
    shape = (2,) if members["image_size"].ndim == 1 else (V, 2)
    size = read_floats(
        source, members, "image_size", (f"{V} views, or none", "width, height"), shape
    )
    if not np.isfinite(size).all() or size.min() <= 0:
        raise DataError(f"{source}: image_size must be positive [px], found {size.tolist()}")
    return np.broadcast_to(size, (V, 2))[chosen].copy()


def read_starts(source: str, members: Members, T: int) -> list[int]:
    """Return the first frame of each sequence, ascending from 0."""
    if "sequence_starts" not in members:
        return [0]
    x = members["sequence_starts"]
    starts = (
        x.astype(np.int64).ravel().tolist()
        if np.issubdtype(x.dtype, np.integer) and x.size <= T
        else []
    )
    if x.ndim != 1 or starts[:1] != [0] or sorted(set(starts)) != starts or starts[-1] >= T:
        raise DataError(
            f"{source}: sequence_starts must be ascending whole numbers from 0 below {T} frames,"
            f" found {x.ravel()[:10].tolist()}"
        )
    return starts


def read_fps(source: str, members: Members) -> float:
    """Return the frames a second."""
    if "fps" not in members:
        logger.info("%s has no fps: %g frames a second are assumed", source, DEFAULT_FPS)
        return DEFAULT_FPS
    fps = float(read_floats(source, members, "fps", (), ()))
    if not 0 < fps < 1e5:
        raise DataError(f"{source}: fps must be above 0 and below 100000, found {fps:g}")
    return fps


def read_truth(source: str, members: Members, T: int, K: int, metres: float) -> Floats | None:
    """Return the true points (T, K, 3) [m], or None."""
    if "truth" not in members:
        return None
    return metres * read_floats(
        source, members, "truth", (f"{T} frames", f"{K} keypoints", 3), (T, K, 3)
    )
