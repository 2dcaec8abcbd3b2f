"""Read and check a user's own tracks: `tracks.npz`. `docs/own_videos.md` has the schema; this file enforces it.

Everything is converted on the way in: metres, pixels without distortion, NaN where nothing was
seen.
"""

import difflib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ArchiveError, ConfigError, DataError
from pose_obj_3d.common.object_arrays import inner_shapes
from pose_obj_3d.common.safe_npz import OBJECT_ARRAY, SINGLE_ARRAY, Archive
from pose_obj_3d.geometry.lenses import (
    FISHEYE,
    FISHEYE_COUNT,
    LENSES,
    PINHOLE,
    precision,
    undistort,
)
from pose_obj_3d.lifting.track_files.axes import doubt_axes, explain_axes
from pose_obj_3d.lifting.track_files.missing import find_markers

logger = logging.getLogger(__name__)
REQUIRED = ("points", "intrinsics", "extrinsics")
OPTIONAL = (
    "confidence",
    "distortion",
    "units",
    "camera_names",
    "keypoint_names",
    "image_size",
    "sequence_starts",
    "fps",
    "truth",
    "lens",
)
METRES = {"m": 1.0, "mm": 0.001}
DISTORTION_COUNTS = (4, 5, 8, 12, 14)  # OpenCV: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tx ty]]]]
DEFAULT_FPS = 20.0
MAX_VALUE = 1e12  # of any number; squares of larger ones overflow on the way
SCORE_RANGE = (
    -0.05,
    1.5,
)  # of confidence that is clipped to 0..1: networks' scores leave it a little
_ROTATION_TOLERANCE = 1e-3

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Found = TypeVar("Found")


@dataclass(frozen=True)
class TrackFile:
    """Validated tracks of V cameras, T frames, K keypoints.

    Attributes:
        path: The file.
        points: (V, T, K, 2) [px] of a camera without distortion; NaN = missing.
        measured: (V, T, K, 2) as the file has them, with distortion [px].
        confidence: (V, T, K) in 0..1; 0 where missing.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera, OpenCV axes [m].
        distortion: (V, 14) OpenCV's coefficients, filled up with 0.
        lenses: V times `pinhole` or `fisheye`: what the coefficients mean.
        unit: `m` or `mm`, of the file's extrinsics and truth, and of what is written.
        camera_names: V names.
        keypoint_names: K names.
        image_size: (V, 2) width and height [px], or None.
        sequence_starts: First frame of each sequence, ascending from 0.
        fps: Frames a second.
        truth: (T, K, 3) [m], NaN where unknown, or None; for reports alone.
        notes: Lines on what was taken otherwise than it stands in the file.
    """

    path: Path
    points: Floats
    measured: Floats
    confidence: Floats
    intrinsics: Floats
    extrinsics: Floats
    distortion: Floats
    lenses: list[str]
    unit: str
    camera_names: list[str]
    keypoint_names: list[str]
    image_size: Floats | None
    sequence_starts: list[int]
    fps: float
    truth: Floats | None
    notes: list[str]


def read_tracks(path: str | Path, units: str | None = None, views: Sequence[str] = ()) -> TrackFile:
    """Read and validate a file; every fault is one DataError that names file and key.

    Args:
        path: The npz.
        units: Unit of the extrinsics where the file does not say it; contradicting it is a
            ConfigError.
        views: Names or numbers of the cameras to use; all when empty.
    """
    path = Path(path)
    members = _load(path)
    points = _points(path, members)
    V, T, K, _ = points.shape
    confidence, notes = _confidence(path, members, points)
    notes += [line for line in [doubt_axes(points, members)] if line]
    unit = _unit(path, members, units)
    names = _names(path, members, "camera_names", V, "camera")
    chosen = _chosen(path, names, views)
    intrinsics, extrinsics = (
        _intrinsics(path, members, V, names),
        _extrinsics(path, members, V, names),
    )
    extrinsics[:, :, 3] *= METRES[unit]
    distortion, lenses = _distortion(path, members, V)
    intrinsics, extrinsics, distortion = intrinsics[chosen], extrinsics[chosen], distortion[chosen]
    names, lenses, confidence = (
        [names[v] for v in chosen],
        [lenses[v] for v in chosen],
        confidence[chosen],
    )
    image_size = _image_size(path, members, V, chosen)
    # Before distortion: a strong lens has no inverse where a marker stands.
    markers = find_markers(
        points[chosen],
        confidence,
        2 * intrinsics[:, :2, 2] if image_size is None else image_size,
        names,
    )
    confidence = np.where(markers.is_missing, 0.0, confidence)
    measured = np.where((confidence > 0)[..., None], points[chosen], np.nan)
    undistorted = undistort(path, measured, intrinsics, distortion, names, lenses)
    for v in range(len(names)):
        if lenses[v] == FISHEYE:
            confidence[v] *= precision(
                undistorted[v].reshape(-1, 2), intrinsics[v], distortion[v]
            ).reshape(T, K)
    return TrackFile(
        path=path,
        points=undistorted,
        measured=measured,
        confidence=np.where(np.isnan(undistorted[..., 0]), 0.0, confidence),
        intrinsics=intrinsics,
        extrinsics=extrinsics,
        distortion=distortion,
        lenses=lenses,
        unit=unit,
        camera_names=names,
        keypoint_names=_names(path, members, "keypoint_names", K, "keypoint"),
        image_size=image_size,
        sequence_starts=_starts(path, members, T),
        fps=_fps(path, members),
        truth=_truth(path, members, T, K, METRES[unit]),
        notes=notes + markers.lines,
    )


def _load(path: Path) -> dict[str, Array]:
    """Return the members; unknown and absent ones are errors, found before anything is unpacked."""
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; write it with np.savez_compressed, docs/own_videos.md has the keys"
        )
    try:
        opened = Archive(path)
    except ArchiveError as error:
        if str(error) == SINGLE_ARRAY:
            raise DataError(
                f"{path}: one array, not an npz archive; write it with np.savez_compressed(path,"
                " points=...)"
            ) from error
        raise DataError(
            f"{path}: not an npz archive ({error}); write it with np.savez_compressed, docs/own_videos.md has"
            " the keys"
        ) from error
    with opened as archive:
        unknown = [name for name in archive.names if name not in (*REQUIRED, *OPTIONAL)]
        if unknown:
            raise DataError(f"{path}: key {unknown[0][:80]!r} is unknown; {_near(unknown[0][:80])}")
        absent = [name for name in REQUIRED if name not in archive.names]
        if absent:
            raise DataError(
                f"{path}: key {absent[0]!r} is missing; required are {', '.join(REQUIRED)}"
            )
        count = sum(_read(path, archive.header, name).count for name in archive.names)
        _read(
            path, lambda _: archive.check_content(8 * count), "the content"
        )  # all numbers become float64
        return {name: _read(path, archive.read, name) for name in archive.names}


def _read(path: Path, reader: Callable[[str], Found], name: str) -> Found:
    """Read something of a member, or raise DataError."""
    try:
        return reader(name)
    except ArchiveError as error:
        if OBJECT_ARRAY in str(error):
            raise DataError(f"{path}: {_object_array(path, name)}") from error
        raise DataError(
            f"{path}: {name} cannot be read ({error}); the file is damaged, write it again"
        ) from error


def _object_array(path: Path, name: str) -> str:
    """Say why NumPy made an object array of what should be numbers or names."""
    shapes = inner_shapes(path, name)
    if name.endswith("names") or len(shapes) < 2 or len(shapes[0]) != 1:
        return (
            f"{name} is a pickled object array; save plain arrays, names as np.array([...],"
            " dtype=str), and missing points as NaN; views of different lengths make such an"
            " array, too: cut them to the same frames"
        )
    views = shapes[1:]
    listed = ", ".join(f"view {v} {shape}" for v, shape in enumerate(views[:8])) + (
        ", ..." if len(views) > 8 else ""
    )
    if len(set(views)) == 1:
        return (
            f"{name} is a pickled object array of {len(views)} equal arrays {views[0]}; save"
            " np.stack of them, as float"
        )
    axes = [i for i in range(min(map(len, views))) if len({shape[i] for shape in views}) > 1]
    what = (
        " and ".join(
            ("numbers of frames", "numbers of keypoints", "last axes", "axes")[min(i, 3)]
            for i in axes
        )
        or "axes"
    )
    return (
        f"{name} holds views of different {what}: {listed}. All need the same: cut recordings that"
        " start together to the shortest, or fill up with NaN; then save one array (views, frames,"
        " keypoints, 2)"
    )


def _near(name: str) -> str:
    allowed = (*REQUIRED, *OPTIONAL)
    match = difflib.get_close_matches(name.lower(), allowed, 1, 0.6)
    return f"did you mean {match[0]}?" if match else f"allowed: {', '.join(allowed)}"


def _floats(
    path: Path,
    members: Mapping[str, Array],
    key: str,
    axes: tuple[Any, ...],
    shape: tuple[int, ...],
) -> Floats:
    """Return a numeric member as float64 of a shape (-1 = any length)."""
    x = members[key]
    fits = x.ndim == len(shape) and all(n in (-1, m) for n, m in zip(shape, x.shape, strict=True))
    if not fits or not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
        raise DataError(
            f"{path}: {key} must hold numbers of shape ({', '.join(str(a) for a in axes)}), found"
            f" {x.dtype} {x.shape}; docs/own_videos.md has the schema"
        )
    x = x.astype(np.float64)
    largest = float(np.abs(x, where=np.isfinite(x), out=np.zeros_like(x)).max(initial=0.0))
    if largest > MAX_VALUE:
        raise DataError(
            f"{path}: {key} has a value of {largest:.3g}; no pixel and no length is beyond"
            f" {MAX_VALUE:g}: write NaN for missing points, and check the unit"
        )
    return x


def _points(path: Path, members: Mapping[str, Array]) -> Floats:
    wrong = explain_axes(members["points"], members)
    if wrong:
        raise DataError(f"{path}: {wrong}")
    points = _floats(path, members, "points", ("views", "frames", "keypoints", 2), (-1, -1, -1, 2))
    if min(points.shape) < 1:
        raise DataError(
            f"{path}: points is empty, {points.shape}; at least one view, frame and keypoint are"
            " needed"
        )
    if np.isinf(points).any():
        raise DataError(f"{path}: points has infinite values; mark missing points by NaN")
    return points


def _confidence(
    path: Path, members: Mapping[str, Array], points: Floats
) -> tuple[Floats, list[str]]:
    """Return the confidence, 0 where missing, and lines on what was changed in it."""
    seen = np.asarray(~np.isnan(points).any(-1))
    if "confidence" not in members:
        return seen.astype(np.float64), []
    V, T, K = seen.shape
    axes = (f"{V} views", f"{T} frames", f"{K} keypoints")
    given = _floats(path, members, "confidence", axes, (V, T, K))
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
            f"{path}: confidence must lie in 0..1, found {low:g} to {high:g} ({off} of"
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


def _unit(path: Path, members: Mapping[str, Array], given: str | None) -> str:
    if "units" not in members:
        return given or "m"
    unit = (
        str(members["units"])
        if members["units"].size == 1
        else f"an array of shape {members['units'].shape}"
    )
    if unit not in METRES:
        raise DataError(
            f"{path}: units is {unit!r}; allowed: {', '.join(METRES)}; convert extrinsics and truth"
            " to one of them"
        )
    if given not in (None, unit):
        raise ConfigError(
            f"--units {given}, but {path} says {unit!r}; leave the flag out or correct the file"
        )
    return unit


def _names(
    path: Path, members: Mapping[str, Array], key: str, count: int, default: str
) -> list[str]:
    if key not in members:
        return [f"{default}{i}" for i in range(count)]
    x = members[key]
    names = [str(name) for name in x.ravel()[: count + 1]]
    if x.ndim != 1 or len(names) != count or len(set(names)) != count or not all(names):
        raise DataError(
            f"{path}: {key} must be {count} different names, found {x.size}:"
            f" {', '.join(names)[:200]}"
        )
    return names


def _chosen(path: Path, names: list[str], views: Sequence[str]) -> list[int]:
    chosen = []
    for view in views or [str(i) for i in range(len(names))]:
        if view in names:
            chosen.append(names.index(view))
        elif view.isdigit() and int(view) < len(names):
            chosen.append(int(view))
        else:
            listed = ", ".join(f"{i} {name}" for i, name in enumerate(names))
            raise ConfigError(f"--views: {view!r} is not in {path}; allowed: {listed}")
    if len(set(chosen)) != len(chosen):
        raise ConfigError(f"--views {' '.join(views)}: a view is named twice; name each once")
    return chosen


def _intrinsics(path: Path, members: Mapping[str, Array], V: int, names: list[str]) -> Floats:
    K = _floats(path, members, "intrinsics", (f"{V} views", 3, 3), (V, 3, 3))
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
            raise DataError(f"{path}: intrinsics of {names[v]} {what}; found {K[v].tolist()}")
    return K


def _extrinsics(path: Path, members: Mapping[str, Array], V: int, names: list[str]) -> Floats:
    rows = 4 if members["extrinsics"].ndim == 3 and members["extrinsics"].shape[1] == 4 else 3
    E = _floats(path, members, "extrinsics", (f"{V} views", "3 or 4", 4), (V, rows, 4))
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
                f"{path}: extrinsics of {names[v]} {what}; needed is [R | t], world to camera;"
                f" found {E[v].tolist()}"
            )
    return E[:, :3].copy()


def _distortion(path: Path, members: Mapping[str, Array], V: int) -> tuple[Floats, list[str]]:
    """Return the coefficients (V, 14) and each camera's kind of lens."""
    filled, lenses = np.zeros((V, max(DISTORTION_COUNTS))), _lenses(path, members, V)
    if "distortion" not in members:
        if FISHEYE in lenses:
            raise DataError(
                f"{path}: lens says {FISHEYE}, but there is no distortion; add it, ({V} views,"
                f" {FISHEYE_COUNT}): k1 k2 k3 k4"
            )
        return filled, lenses
    x = members["distortion"]
    count = x.shape[1] if x.ndim == 2 and x.shape[1] in DISTORTION_COUNTS else -2
    axes = (f"{V} views", " or ".join(str(n) for n in DISTORTION_COUNTS))
    x = _floats(path, members, "distortion", axes, (V, count))
    if not np.isfinite(x).all():
        raise DataError(f"{path}: distortion is not finite; 0 means none")
    is_fisheye = np.array([lens == FISHEYE for lens in lenses])
    if x[is_fisheye, FISHEYE_COUNT:].any():
        raise DataError(
            f"{path}: a fisheye lens has {FISHEYE_COUNT} coefficients, k1 k2 k3 k4, found"
            f" {x.shape[1]} in distortion; fill up with 0"
        )
    filled[:, : x.shape[1]] = x
    return filled, lenses


def _lenses(path: Path, members: Mapping[str, Array], V: int) -> list[str]:
    if "lens" not in members:
        return [PINHOLE] * V
    given = [str(name) for name in members["lens"].ravel()]
    lenses = given * V if members["lens"].ndim == 0 else given
    if len(lenses) != V or not set(lenses) <= set(LENSES) or members["lens"].ndim > 1:
        raise DataError(
            f"{path}: lens must be {' or '.join(LENSES)}, once or for each of {V} views; found"
            f" {', '.join(given)[:100]}"
        )
    return lenses


def _image_size(
    path: Path, members: Mapping[str, Array], V: int, chosen: list[int]
) -> Floats | None:
    if "image_size" not in members:
        return None
    shape = (2,) if members["image_size"].ndim == 1 else (V, 2)
    size = _floats(path, members, "image_size", (f"{V} views, or none", "width, height"), shape)
    if not np.isfinite(size).all() or size.min() <= 0:
        raise DataError(f"{path}: image_size must be positive [px], found {size.tolist()}")
    return np.broadcast_to(size, (V, 2))[chosen].copy()


def _starts(path: Path, members: Mapping[str, Array], T: int) -> list[int]:
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
            f"{path}: sequence_starts must be ascending whole numbers from 0 below {T} frames,"
            f" found {x.ravel()[:10].tolist()}"
        )
    return starts


def _fps(path: Path, members: Mapping[str, Array]) -> float:
    if "fps" not in members:
        logger.info("%s has no fps: %g frames a second are assumed", path, DEFAULT_FPS)
        return DEFAULT_FPS
    fps = float(_floats(path, members, "fps", (), ()))
    if not 0 < fps < 1e5:
        raise DataError(f"{path}: fps must be above 0 and below 100000, found {fps:g}")
    return fps


def _truth(
    path: Path, members: Mapping[str, Array], T: int, K: int, metres: float
) -> Floats | None:
    if "truth" not in members:
        return None
    return metres * _floats(path, members, "truth", (f"{T} frames", f"{K} keypoints", 3), (T, K, 3))
