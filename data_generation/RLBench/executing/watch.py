"""What the cameras have seen of a scene up to now, as an archive of one example."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.executing.pictures import BY_DETECTOR, PictureDetectors, nowhere
from data_generation.RLBench.executing.settings import Noise
from data_generation.RLBench.tracks.detector import (
    DetectorNoise,
    assemble,
    camera_numbers,
    detect,
    rounded,
)
from pose_obj_3d.formal import FormalData, complete_meta
from pose_obj_3d.tracks.choosing import choose_detections
from rlbench.backend.observation import Observation
from rlbench.cameras import project_views
from rlbench.const import DEMO_DT

Float = npt.NDArray[np.float64]
SOURCE = Path("scene")  # stands where messages name an archive
_STRETCH = 1024  # frames whose noise is drawn at once: that of a frame never changes later


class Watch:
    """Frames of one scene, seen by static cameras.

    Attributes:
        names: K keypoints, `<group>/<name>`.
        frames: T frames so far.
    """

    def __init__(
        self,
        names: Sequence[str],
        cameras: Sequence[str],
        calibration: tuple[Float, Float],
        image_size: tuple[int, int],
        key: tuple[int, int],
        detectors: PictureDetectors | None = None,
    ) -> None:
        """Begin.

        Args:
            names: K keypoints.
            cameras: V names.
            calibration: (V, 3, 3) intrinsics [px], (V, 3, 4) extrinsics, world to camera [m].
            image_size: Width and height [px].
            key: Task id and number of the example, of which the noise is a function.
            detectors: Find the keypoints in pictures; None: detections are simulated.
        """
        self.names = list(names)
        self._cameras, self._size, self._key = list(cameras), image_size, key
        self._K, self._E = calibration
        self._detectors = detectors
        self._pictured: dict[int, Observation] = {}
        self._xyz: list[Float] = []
        self._visibility: list[npt.NDArray[np.float32]] = []

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._xyz)

    def add(self, observation: Observation) -> None:
        """Take a frame."""
        assert observation.keypoints is not None
        assert observation.keypoint_visibility is not None
        self._xyz.append(np.asarray(observation.keypoints, np.float64))
        self._visibility.append(np.asarray(observation.keypoint_visibility, np.float32))

        if self._detectors is not None:
            self._pictured[len(self) - 1] = observation

    def skip(self) -> None:
        """Let a frame pass of which no picture is taken."""
        self._xyz.append(self._xyz[-1])
        self._visibility.append(np.zeros_like(self._visibility[-1]))

    def data(self, noise: Noise) -> FormalData:
        """Return all frames as an archive in memory, whose only example is a test example.

        The simulated noise of a frame does not depend on how many frames follow.

        Raises:
            DataGenerationError: A detector cannot read the pictures.
        """
        detector = noise.detector or DetectorNoise()
        xyz, visibility = rounded(np.stack(self._xyz)), np.stack(self._visibility, axis=1)
        uv, _ = project_views(xyz, self._K, self._E)
        frames, width = len(xyz), self._size[0]
        rest = -frames % _STRETCH
        long_uv = np.pad(uv, ((0, 0), (0, rest), (0, 0), (0, 0)), mode="edge")
        long_visibility = np.pad(visibility, ((0, 0), (0, rest), (0, 0)), mode="edge")
        cameras = camera_numbers(self._cameras)
        detected = detect(long_uv, long_visibility, width, *self._key, detector, cameras)
        detected = detected[:, :frames]
        data = self._archive(assemble(uv, detected, xyz, visibility), detector)
        return data if self._detectors is None else self._in_pictures(data, self._detectors)

    def _in_pictures(self, data: FormalData, detectors: PictureDetectors) -> FormalData:
        """Replace simulated detections by those of a detector, which knows no truth."""
        task, frames = self._key[0], list(self._pictured)
        said = nowhere(len(self._cameras), len(self), len(self.names))
        found = detectors.find(task, self.names, frames, list(self._pictured.values()))
        for frame, one in zip(frames, found, strict=True):
            said[:, frame] = one
        meta = {**data.meta, "detections": {"detector": "of pictures"}}
        detected = replace(data, meta=meta, detections={task: [said]})
        return choose_detections(detected, BY_DETECTOR, [task])

    def _archive(self, tracks: npt.NDArray[np.float32], detector: DetectorNoise) -> FormalData:
        task = self._key[0]
        sigma = detector.sigma_px(self._size[0], len(self._cameras))
        meta = {
            "image_size": list(self._size),
            "camera_names": self._cameras,
            "task_names": {f"T{task}": f"task {task}"},
            "keypoint_names": {f"T{task}": self.names},
            "noise": {
                "sigma_px": float(np.sqrt(np.mean(sigma**2))),
                "sigma_px_per_view": sigma.tolist(),
                **detector.stated(len(sigma)),
            },
            # What a detector claims in this scene says how large errors are, if nothing else does.
            "split": {f"T{task}": {"train": [0], "val": [], "test": [0]}},
            "frame_period_s": DEMO_DT,
        }
        full = complete_meta(SOURCE, meta, {task: 1})
        return FormalData(SOURCE, {task: [tracks]}, full, self._K, self._E)
