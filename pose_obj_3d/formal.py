"""Schema, reader and writer of `sim_all_formal.npz`: multi-view keypoint tracks with calibration.

The archive holds no pickles. Its members:

- `T<task>/exemple_<n>`: float32 (V, T, K, 8), views x frames x keypoints x channels (`CHANNELS`).
- `meta`: JSON text, see below.
- `intrinsics`: float64 (V, 3, 3), OpenCV convention, [px].
- `extrinsics`: float64 (V, 3, 4), world to camera, OpenCV axes, [m].
- `detections/T<task>/exemple_<n>`: optional, for all examples of a task or none: float32
  (V, T, K, 7), what a detector says of each keypoint (`DETECTION_CHANNELS`): where it is [px], the
  standard deviations and the correlation that it claims for its error, and how probably the
  keypoint is in the image, and seen. Truth has no part in it.

Keys of `meta` (keys marked * are required from the caller of `write_formal`, the rest have
defaults):

- `format_version`: set by the writer: 3 with `calibrations`, else 2 where there is an optional
  member or field (`detections`, `exchangeable`), else 1.
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
- `mask_pattern`, `mask_ids`: optional, which thing a keypoint hangs on: where the images of object
  ids are (as `image_pattern`), and {"T9": [[40, 40, null, ...], ...]}, for each example the id of
  the thing that each keypoint hangs on in the first frame; null where it is not known.
- `descriptions`: optional, {"T9": ["pick up the red block", ...]}: what each example shows.
- `detections`: where there are detections: {"detector": its name, "folds": {"T9": {"12": fold}},
  "labelled_frames": n, ...}. Examples of one fold were detected by one network, which has seen
  none of them in training; no folds where none was trained on these examples. `labelled_frames`
  in each view have trained it; null: all. More keys are free.
- `exchangeable`: optional, keypoints that look alike, in groups, by name:
  {"T9": [["robot/left_finger", "robot/right_finger"]]}; by `look_alike` where it is absent. A
  detector cannot know which is which, so what comes from detections is scored up to one exchange
  in each example and group.
- `calibrations`, `calibration_names`: optional, where cameras were moved between examples:
  {"T9": [0, 0, 1]}, which of R calibrations each example has, and their names. `intrinsics` are
  then (R, V, 3, 3) and `extrinsics` (R, V, 3, 4). In memory each camera of each calibration is a
  view, blind in the examples of the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive.arrays import (
    CHANNELS,
    NUM_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    Array,
    validate,
)
from pose_obj_3d.common.archive.by_example import (
    Calibrations,
    calibrations_of,
    spread_detections,
    spread_meta,
    spread_tracks,
)
from pose_obj_3d.common.archive.detections import (
    DETECTED_INSIDE,
    DETECTED_RHO,
    DETECTED_SD,
    DETECTED_SEEN,
    DETECTED_UV,
    DETECTION_CHANNELS,
    Witness,
    look_alike,
    rounded_detections,
)
from pose_obj_3d.common.archive.examples import Recent, read_examples, unreadable
from pose_obj_3d.common.archive.members import (
    CALIBRATION,
    check_complete,
    check_optional,
    list_members,
    read_meta,
    tasks_of,
)
from pose_obj_3d.common.archive.meta import (
    MIN_EXAMPLES,
    OPTIONAL_META,
    REQUIRED_META,
    SPLIT_NAMES,
    VERSIONS,
    Meta,
    make_split,
)
from pose_obj_3d.common.archive.shards import OpenArchive, is_there, whole_path
from pose_obj_3d.common.archive.writing import ONE_FILE, Plan, Sharding, write_archive
from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.facts import NOISE_RATIO

__all__ = [
    "ARCHIVE_NAME",
    "CHANNELS",
    "DETECTED_INSIDE",
    "DETECTED_RHO",
    "DETECTED_SD",
    "DETECTED_SEEN",
    "DETECTED_UV",
    "DETECTION_CHANNELS",
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
    "Sharding",
    "Witness",
    "complete_meta",
    "look_alike",
    "make_split",
    "read_formal",
    "rounded_detections",
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
MEMORY_MIB = 2048  # of an archive's examples that are kept in memory


@dataclass(frozen=True)
class FormalData:
    """A validated data set.

    Attributes:
        path: The archive it was read from.
        tracks: Task id -> examples in order, each float32 (V, T, K, 8); of a large archive, each
            is read when it is asked for.
        meta: The decoded `meta`, all keys present.
        intrinsics: (V, 3, 3), [px].
        extrinsics: (V, 3, 4), world to camera, [m].
        detections: Task id -> for each example what a detector says, float32 (V, T, K, 7); empty
            where the archive has none.
        witness: Whose detections and visibility the tracks hold; see `tracks.choosing`.
        calibrations: Where examples have calibrations of their own: which views belong together.
    """

    path: Path
    tracks: dict[int, Sequence[Array]]
    meta: Meta
    intrinsics: npt.NDArray[np.float64]
    extrinsics: npt.NDArray[np.float64]
    detections: dict[int, Sequence[Array]] = field(default_factory=dict)
    witness: Witness = field(default_factory=Witness)
    calibrations: Calibrations | None = None

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
    def cameras(self) -> list[str]:
        """Names of the cameras that numbers in configs mean: the views, or those that moved."""
        return list(self.calibrations.cameras) if self.calibrations else self.camera_names

    def views_of(self, cameras: Sequence[int]) -> list[int]:
        """Return the views of some cameras, all calibrations of each."""
        return self.calibrations.views_of(cameras) if self.calibrations else list(cameras)

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

    def exchangeable(self, task: int) -> list[list[str]]:
        """Return the groups of a task's keypoints that look alike, by name.

        As `meta` says, or, where it does not, as their names say.
        """
        given = self.meta.get("exchangeable")
        if given is None:
            return look_alike(self.keypoint_names(task))
        return [list(group) for group in given.get(f"T{task}", [])]

    def split(self, task: int) -> dict[str, list[int]]:
        """Return example numbers by `train`, `val`, `test`."""
        return {name: list(self.meta["split"][f"T{task}"][name]) for name in SPLIT_NAMES}

    def require_tasks(
        self, tasks: Sequence[int], remedy: str = "generate and convert that task"
    ) -> None:
        """Raise FormalError, naming what is there, unless every task is in the archive.

        Args:
            tasks: Task ids.
            remedy: What to do where one is missing.
        """
        missing = [f"T{t}" for t in dict.fromkeys(tasks) if t not in self.tracks]
        if missing:
            there = ", ".join(f"T{t}" for t in sorted(self.tracks)) or "no tasks"
            raise FormalError(
                f"{self.path}: task {', '.join(missing)} is missing; the file holds {there};"
                f" {remedy}, or change"
                " OBJ_POSE_DATA.SUBJECTS_TRAIN/SUBJECTS_TEST"
            )


def write_formal(
    path: str | Path,
    tracks: Mapping[int, Sequence[Array]],
    meta: Mapping[str, Any],
    intrinsics: Array,
    extrinsics: Array,
    detections: Mapping[int, Sequence[Array]] | None = None,
    *,
    sharding: Sharding = ONE_FILE,
) -> None:
    """Write the archive atomically: validated first, under a temporary name, then renamed.

    With shards, each is written so, and what an older archive left goes last. The content is the
    same for any number of shards and processes.

    Args:
        path: Target file; its folder is made.
        tracks: Task id -> examples, each float32 (V, T, K, 8) with channels `CHANNELS`.
        meta: See the module's docstring.
        intrinsics: (V, 3, 3), [px]; with `calibrations` (R, V, 3, 3).
        extrinsics: (V, 3, 4), world to camera, [m]; with `calibrations` (R, V, 3, 4).
        detections: Task id -> for each example of the task what a detector says, float32
            (V, T, K, 7) with channels `DETECTION_CHANNELS`; `meta["detections"]` names the
            detector. `rounded_detections` makes them smaller.
        sharding: Into how many files; one, `path` itself, by default.

    Raises:
        FormalError: Something is not as it must be; the message names it, and nothing is written.
    """
    path = whole_path(Path(path))
    given = dict(detections or {})
    counts = {t: len(xs) for t, xs in tracks.items()}
    full = complete_meta(path, meta, counts, has_detections=bool(given))
    K, E = np.asarray(intrinsics, np.float64), np.asarray(extrinsics, np.float64)
    validate(path, counts, full, K, E)
    check_optional(path, full, given)
    for task, examples in given.items():
        check_complete(path, task, range(len(examples)), counts.get(task, 0))
    write_archive(Plan(path, full, K, E, tracks, given, sharding))


def complete_meta(
    path: Path, meta: Mapping[str, Any], counts: Mapping[int, int], has_detections: bool = False
) -> Meta:
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
    }
    versions = [v for key, v in OPTIONAL_META.items() if full.get(key) is not None]
    if has_detections:
        versions.append(OPTIONAL_META["detections"])
    full["format_version"] = max(versions, default=VERSIONS[0])
    noise = full.get("noise") or {}
    if "sigma_px" not in noise:
        full["noise"] = {"sigma_px": NOISE_RATIO * float(full["image_size"][0]), **dict(noise)}
    if not full.get("split"):
        full["split"] = {f"T{t}": make_split(n, f"{path}: T{t}") for t, n in counts.items()}
    plain: Meta = json.loads(json.dumps(full))  # as it will be read
    return plain


def tasks_in(path: Path, detected: bool = False) -> list[int]:
    """List the task ids of an archive, or those with detections, without reading its tracks.

    Raises:
        FormalError: It is not an npz archive.
    """
    try:
        with OpenArchive(path) as archive:
            return tasks_of(archive.names, detected)
    except (OSError, ArchiveError) as error:
        raise unreadable(path, error) from error


def shipped_copy(path: Path) -> Path:
    """Name the copy that is kept when the user's own archive takes the place of a shipped one."""
    return path.with_stem(f"{path.stem}{SHIPPED_SUFFIX}")


def shipped_archive(folder: Path, name: str = ARCHIVE_NAME) -> Path:
    """Find an archive that came with the project: its copy, where the user's own has its name."""
    copy = shipped_copy(folder / name)
    return copy if copy.is_file() else folder / name


def read_formal(path: str | Path, memory_mib: int = MEMORY_MIB) -> FormalData:
    """Read and validate an archive; a fault is one FormalError that names file and member.

    Args:
        path: The archive; of shards the name of the whole, or any of them.
        memory_mib: Examples that need more memory than this [MiB] are read when they are asked for,
            and only so many of them are kept. Their faults are found then.
    """
    path = Path(path)
    if not is_there(path):
        raise FormalError(
            f"{path}: no such file; generate and convert data first, or set OBJ_POSE_DATA.ROOT_DIR"
        )
    try:
        archive = OpenArchive(path)
        is_large = archive.content > memory_mib << 20
        try:
            return _read(path, archive, Recent(memory_mib << 20) if is_large else None)
        finally:
            if not is_large:
                archive.close()
    except (OSError, ArchiveError) as error:
        raise unreadable(path, error) from error


def _read(path: Path, archive: OpenArchive, recent: Recent | None) -> FormalData:
    """Read an open archive: names, then `meta`, then for each track its shape and its numbers."""
    if archive.names == ["pose"]:
        raise FormalError(
            f"{path}: the older pickled layout without calibration; convert it with "
            "python -m pose_obj_3d.formal_legacy"
        )
    members = list_members(path, archive.names)
    meta = read_meta(path, archive)
    absent = [name for name in CALIBRATION if name not in archive.names]
    if absent:
        raise FormalError(f"{path}: intrinsics or extrinsics are missing; convert the data again")
    K, E = (archive.read(name) for name in CALIBRATION)
    validate(path, members.counts, meta, K, E)
    check_optional(path, meta, members.detections)
    tracks, detections = read_examples(path, archive, members, meta, recent)
    K, E = K.astype(np.float64), E.astype(np.float64)
    if (found := calibrations_of(meta)) is None:
        return FormalData(whole_path(path), tracks, meta, K, E, detections)
    return FormalData(
        whole_path(path),
        spread_tracks(tracks, meta, K, E),
        spread_meta(meta, found),
        K.reshape(-1, 3, 3),
        E.reshape(-1, 3, 4),
        spread_detections(detections, meta),
        calibrations=found,
    )
