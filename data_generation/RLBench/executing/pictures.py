"""Keypoints found in pictures: by networks that `run_detector.py` has trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.tracks.masks import FirstFrame
from pose_obj_3d.common.archive.detections import DETECTED, DETECTOR
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.finding import TrainedDetector
from pose_obj_3d.detector.prompts import with_colours
from pose_obj_3d.detector.types import Clip, Detections
from pose_obj_3d.evaluation.frame_poses import GROUP
from pose_obj_3d.formal import DETECTION_CHANNELS, Witness, read_formal, rounded_detections
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.stated_noise import check_noise
from rlbench.backend.observation import Observation

Float32 = npt.NDArray[np.float32]
BY_DETECTOR = Witness(DETECTED, DETECTOR)


class PictureDetectors:
    """Detectors by task."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read their checkpoints, of one fold for each task.

        Raises:
            ConfigError: One cannot be used.
        """
        self._detectors: dict[int, tuple[Path, TrainedDetector]] = {}
        for path in paths:
            try:
                detector = TrainedDetector(path)
            except PoseObj3DError as error:
                raise ConfigError(str(error)) from None
            task = detector.subject.task
            if task in self._detectors:
                raise ConfigError(
                    f"{path} and {self._detectors[task][0]} are both of task {task}; name one of"
                    " them: any fold will do"
                )
            self._detectors[task] = path, detector

    def check_task(self, task: int, names: Sequence[str], cameras: Sequence[str]) -> None:
        """Refuse a task whose waypoint frames nobody can detect.

        Raises:
            ConfigError: There is no detector of it, or it knows other keypoints or cameras.
        """
        if task not in self._detectors:
            there = ", ".join(map(str, sorted(self._detectors)))
            raise ConfigError(f"task {task}: --detectors has none of it, but of tasks {there}")
        path, detector = self._detectors[task]
        wanted = [name for name in names if name.startswith(f"{GROUP}/")]
        missing = [name for name in wanted if name not in detector.keypoints]
        if missing:
            raise ConfigError(
                f"{path}: the detector does not find {missing[0]}; train it on an archive with the"
                f" group {GROUP}"
            )
        if list(detector.subject.cameras) != list(cameras):
            raise ConfigError(
                f"{path}: the detector knows the cameras {', '.join(detector.subject.cameras)};"
                f" track_cams are {', '.join(cameras)}"
            )

    def find(
        self, task: int, names: Sequence[str], frames: Sequence[int], seen: Sequence[Observation]
    ) -> list[Float32]:
        """Find the keypoints in pictures of a scene.

        Args:
            task: Task id.
            names: K keypoints.
            frames: M frame numbers, rising; 0 first.
            seen: M observations, with colour images, the first one with images of ids.

        Returns:
            M times what the detector says, (V, K, 7); keypoints that it does not know are nowhere.

        Raises:
            DataGenerationError: The pictures are not those that it knows.
        """
        _, detector = self._detectors[task]
        subject = detector.subject
        firsts = [np.asarray(seen[0].images[cam].rgb) for cam in subject.cameras]
        shown = with_colours(firsts, _masks(seen[0], subject, names))
        clips = [
            Clip(
                task=task,
                example=0,
                view=view,
                frames=np.asarray(frames, np.int64),
                pictures=np.stack([np.asarray(o.images[cam].rgb) for o in seen]),
                first=shown.firsts[view],
                prompt=shown.views[view],
            )
            for view, cam in enumerate(subject.cameras)
        ]
        try:
            found = detector.detect(clips)
        except PoseObj3DError as error:
            raise DataGenerationError(str(error)) from None
        return list(_in_columns(found, detector.keypoints, names).swapaxes(0, 1))


def nowhere(*shape: int) -> Float32:
    """Return (*shape, 7) detections of what was not found."""
    found = np.zeros((*shape, len(DETECTION_CHANNELS)), np.float32)
    found[..., :4] = np.nan
    return found


def _in_columns(found: Sequence[Detections], known: Sequence[str], names: Sequence[str]) -> Float32:
    """Return (V, M, K, 7) for all keypoints."""
    channels = np.stack([one.channels() for one in found])
    whole = nowhere(*channels.shape[:2], len(names))
    for k, name in enumerate(known):
        if name in names:
            whole[:, :, list(names).index(name)] = channels[:, :, k]
    whole[np.isnan(whole[..., :2]).any(-1), :4] = np.nan
    return np.asarray(rounded_detections(whole), np.float32)


def _masks(first: Observation, subject: Subject, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return (V, P, H, W) the pixels of the things that prompted keypoints hang on."""
    images = [np.asarray(first.images[cam].mask) for cam in subject.cameras]
    drawn = {int(i) for image in images for i in np.unique(image)}
    scene = FirstFrame(first.obj_annotations)
    assert first.keypoints is not None
    wanted: list[int | None] = []
    for group in subject.prompts:
        kind, _, own = group[0].partition("/")
        waypoint = own.rpartition("/")[0] if kind == GROUP else own
        origin = f"{GROUP}/{waypoint}/origin" if kind == GROUP else group[0]
        point = first.keypoints[list(names).index(origin)]
        wanted.append(scene.thing_at(waypoint, point, drawn))
    masks = [[image == number for number in wanted] for image in images]
    return np.array(masks, bool).reshape(len(images), len(wanted), *images[0].shape[:2])


class DetectorErrors:
    """How detectors err, as found without labels in an archive of their detections."""

    def __init__(self, archive: Path) -> None:
        """Read the archive.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            self._data = read_formal(archive)
        except PoseObj3DError as error:
            raise ConfigError(str(error)) from None
        self._found: dict[tuple[str, ...], dict[str, Any]] = {}

    def of(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return what `meta["noise"]` says of keypoints `T<task>/<group>/<name>`, in their order.

        Raises:
            ConfigError: The archive has no detections of them.
        """
        key = tuple(ids)
        if key not in self._found:
            tasks = list(dict.fromkeys(int(name.split("/")[0][1:]) for name in ids))
            try:
                chosen = choose_detections(self._data, BY_DETECTOR, tasks)
                self._found[key] = check_noise(chosen, tasks, key)[0].meta["noise"]
            except PoseObj3DError as error:
                raise ConfigError(f"--detected {error}") from None
        return self._found[key]
