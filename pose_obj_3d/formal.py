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
- `noise`: {"sigma_px": standard deviation of the detected 2D of a seen point around the exact 2D
  (root mean square over views; without gross errors and outliers, with errors that last), ...};
  where they are known also lists with one number for each view: `sigma_px_per_view`,
  `occlusion_noise` (factor where visibility is 0.5), `outlier_rate`, `drop_rate`. Only where errors
  last or differ between keypoints: `noise_time_constant` [frames], `noise_persistent_share`,
  `noise_per_keypoint`, `gross_rate`, `gross_rate_hidden`, `gross_scale`, `gross_scale_hidden`
  [image widths], `share_identical`; absent means none of it.
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
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive_arrays import (
    CHANNELS,
    NUM_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    Array,
    check_shape,
    check_values,
    expected_shape,
    validate,
)
from pose_obj_3d.common.archive_meta import (
    CURRENT_VERSION,
    MAX_TEXT,
    REQUIRED_META,
    SPLIT_NAMES,
    Meta,
    decode_meta,
)
from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.facts import NOISE_RATIO
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.common.whole_files import writing

__all__ = [
    "ARCHIVE_NAME",
    "CHANNELS",
    "CURRENT_VERSION",
    "FRAME_PERIOD_S",
    "MIN_EXAMPLES",
    "NOISE_RATIO",
    "NUM_CHANNELS",
    "UV_DETECTED",
    "UV_EXACT",
    "VISIBILITY",
    "XYZ_WORLD",
    "Array",
    "FormalData",
    "Meta",
    "complete_meta",
    "make_split",
    "read_formal",
    "shipped_archive",
    "shipped_copy",
    "tasks_in",
    "write_formal",
]
ARCHIVE_NAME = "sim_all_formal.npz"
SHIPPED_SUFFIX = (  # of the copy of an archive that came with the project, once its name was taken
    "_shipped"
)
FRAME_PERIOD_S = 0.05
CALIBRATION = ("intrinsics", "extrinsics")
MIN_EXAMPLES = 3  # of a task: one each to train, validate and test

_EXAMPLE = re.compile(r"T(0|[1-9][0-9]{0,8})/exemple_(0|[1-9][0-9]{0,8})")


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
    validate(path, {t: len(xs) for t, xs in tracks.items()}, full, K, E)
    for name, x in arrays.items():
        check_shape(f"{path}: {name}", expected_shape(full, int(name[1:].partition("/")[0])), x)
        check_values(f"{path}: {name}", x)
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
    """Return `meta` with version and defaults; `counts` is task id -> number of examples."""
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
    """Read and validate an archive; a fault is one FormalError that names file and member."""
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
    """Read an open archive: names, then `meta`, then for each track its shape and its numbers."""
    if archive.names == ["pose"]:
        raise FormalError(
            f"{path}: the older pickled layout without calibration; convert it with "
            "python -m pose_obj_3d.formal_legacy"
        )
    members = _list_examples(path, archive.names)
    meta = _read_meta(path, archive)
    absent = [name for name in CALIBRATION if name not in archive.names]
    if absent:
        raise FormalError(f"{path}: intrinsics or extrinsics are missing; convert the data again")
    K, E = (archive.read(name) for name in CALIBRATION)
    validate(path, {task: len(names) for task, names in members.items()}, meta, K, E)
    tracks: dict[int, list[Array]] = {task: [] for task in members}
    for task, names in members.items():
        expected = expected_shape(meta, task)
        for name in names:
            where = f"{path}: {name}"
            x = archive.read(name, partial(check_shape, where, expected))
            check_values(where, x)
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
