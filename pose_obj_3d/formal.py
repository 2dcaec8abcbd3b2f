"""Schema, reader and writer of `sim_all_formal.npz`: multi-view keypoint tracks with calibration.

The archive holds no pickles. Its members:

- `T<task>/exemple_<n>`: float32 (V, T, K, 8), views x frames x keypoints x channels (`CHANNELS`).
- `meta`: JSON text, see below.
- `intrinsics`: float64 (V, 3, 3), OpenCV convention, [px].
- `extrinsics`: float64 (V, 3, 4), world to camera, OpenCV axes, [m].

Keys of `meta` (keys marked * are required from the caller of `write_formal`, the rest have
defaults):

- `format_version`: `CURRENT_VERSION`; set by the writer.
- `image_size`*: [width, height], [px].
- `camera_names`*: V names, in the order of the views.
- `task_names`*: {"T9": "pick_and_lift"}.
- `keypoint_names`*: {"T9": ["waypoints/waypoint0", ...]}: K names `<group>/<name>` for each task.
- `noise`: {"sigma_px": standard deviation of the detected 2D around the exact 2D (root mean square
over
  views), ...}; where they are known also lists with one number for each view: `sigma_px_per_view`,
  `occlusion_noise` (factor where visibility is 0.5), `outlier_rate`, `drop_rate`.
- `split`: {"T9": {"train": [n, ...], "val": [...], "test": [...]}}; `make_split` by default.
- `frame_period_s`: seconds between frames, 0.05 by default.
- `source_seeds`: anything that says where the examples come from.
- `image_pattern`, `sources`: optional, where the frames' pictures are:
  `"../raw/train/{task}/obs/{camera}/{variation}/{example}_rgb_{frame}.png"` (absolute, or relative
  to the archive's folder) and {"T9": [{"variation": 0, "example": 0}, ...]}, one entry for each
  example.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive_meta import (
    CURRENT_VERSION,
    MAX_TEXT,
    REQUIRED_META,
    SPLIT_NAMES,
    Meta,
    check_meta,
    check_split_numbers,
    decode_meta,
)
from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.safe_npz import Archive
from pose_obj_3d.common.whole_files import writing

ARCHIVE_NAME = "sim_all_formal.npz"
SHIPPED_SUFFIX = (  # of the copy of an archive that came with the project, once its name was taken
    "_shipped"
)
NUM_CHANNELS = 8
UV_EXACT = slice(0, 2)  # exact projection [px], rounded to 1/1024 px
UV_DETECTED = slice(2, 4)  # detector-like 2D [px], rounded to 1/16 px; both NaN = no detection
XYZ_WORLD = slice(4, 7)  # [m], the same in every view, rounded to 2^-17 m
VISIBILITY = 7  # 1 seen; 0.5 in the image but hidden; 0 outside the image or behind the camera
CHANNELS = ("u_exact", "v_exact", "u_detected", "v_detected", "x", "y", "z", "visibility")
NOISE_RATIO = 0.00504  # standard deviation of the detections, in image widths
FRAME_PERIOD_S = 0.05
CALIBRATION = ("intrinsics", "extrinsics")
MIN_EXAMPLES = 3  # of a task: one each to train, validate and test

Array = npt.NDArray[Any]
_EXAMPLE = re.compile(r"T(0|[1-9][0-9]{0,8})/exemple_(0|[1-9][0-9]{0,8})")
MAX_LENS_PX = 1e6
MAX_PX, MAX_M = 1e9, 1e6  # of coordinates; the exact ones of a point beside a camera are large
MAX_STRETCH = 0.01  # of a rotation: R R^T - 1
_LIMITS = np.array([MAX_PX] * 4 + [MAX_M] * 3 + [1], np.float32)
_PIECE = 2**22  # numbers of an example that are checked at once; bounds the memory


@dataclass(frozen=True)
class FormalData:
    """A validated data set.

    Attributes:
        path: The archive it was read from.
        tracks: Task id -> examples in order, each float32 (V, T, K, 8).
        meta: The decoded `meta`, all keys present.
        intrinsics: (V, 3, 3), [px].
        extrinsics: (V, 3, 4), world to camera, [m].
    """

    path: Path
    tracks: dict[int, list[Array]]
    meta: Meta
    intrinsics: npt.NDArray[np.float64]
    extrinsics: npt.NDArray[np.float64]

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height, [px]."""
        width, height = self.meta["image_size"]
        return int(width), int(height)

    @property
    def camera_names(self) -> list[str]:
        """Names of the V views."""
        return list(self.meta["camera_names"])

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the detected 2D, [px]."""
        return float(self.meta["noise"]["sigma_px"])

    @property
    def frame_period_s(self) -> float:
        """Seconds between two frames."""
        return float(self.meta["frame_period_s"])

    def task_name(self, task: int) -> str:
        """Return the name of a task, such as `pick_and_lift`."""
        return str(self.meta["task_names"][f"T{task}"])

    def keypoint_names(self, task: int) -> list[str]:
        """Return the K names `<group>/<name>` of a task's keypoints."""
        return list(self.meta["keypoint_names"][f"T{task}"])

    def split(self, task: int) -> dict[str, list[int]]:
        """Return example numbers by `train`, `val`, `test`."""
        return {name: list(self.meta["split"][f"T{task}"][name]) for name in SPLIT_NAMES}

    def require_tasks(self, tasks: Sequence[int]) -> None:
        """Raise FormalError, naming what is there, unless every task is in the archive."""
        missing = [f"T{t}" for t in dict.fromkeys(tasks) if t not in self.tracks]
        if missing:
            there = ", ".join(f"T{t}" for t in sorted(self.tracks)) or "no tasks"
            raise FormalError(
                f"{self.path}: task {', '.join(missing)} is missing; the file holds {there};"
                " generate and convert that task, or change"
                " OBJ_POSE_DATA.SUBJECTS_TRAIN/SUBJECTS_TEST"
            )


def make_split(n: int, where: str = "data set") -> dict[str, list[int]]:
    """Split n examples by number: the last fifth is test, the tenth before it validation.

    Args:
        n: Number of examples of one task, at least 3.
        where: Names the data in the error message.

    Returns:
        `train`, `val`, `test` -> sorted example numbers; disjoint, together 0..n-1.
    """
    if n < MIN_EXAMPLES:
        raise FormalError(
            f"{where}: {n} example(s) cannot be split into train, val and test; at least"
            f" {MIN_EXAMPLES} are needed: generate more examples"
        )
    n_test, n_val = max(1, round(0.2 * n)), max(1, round(0.1 * n))
    n_train = n - n_test - n_val
    return {
        "train": list(range(n_train)),
        "val": list(range(n_train, n_train + n_val)),
        "test": list(range(n_train + n_val, n)),
    }


def write_formal(
    path: str | Path,
    tracks: Mapping[int, Sequence[Array]],
    meta: Mapping[str, Any],
    intrinsics: Array,
    extrinsics: Array,
) -> None:
    """Write the archive atomically: validated first, under a temporary name, then renamed.

    Args:
        path: Target file; its folder is made.
        tracks: Task id -> examples, each float32 (V, T, K, 8) with channels `CHANNELS`.
        meta: See the module's docstring.
        intrinsics: (V, 3, 3), [px].
        extrinsics: (V, 3, 4), world to camera, [m].
    """
    path = Path(path)
    # Column order puts the views' equal coordinates side by side: a quarter smaller when
    # compressed.
    arrays = {
        f"T{t}/exemple_{n}": np.asfortranarray(x)
        for t, xs in tracks.items()
        for n, x in enumerate(xs)
    }
    full = complete_meta(path, meta, {t: len(xs) for t, xs in tracks.items()})
    K, E = np.asarray(intrinsics, np.float64), np.asarray(extrinsics, np.float64)
    _validate(path, {t: len(xs) for t, xs in tracks.items()}, full, K, E)
    for name, x in arrays.items():
        _check_shape(f"{path}: {name}", _expected_shape(full, int(name[1:].partition("/")[0])), x)
        _check_values(f"{path}: {name}", x)
    path.parent.mkdir(parents=True, exist_ok=True)
    members: dict[str, Any] = {
        "meta": np.array(json.dumps(full, sort_keys=True)),
        "intrinsics": K,
        "extrinsics": E,
        **arrays,
    }
    with writing(path) as file:
        np.savez_compressed(file, **members)


def complete_meta(path: Path, meta: Mapping[str, Any], counts: Mapping[int, int]) -> Meta:
    """Return `meta` with version and defaults filled in; `counts` is task id -> number of examples."""
    missing = [key for key in REQUIRED_META if key not in meta]
    if missing:
        raise FormalError(
            f"{path}: meta lacks {', '.join(missing)}; required are {', '.join(REQUIRED_META)}"
        )
    full: Meta = {
        "frame_period_s": FRAME_PERIOD_S,
        "source_seeds": {},
        **meta,
        "format_version": CURRENT_VERSION,
    }
    noise = full.get("noise") or {}
    if "sigma_px" not in noise:
        full["noise"] = {"sigma_px": NOISE_RATIO * float(full["image_size"][0]), **dict(noise)}
    if not full.get("split"):
        full["split"] = {f"T{t}": make_split(n, f"{path}: T{t}") for t, n in counts.items()}
    plain: Meta = json.loads(json.dumps(full))  # as it will be read
    return plain


def tasks_in(path: Path) -> list[int]:
    """List the task ids of an archive without reading its tracks.

    Raises:
        FormalError: It is not an npz archive.
    """
    try:
        with Archive(path) as archive:
            matches = [_EXAMPLE.fullmatch(name) for name in archive.names]
    except (OSError, ArchiveError) as error:
        raise FormalError(
            f"{path}: not a readable npz archive ({error}); convert the data again"
        ) from error
    return sorted({int(match[1]) for match in matches if match})


def shipped_copy(path: Path) -> Path:
    """Name the copy that is kept when the user's own archive takes the place of a shipped one."""
    return path.with_stem(f"{path.stem}{SHIPPED_SUFFIX}")


def shipped_archive(folder: Path, name: str = ARCHIVE_NAME) -> Path:
    """Find an archive that came with the project: its copy, where the user's own has its name."""
    copy = shipped_copy(folder / name)
    return copy if copy.is_file() else folder / name


def read_formal(path: str | Path) -> FormalData:
    """Read and validate an archive; every fault is one FormalError that names file and member."""
    path = Path(path)
    if not path.is_file():
        raise FormalError(
            f"{path}: no such file; generate and convert data first, or set OBJ_POSE_DATA.ROOT_DIR"
        )
    try:
        with Archive(path) as archive:
            return _read(path, archive)
    except (OSError, ArchiveError) as error:
        raise FormalError(
            f"{path}: not a readable npz archive ({error}); convert the data again"
        ) from error


def _read(path: Path, archive: Archive) -> FormalData:
    """Read an open archive: names first, then `meta`, then what the tracks say of themselves, at last the tracks."""
    if archive.names == ["pose"]:
        raise FormalError(
            f"{path}: the older pickled layout without calibration; convert it with "
            "pose_obj_3d/formal_legacy.py"
        )
    members = _list_examples(path, archive.names)
    meta = _read_meta(path, archive)
    absent = [name for name in CALIBRATION if name not in archive.names]
    if absent:
        raise FormalError(f"{path}: intrinsics or extrinsics are missing; convert the data again")
    K, E = (archive.read(name) for name in CALIBRATION)
    _validate(path, {task: len(names) for task, names in members.items()}, meta, K, E)
    tracks: dict[int, list[Array]] = {task: [] for task in members}
    for task, names in members.items():
        expected = _expected_shape(meta, task)
        for name in names:
            where = f"{path}: {name}"
            x = archive.read(name, partial(_check_shape, where, expected))
            _check_values(where, x)
            tracks[task].append(x)
    return FormalData(path, tracks, meta, K.astype(np.float64), E.astype(np.float64))


def _read_meta(path: Path, archive: Archive) -> Meta:
    if "meta" not in archive.names:
        raise FormalError(f"{path}: member 'meta' is missing; this is not a sim_all_formal archive")
    header = archive.header("meta")
    if header.dtype.kind != "U" or header.shape != ():
        raise FormalError(
            f"{path}: member 'meta' must be one text, found {header.dtype} {header.shape}; convert"
            " the data again"
        )
    if header.size > 4 * MAX_TEXT:
        raise FormalError(
            f"{path}: member 'meta' has {header.size // 4} characters; at most {MAX_TEXT} are read"
        )
    try:
        return decode_meta(str(archive.read("meta")))
    except FormalError as error:
        raise FormalError(f"{path}: {error}") from error


def _list_examples(path: Path, names: Sequence[str]) -> dict[int, list[str]]:
    """Return the members of each task in the order of their numbers, none missing."""
    numbered: dict[int, dict[int, str]] = {}
    for name in names:
        if name in ("meta", *CALIBRATION):
            continue
        match = _EXAMPLE.fullmatch(name)
        if match is None:
            raise FormalError(
                f"{path}: unknown member {name[:80]!r}; allowed are T<task>/exemple_<n>"
            )
        numbered.setdefault(int(match[1]), {})[int(match[2])] = name
    for task, examples in numbered.items():
        gap = next((n for n in range(len(examples)) if n not in examples), None)
        if gap is not None:
            raise FormalError(f"{path}: T{task} lacks exemple_{gap}; convert the data again")
    return {
        task: [examples[n] for n in range(len(examples))]
        for task, examples in sorted(numbered.items())
    }


class _Shaped(Protocol):
    """An array, or what its header says of it."""

    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


def _validate(path: Path, counts: Mapping[int, int], meta: Meta, K: Array, E: Array) -> None:
    """Check `meta` and calibration, and names and split against the number of examples of each task."""
    if not counts:
        raise FormalError(f"{path}: no examples; at least one task with 3 examples is needed")
    try:
        check_meta(meta)
    except FormalError as error:
        raise FormalError(f"{path}: {error}") from error
    V = len(meta["camera_names"])
    for name, array, shape in (("intrinsics", K, (V, 3, 3)), ("extrinsics", E, (V, 3, 4))):
        if array.shape != shape or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise FormalError(
                f"{path}: {name} must be finite {shape} for {V} cameras, found {array.dtype}, shape"
                f" {array.shape}; convert the data again"
            )
    _check_calibration(path, K, E)
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


def _check_calibration(path: Path, K: Array, E: Array) -> None:
    """Check that numbers can be calculated with, and that cameras are turned, not stretched."""
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


def _expected_shape(meta: Meta, task: int) -> tuple[int, int]:
    """Return the numbers of views and of keypoints of a task's examples."""
    return len(meta["camera_names"]), len(meta["keypoint_names"][f"T{task}"])


def _check_shape(where: str, expected: tuple[int, int], x: _Shaped) -> None:
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


def _check_values(where: str, x: Array) -> None:
    """Check that an example is finite but for missed detections, and its visibility one of three values."""
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
