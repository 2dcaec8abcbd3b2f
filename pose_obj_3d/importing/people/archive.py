"""Make an archive of a data set in VideoPose3D's form: `sim_all_formal.npz`'s layout.

Actions become tasks, subjects' recordings their examples (or subjects become tasks, or all one
task). The split is by subject, as is usual: S9 and S11 test; of the others the last one validates.

Where subjects have cameras of their own, each recording has the calibration of its subject. Lens
distortion is taken out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.formal import (
    CHANNELS,
    DETECTION_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    Array,
    make_split,
    write_formal,
)
from pose_obj_3d.geometry.lenses import undistort
from pose_obj_3d.importing.people.data_sets import DataSet, Recording
from pose_obj_3d.importing.people.subject_cameras import (
    VIDEOPOSE3D,
    SubjectCamera,
    straightened,
)
from pose_obj_3d.importing.tracks.views import Floats

TASKS = ("action", "subject", "all")
TEST_SUBJECTS = ("S9", "S11")
GROUP = "body"
FPS = 50.0
MAX_EVERY = 1000
_DEFAULT_SIZE = 1000
_TO_SIGMA = 1.4826  # of a median distance from zero, of Gaussian errors
_SAME = 1e-9
_REPETITION = re.compile(r" \d+$")


@dataclass(frozen=True)
class ArchiveOptions:
    """What the user chose.

    Attributes:
        tasks: One of `TASKS`.
        every: Of so many frames one is kept.
        subjects: Which are kept; all when empty.
        test_subjects: Whose recordings test.
        fps: Frames a second of the recordings.
    """

    tasks: str = "action"
    every: int = 1
    subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = TEST_SUBJECTS
    fps: float = FPS

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.every <= MAX_EVERY:
            raise ConfigError(f"--every {self.every}: allowed: 1 to {MAX_EVERY}")
        if not 0 < self.fps < 1e5:
            raise ConfigError(f"--fps {self.fps:g}: allowed: above 0 and below 100000")


@dataclass(frozen=True)
class Rigs:
    """The calibrations of a data set.

    Attributes:
        cameras: Different calibrations, by the first subject that has each.
        of: Subject -> number of its calibration.
    """

    cameras: dict[str, list[SubjectCamera]]
    of: dict[str, int]

    @property
    def names(self) -> list[str]:
        """Names of the cameras, those of the first calibration."""
        return [camera.name for camera in next(iter(self.cameras.values()))]

    def calibration(self) -> tuple[Floats, Floats]:
        """Return intrinsics (R, V, 3, 3) and extrinsics (R, V, 3, 4); without R where it is 1."""
        rigs = list(self.cameras.values())
        K, E = (
            np.stack([np.stack([getattr(c, name) for c in rig]) for rig in rigs])
            for name in ("intrinsics", "extrinsics")
        )
        return (K, E) if len(rigs) > 1 else (K[0], E[0])


@dataclass(frozen=True)
class Written:
    """What has been written: tasks by name with their examples, cameras, and notes."""

    tasks: dict[str, int]
    views: list[str]
    notes: list[str]


def write_archive(
    path: Path,
    data: DataSet,
    cameras: dict[str, list[SubjectCamera]],
    options: ArchiveOptions,
) -> Written:
    """Write the archive.

    Args:
        path: Where.
        data: The recordings, with true positions.
        cameras: Of each subject.
        options: What the user chose.

    Raises:
        DataError: Something does not fit.
        ConfigError: An option names what is not there.
        FormalError: A task has too few examples.
    """
    recordings, notes = _kept(data, options)
    rigs = _rigs(cameras, list(dict.fromkeys(r.subject for r in recordings)))
    columns, lines = _columns(data)
    names = [data.names_2d[k] for k, _ in columns]
    tasks = _tasks(recordings, options.tasks)
    split = {
        f"T{t}": _split(f"{data.path}: {name}", examples, options.test_subjects)
        for t, (name, examples) in enumerate(tasks.items())
    }
    examples = {
        t: _Examples(list(of_task), cameras, columns, options.every)
        for t, of_task in enumerate(tasks.values())
    }
    detections = {t: _Detections(of_task) for t, of_task in examples.items()}
    meta = {
        "image_size": _image_size(rigs),
        "camera_names": rigs.names,
        "task_names": {f"T{t}": name for t, name in enumerate(tasks)},
        "keypoint_names": {f"T{t}": [f"{GROUP}/{name}" for name in names] for t in examples},
        "noise": {"sigma_px": _sigma(examples)},
        "split": split,
        "frame_period_s": options.every / options.fps,
        "source_seeds": {f"T{t}": [r.name for r in x] for t, x in enumerate(tasks.values())},
        "exchangeable": {},
        "detections": {
            "detector": data.path.stem.removeprefix("data_2d_"),
            "labelled_frames": None,
        },
    }
    if len(rigs.cameras) > 1:
        meta["calibration_names"] = list(rigs.cameras)
        meta["calibrations"] = {
            f"T{t}": [rigs.of[r.subject] for r in x] for t, x in enumerate(tasks.values())
        }
        lines.append(f"{len(rigs.cameras)} calibrations: each subject's recordings have their own")
    write_formal(path, examples, meta, *rigs.calibration(), detections)
    sizes = {name: len(of_task) for name, of_task in tasks.items()}
    return Written(sizes, rigs.names, notes + lines)


def _kept(data: DataSet, options: ArchiveOptions) -> tuple[list[Recording], list[str]]:
    """Return the recordings that are used, cut to the frames that 2D and truth share."""
    subjects = list(dict.fromkeys(recording.subject for recording in data.recordings))
    for subject in options.subjects:
        if subject not in subjects:
            raise ConfigError(f"--subjects {subject[:40]}: {near_names(subject, subjects)}")
    wanted = options.subjects or subjects
    there = [r for r in data.recordings if r.subject in wanted]
    kept = [_cut(recording) for recording in there if recording.truth is not None]
    if not kept:
        raise DataError(
            f"{data.path}: no recording has true positions; give the data_3d file of the same data"
            " set, too"
        )
    notes = []
    if len(kept) < len(there):
        notes.append(f"{len(there) - len(kept)} recordings without true positions are left out")
    cut = sum(_is_longer(recording) for recording in there if recording.truth is not None)
    if cut:
        notes.append(f"2D and 3D of {cut} recordings have different numbers of frames: cut to both")
    return kept, notes


def _is_longer(recording: Recording) -> bool:
    frames = [len(view) for view in (*recording.views, recording.truth) if view is not None]
    return len(set(frames)) > 1


def _cut(recording: Recording) -> Recording:
    assert recording.truth is not None
    lengths = [len(view) for view in recording.views if view is not None]
    frames = min(len(recording.truth), *lengths)
    if not frames:
        raise DataError(f"{recording.name} has no frames")
    views = [None if view is None else view[:frames] for view in recording.views]
    return Recording(recording.subject, recording.action, views, recording.truth[:frames])


def _columns(data: DataSet) -> tuple[list[tuple[int, int]], list[str]]:
    """Return the keypoints that 2D and 3D share, as pairs of places, and lines on the others."""
    names_2d, names_3d = data.names_2d, data.names_3d
    if names_2d == names_3d or (
        len(names_2d) == len(names_3d) and not set(names_2d) & set(names_3d)
    ):
        return [(k, k) for k in range(len(names_2d))], []
    shared = [(k, names_3d.index(name)) for k, name in enumerate(names_2d) if name in names_3d]
    if len(shared) < 3:
        raise DataError(
            f"{data.path}: the 2D has {len(names_2d)} joints ({', '.join(names_2d[:4])}, ...), the"
            f" 3D {len(names_3d)} ({', '.join(names_3d[:4])}, ...): they share fewer than 3; use 2D"
            " of the layouts h36m or coco"
        )
    return shared, [f"{len(shared)} joints that 2D and 3D share are used, by their names"]


def _tasks(recordings: Sequence[Recording], kind: str) -> dict[str, list[Recording]]:
    if kind not in TASKS:
        raise ConfigError(f"--tasks {kind[:40]}: allowed: {', '.join(TASKS)}")
    tasks: dict[str, list[Recording]] = {}
    for recording in recordings:
        action = _REPETITION.sub("", recording.action)
        name = {"action": action, "subject": recording.subject, "all": "all"}[kind]
        tasks.setdefault(name, []).append(recording)
    return dict(sorted(tasks.items()))


def _split(where: str, examples: Sequence[Recording], test: Sequence[str]) -> dict[str, list[int]]:
    """Split by subject where the test subjects and two others are there; else by number."""
    subjects = list(dict.fromkeys(r.subject for r in examples))
    others = [subject for subject in subjects if subject not in test]
    if len(others) < 2 or len(others) == len(subjects):
        return make_split(len(examples), where)
    parts = {"train": others[:-1], "val": others[-1:], "test": [s for s in subjects if s in test]}
    return {
        name: [n for n, r in enumerate(examples) if r.subject in of_part]
        for name, of_part in parts.items()
    }


def _rigs(cameras: dict[str, list[SubjectCamera]], subjects: Sequence[str]) -> Rigs:
    """Return the different calibrations, and which subjects have each."""
    found = Rigs({}, {})
    count = len(cameras[subjects[0]])
    for subject in subjects:
        own = cameras[subject]
        if len(own) != count:
            raise DataError(
                f"{subject[:40]} has {len(own)} cameras, {subjects[0][:40]} {count}; all need the"
                " same number: choose --subjects"
            )
        same = next((n for n, rig in enumerate(found.cameras.values()) if _are_same(rig, own)), -1)
        if same < 0:
            found.cameras[subject] = own
        found.of[subject] = len(found.cameras) - 1 if same < 0 else same
    return found


def _are_same(a: Sequence[SubjectCamera], b: Sequence[SubjectCamera]) -> bool:
    return all(_is_same(x, y) for x, y in zip(a, b, strict=True))


def _is_same(a: SubjectCamera, b: SubjectCamera) -> bool:
    return all(
        x.shape == y.shape and bool(np.abs(x - y).max(initial=0.0) < _SAME)
        for x, y in (
            (a.intrinsics, b.intrinsics),
            (a.extrinsics, b.extrinsics),
            (a.distortion, b.distortion),
        )
    )


def _image_size(rigs: Rigs) -> list[int]:
    cameras = [camera for rig in rigs.cameras.values() for camera in rig]
    sizes = [camera.size or (_DEFAULT_SIZE, _DEFAULT_SIZE) for camera in cameras]
    return [max(size[0] for size in sizes), max(size[1] for size in sizes)]


class _Examples(Sequence[Array]):
    """The examples of a task; each is made when it is asked for."""

    def __init__(
        self,
        recordings: list[Recording],
        cameras: dict[str, list[SubjectCamera]],
        columns: list[tuple[int, int]],
        every: int,
    ) -> None:
        self.recordings, self.cameras = recordings, cameras
        self.columns, self.every = columns, every

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, n: Any) -> Any:
        """Return (V, T, K, 8)."""
        return self._example(self.recordings[n])

    def __iter__(self) -> Iterator[Array]:
        return (self._example(recording) for recording in self.recordings)

    def _example(self, recording: Recording) -> Array:
        assert recording.truth is not None
        own, of_truth = zip(*self.columns, strict=True)
        xyz = recording.truth[:: self.every][:, list(of_truth)].astype(np.float64)
        cameras = self.cameras[recording.subject]
        found = np.zeros((len(cameras), *xyz.shape[:2], len(CHANNELS)), np.float32)
        for v, camera in enumerate(cameras):
            found[v, ..., UV_EXACT] = _projected(xyz, camera)
            found[v, ..., XYZ_WORLD] = xyz
            found[v, ..., UV_DETECTED] = np.nan
            seen = _view(recording, v)
            if seen is None:
                continue
            points = seen[:: self.every][:, list(own)].astype(np.float64)
            there = np.asarray(np.isfinite(points).all(-1))
            found[v, ..., VISIBILITY] = there
            found[v, ..., UV_DETECTED] = np.where(
                there[..., None], _straight(recording, points, camera), np.nan
            )
        return found


def _view(recording: Recording, number: int) -> Floats | None:
    if number >= len(recording.views):
        raise DataError(
            f"{recording.name} has {len(recording.views)} views, but camera {number} sees it; give"
            " the cameras of this data set"
        )
    return recording.views[number]


def _projected(xyz: Floats, camera: SubjectCamera) -> Floats:
    local = xyz @ camera.extrinsics[:, :3].T + camera.extrinsics[:, 3]
    depth = np.where(np.abs(local[..., 2:]) < 1e-6, 1e-6, local[..., 2:])
    uv = (local / depth) @ camera.intrinsics.T
    found: Floats = uv[..., :2]
    return found


def _straight(recording: Recording, points: Floats, camera: SubjectCamera) -> Floats:
    if camera.lens == VIDEOPOSE3D:
        return straightened(points, camera)
    found: Floats = undistort(
        recording.name,
        points[None],
        camera.intrinsics[None],
        camera.distortion[None],
        [camera.name],
        [camera.lens],
    )[0]
    return found


class _Detections(Sequence[Array]):
    """The same positions as a detector's: without claims, and seen wherever it found something."""

    def __init__(self, examples: _Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, n: Any) -> Any:
        """Return (V, T, K, 7)."""
        example = self.examples[n]
        says = np.full((*example.shape[:3], len(DETECTION_CHANNELS)), np.nan, np.float32)
        says[..., :2] = example[..., UV_DETECTED]
        says[..., 4] = 0
        says[..., 5:7] = np.isfinite(example[..., UV_DETECTED]).all(-1)[..., None]
        return says


def _sigma(examples: dict[int, _Examples]) -> float:
    """Return the errors' standard deviation in the first example of each task, outliers apart."""
    errors = []
    for of_task in examples.values():
        first = of_task[0]
        off = (first[..., UV_DETECTED] - first[..., UV_EXACT]).ravel()
        errors.append(np.abs(off[np.isfinite(off)]))
    found = np.concatenate(errors)
    return round(float(_TO_SIGMA * np.median(found)), 6) if len(found) else 0.0
