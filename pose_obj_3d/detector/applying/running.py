"""Run detectors over the demos of an archive, demo by demo; an interrupted run continues."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_obj_3d.common.progress import Pace
from pose_obj_3d.detector.applying.parts import Parts
from pose_obj_3d.detector.clips import demo_clips
from pose_obj_3d.detector.folds import demo_id
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.prompts import PromptSource
from pose_obj_3d.detector.types import Detections, Detector, Floats
from pose_obj_3d.formal import DETECTION_CHANNELS, rounded_detections

logger = logging.getLogger(__name__)
KEY_LENGTH = 16
VERSION = 1  # of what is kept of a demo
WAIT_S = 0.5  # between looks for demos that other processes have


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


def part_key(pictures: DemoPictures, work: Work, example: int) -> str:
    """Name a demo's detections by all that they depend on, but for the pictures' content."""
    track = pictures.data.tracks[work.task][example]
    mark = work.marks[work.chosen[example]]
    first = str(pictures.data.meta.get("image_pattern"))
    said = json.dumps([VERSION, demo_id(track), mark, work.prompts_mark, first])
    return f"T{work.task}_{example}_{hashlib.sha256(said.encode()).hexdigest()[:KEY_LENGTH]}"


def detect_task(pictures: DemoPictures, work: Work, parts: Parts) -> list[Floats]:
    """Detect the keypoints in every demo of a task; demos that other processes have are awaited.

    Returns:
        For each example (V, T, K, 7), `formal.DETECTION_CHANNELS`, for all keypoints of the
        archive; those that the detectors do not know are not detected.
    """
    found: dict[int, Floats] = {}
    missing = _there_already(pictures, work, parts, found)
    parts.reused += len(found)
    pace, begin, first = Pace(), time.monotonic(), len(found)
    while missing:
        for example in missing:
            key = part_key(pictures, work, example)
            with parts.claim(key) as is_ours:
                if is_ours and parts.read(key, _shape(pictures, work, example)) is None:
                    parts.write(key, _detect_demo(pictures, work, example))
            if pace.is_due():
                _there_already(pictures, work, parts, found)
                _log(work, found, begin, first)
        missing = _there_already(pictures, work, parts, found)
        if missing:
            time.sleep(WAIT_S)  # another process has them
    return [found[example] for example in sorted(found)]


def _there_already(
    pictures: DemoPictures, work: Work, parts: Parts, found: dict[int, Floats]
) -> list[int]:
    """Add what is already detected to `found`; return the examples that are missing."""
    for example in range(len(pictures.data.tracks[work.task])):
        if example not in found:
            key = part_key(pictures, work, example)
            part = parts.read(key, _shape(pictures, work, example))
            if part is not None:
                found[example] = part
    return [n for n in range(len(pictures.data.tracks[work.task])) if n not in found]


def _shape(pictures: DemoPictures, work: Work, example: int) -> tuple[int, ...]:
    track = pictures.data.tracks[work.task][example]
    return (*track.shape[:3], len(DETECTION_CHANNELS))


def _log(work: Work, found: dict[int, Floats], begin: float, first: int) -> None:
    """Tell how far a task is, and how long the rest takes; `first` demos were there already."""
    total, made = len(work.chosen), len(found) - first
    left = (total - len(found)) * (time.monotonic() - begin) / max(1, made)
    logger.info(
        "T%d: %d of %d demos detected, about %.0f s left", work.task, len(found), total, left
    )


def _detect_demo(pictures: DemoPictures, work: Work, example: int) -> Floats:
    """Detect in one demo; (V, T, K, 7)."""
    names = pictures.data.keypoint_names(work.task)
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
