"""Run detectors over the demos of an archive, demo by demo; an interrupted run continues."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.progress import Pace
from pose_obj_3d.common.safe_reading.npy_arrays import read_npy
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.detector.clips import demo_clips
from pose_obj_3d.detector.folds import demo_id
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.prompts import PromptSource
from pose_obj_3d.detector.types import Detections, Detector, Floats
from pose_obj_3d.formal import DETECTION_CHANNELS, rounded_detections

logger = logging.getLogger(__name__)
PARTS_SUFFIX = ".parts"
KEY_LENGTH = 16
VERSION = 1  # of what is kept of a demo


@dataclass(frozen=True)
class Work:
    """How the demos of one task are detected.

    Attributes:
        task: Task id.
        detectors: The detectors.
        marks: For each detector what tells it from others, such as its checkpoint's digest.
        chosen: Example -> number of its detector.
        prompts: Says which objects are meant.
        prompts_mark: What tells these prompts from others.
        exchangeable: Groups of keypoints that the detectors cannot tell apart.
        folds: For each detector the number of its fold; empty where none was trained.
        labelled_frames: Labels in each view that trained each; None for all.
    """

    task: int
    detectors: Sequence[Detector]
    marks: Sequence[str]
    chosen: dict[int, int]
    prompts: PromptSource
    prompts_mark: str = ""
    exchangeable: Sequence[Sequence[str]] = ()
    folds: Sequence[int] = ()
    labelled_frames: int | None = None

    def fold_of(self) -> dict[str, int]:
        """Give example -> fold, as `meta` holds it; nothing where no detector was trained."""
        if not self.folds:
            return {}
        return {str(n): self.folds[i] for n, i in sorted(self.chosen.items())}


@dataclass
class Parts:
    """What is already detected: a folder with a file for each demo, next to the result."""

    folder: Path
    reused: int = field(default=0, init=False)

    @classmethod
    def of(cls, out: Path) -> "Parts":
        """Give those of a result."""
        return cls(out.with_name(f"{out.name}{PARTS_SUFFIX}"))

    def read(self, key: str, shape: tuple[int, ...]) -> Floats | None:
        """Read the detections of a demo; None where there are none, or where they are damaged."""
        try:
            part = read_npy(self._path(key))
        except (OSError, ArchiveError):
            return None
        if part.shape != shape or part.dtype != np.float32:
            return None
        self.reused += 1
        return part

    def write(self, key: str, part: Floats) -> None:
        """Keep the detections of a demo."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with writing(self._path(key)) as file:
            np.save(file, part, allow_pickle=False)

    def remove(self) -> None:
        """Remove all, once the result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"


def part_key(pictures: DemoPictures, work: Work, example: int) -> str:
    """Name a demo's detections by all that they depend on, but for the pictures' content."""
    track = pictures.data.tracks[work.task][example]
    mark = work.marks[work.chosen[example]]
    first = str(pictures.data.meta.get("image_pattern"))
    said = json.dumps([VERSION, demo_id(track), mark, work.prompts_mark, first])
    return f"T{work.task}_{example}_{hashlib.sha256(said.encode()).hexdigest()[:KEY_LENGTH]}"


def detect_task(pictures: DemoPictures, work: Work, parts: Parts) -> list[Floats]:
    """Detect the keypoints in every demo of a task.

    Returns:
        For each example (V, T, K, 7), `formal.DETECTION_CHANNELS`, for all keypoints of the
        archive; those that the detectors do not know are not detected.
    """
    tracks = pictures.data.tracks[work.task]
    names = pictures.data.keypoint_names(work.task)
    found: list[Floats] = []
    pace, begin, made = Pace(), time.monotonic(), 0
    for example, track in enumerate(tracks):
        key = part_key(pictures, work, example)
        part = parts.read(key, (*track.shape[:3], len(DETECTION_CHANNELS)))
        if part is None:
            part = _detect_demo(pictures, work, example, names)
            parts.write(key, part)
            made += 1
        found.append(part)
        if pace.is_due() and made:
            left = (len(tracks) - example - 1) * (time.monotonic() - begin) / made
            logger.info(
                "T%d: %d of %d demos detected, about %.0f s left",
                work.task,
                example + 1,
                len(tracks),
                left,
            )
    return found


def _detect_demo(pictures: DemoPictures, work: Work, example: int, names: Sequence[str]) -> Floats:
    """Detect in one demo; (V, T, K, 7)."""
    detector = work.detectors[work.chosen[example]]
    clips = demo_clips(pictures, work.prompts, work.task, example)
    results = detector.detect(clips)
    columns = [names.index(name) for name in detector.keypoints]
    views = [_in_columns(result, columns, len(names)) for result in results]
    return rounded_detections(np.stack(views)).astype(np.float32)


def _in_columns(result: Detections, columns: Sequence[int], count: int) -> Floats:
    """Put detections into the archive's keypoints; the others are nowhere, without a claim."""
    channels = result.channels()
    whole = np.zeros((len(channels), count, len(DETECTION_CHANNELS)), np.float32)
    whole[..., :4] = np.nan
    whole[:, list(columns)] = channels
    # What is nowhere has no claim, and what has no place in the picture was not found.
    nowhere = np.isnan(whole[..., :2]).any(-1)
    whole[nowhere, :4] = np.nan
    return whole
