"""Makes an archive of a LeRobot data set."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.facts import DETECTION_GRID_PX, KEYPOINT_GROUPS
from pose_obj_3d.common.names import some_names
from pose_obj_3d.formal import MIN_EXAMPLES, write_formal
from pose_obj_3d.importing.examples import Points, example, sigma_px, take
from pose_obj_3d.importing.lerobot_folder import Episode, LeRobotFolder
from pose_obj_3d.importing.mapping import SAME, Camera, Mapped, find_cameras, one_matrix

Floats = npt.NDArray[np.float64]
GROUP = "objects"
"""Group of keypoints whose names tell none."""


@dataclass(frozen=True)
class ImportOptions:
    """What the command's flags say.

    Attributes:
        mapped: Names of features.
        cameras: Names; None for all that have keypoints.
        calibration: JSON file of the cameras, or None.
        image_size: Width, height [px], or None.
        keypoints: Names to keep; None for all.
        task_name: Of a data set that does not say which tasks its episodes are.
        sigma_px: Standard deviation of the detections; None: as they differ from the 3D positions.
    """

    mapped: Mapped = field(default_factory=Mapped)
    cameras: Sequence[str] | None = None
    calibration: Path | None = None
    image_size: Sequence[int] | None = None
    keypoints: Sequence[str] | None = None
    task_name: str = "lerobot"
    sigma_px: float | None = None


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        examples: Task name -> number of examples.
        cameras: Names of the views.
        is_triangulated: 3D positions were not given.
    """

    examples: Mapping[str, int]
    cameras: tuple[str, ...]
    is_triangulated: bool


def import_lerobot(root: Path, output: Path, options: ImportOptions) -> Imported:
    """Write an archive of all episodes.

    Raises:
        PoseObj3DError: Something is missing or not as it must be; nothing is written then.
    """
    folder = LeRobotFolder(root)
    episodes = folder.episodes()
    cameras = find_cameras(
        folder, options.mapped, options.cameras, options.calibration, options.image_size
    )
    labels = keypoint_labels(folder, options.mapped, cameras[0].name)
    kept = _kept(root, labels, options.keypoints)
    size = cameras[0].image_size
    reader = _Reader(folder, options.mapped, cameras, len(labels))
    K, E, read = reader.read(episodes)
    tracks: dict[int, list[npt.NDArray[np.float32]]] = {}
    meta: dict[str, Any] = {
        "image_size": list(size),
        "camera_names": [c.name for c in cameras],
        "frame_period_s": 1 / folder.fps,
        "task_names": {},
        "keypoint_names": {},
        "descriptions": {},
    }
    for (task, name), own in _by_task(episodes, options.task_name).items():
        if len(own) < MIN_EXAMPLES:
            raise DataError(
                f"{root}: {name} has {len(own)} episode(s); at least {MIN_EXAMPLES} are needed, for"
                " training, validation and test"
            )
        there = [k for k in kept if any(_is_there(read[e.index], k) for e in own)]
        if not there:
            raise DataError(f"{root}: {name} has no detected keypoint in any frame")
        names = [labels[k] for k in there]
        tracks[task] = [example(take(read[e.index], there), names, K, E, size) for e in own]
        meta["task_names"][f"T{task}"] = name
        meta["keypoint_names"][f"T{task}"] = names
        meta["descriptions"][f"T{task}"] = [e.sentence or name for e in own]
    every = [x for examples in tracks.values() for x in examples]
    stated = options.sigma_px
    if stated is None:
        stated = sigma_px(every, DETECTION_GRID_PX, not reader.has_xyz)
    meta["noise"] = {"sigma_px": stated}
    if not reader.has_xyz:
        meta["truth"] = "triangulated from the detections"
    write_formal(output, tracks, meta, K, E)
    counts = {meta["task_names"][f"T{t}"]: len(x) for t, x in tracks.items()}
    return Imported(counts, tuple(c.name for c in cameras), not reader.has_xyz)


def keypoint_labels(folder: LeRobotFolder, mapped: Mapped, camera: str) -> list[str]:
    """Give the names of the keypoints, with a group; numbers where the features tell none."""
    feature = mapped.of("uv", camera)
    shape = folder.shape(feature)
    is_flat = len(shape) == 1
    if (is_flat and shape[0] % 2) or len(shape) > 2 or (not is_flat and shape[1] not in (2, 3)):
        raise DataError(
            f"{folder.root}: feature {feature!r} has the shape {shape}; allowed: (K, 2), (K, 3)"
            " with a confidence, or (2 K,)"
        )
    count = shape[0] // 2 if is_flat else shape[0]
    named = folder.features[feature].get("names")
    found = named.get("keypoints") if isinstance(named, dict) else named
    labels = [n for n in found if isinstance(n, str)] if isinstance(found, list) else []
    if len(labels) != count:
        labels = [f"point{k}" for k in range(count)]
    labels = [n if n.split("/")[0] in KEYPOINT_GROUPS else f"{GROUP}/{n}" for n in labels]
    if len(set(labels)) < count:
        raise DataError(f"{folder.root}: feature {feature!r} gives two keypoints the same name")
    return labels


def _kept(root: Path, labels: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    if wanted is None:
        return list(range(len(labels)))
    short = [label.removeprefix(f"{GROUP}/") for label in labels]
    found = []
    for name in dict.fromkeys(wanted):
        if name not in labels and name not in short:
            raise ConfigError(f"--keypoints: {root} has no {name!r}; {some_names(name, labels)}")
        found.append(labels.index(name) if name in labels else short.index(name))
    return sorted(found)


def _by_task(episodes: Sequence[Episode], default: str) -> dict[tuple[int, str], list[Episode]]:
    if not re.fullmatch(r"\w{1,100}", default):
        raise ConfigError(f"--task_name is {default[:60]!r}; it must be one word")
    found: dict[tuple[int, str], list[Episode]] = {}
    is_known = all(e.task is not None for e in episodes)
    for episode in episodes:
        task = episode.task if is_known and episode.task is not None else (0, default)
        found.setdefault(task, []).append(episode)
    return found


def _is_there(points: Points, keypoint: int) -> bool:
    return bool(np.isfinite(points.uv[:, :, keypoint]).all(-1).any())


@dataclass(frozen=True)
class _Reader:
    """Reads the keypoints of episodes, and the calibration that all of them have."""

    folder: LeRobotFolder
    mapped: Mapped
    cameras: Sequence[Camera]
    count: int

    @property
    def has_xyz(self) -> bool:
        """Whether there are 3D positions."""
        return self.mapped.xyz in self.folder.features

    @property
    def has_visibility(self) -> bool:
        """Whether all cameras have visibility."""
        names = (self.mapped.of("visibility", c.name) for c in self.cameras)
        return all(name in self.folder.features for name in names)

    def _features(self) -> list[str]:
        found = [self.mapped.xyz] if self.has_xyz else []
        for camera in self.cameras:
            kinds = ["uv", *(["visibility"] if self.has_visibility else [])]
            kinds += ["intrinsics", "extrinsics"] if camera.intrinsics is None else []
            found += [self.mapped.of(kind, camera.name) for kind in kinds]
        return found

    def read(self, episodes: Sequence[Episode]) -> tuple[Floats, Floats, dict[int, Points]]:
        """Give intrinsics (V, 3, 3), extrinsics (V, 3, 4), and the points of each episode.

        Raises:
            DataError: An episode is missing, or was filmed by other cameras.
        """
        rig: tuple[Floats, Floats] | None = None
        found: dict[int, Points] = {}
        for index, values in self.folder.frames(self._features()):
            own = self._rig(values, index)
            rig = rig or own
            for before, now in zip(rig, own, strict=True):
                if not np.allclose(before, now, rtol=SAME, atol=SAME):
                    raise DataError(
                        f"{self.folder.root}: episode {index} was filmed by other cameras than the"
                        " first; an archive has one calibration"
                    )
            found[index] = self._points(values, index)
        for episode in episodes:
            points = found.get(episode.index)
            if points is None or points.uv.shape[1] != episode.length or rig is None:
                raise DataError(
                    f"{self.folder.root}: {episode.length} frames of episode {episode.index} must"
                    " be there; the data set is not whole"
                )
        assert rig is not None  # there is at least one episode
        return *rig, found

    def _rig(self, values: Mapping[str, Floats], index: int) -> tuple[Floats, Floats]:
        def matrix(camera: Camera, kind: str, columns: int) -> Floats:
            given: Floats | None = getattr(camera, kind)
            if given is not None:
                return given
            name = self.mapped.of(kind, camera.name)
            return one_matrix(values[name], f"episode {index}: {name}", 3, columns)

        K = np.stack([matrix(c, "intrinsics", 3) for c in self.cameras])
        return K, np.stack([matrix(c, "extrinsics", 4) for c in self.cameras])

    def _points(self, values: Mapping[str, Floats], index: int) -> Points:
        views, seen = [], []
        for camera in self.cameras:
            given = values[self.mapped.of("uv", camera.name)]
            points = self._shaped(given, camera, (2, 3))
            is_found = points[..., 2:].all(-1, keepdims=True)  # by the confidence, if there is one
            views.append(np.where(is_found, points[..., :2], np.nan))
            if self.has_visibility:
                given = values[self.mapped.of("visibility", camera.name)]
                seen.append(self._shaped(given, camera, (1,))[..., 0])
        xyz = None
        if self.has_xyz:
            xyz = self._shaped(values[self.mapped.xyz], self.cameras[0], (3,))
        visibility = np.stack(seen) if seen else None
        return Points(f"episode {index}", np.stack(views), visibility, xyz)

    def _shaped(self, given: Floats, camera: Camera, widths: Sequence[int]) -> Floats:
        """Give (T, K, width)."""
        flat = given.reshape(len(given), -1)
        if flat.shape[1] not in [self.count * width for width in widths]:
            raise DataError(
                f"{self.folder.root}: {flat.shape[1]} numbers of camera {camera.name} do not fit"
                f" the {self.count} keypoints of camera {self.cameras[0].name}"
            )
        return flat.reshape(len(flat), self.count, -1)
