"""Plans: which detector finds the keypoints of which demo, with which prompts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pose_obj_3d.common.errors import CheckpointError, DataError
from pose_obj_3d.detector.applying.lucas_kanade import NAME, LucasKanade
from pose_obj_3d.detector.applying.running import Work
from pose_obj_3d.detector.folds import choose_detectors
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.prompt_files import FilePrompts
from pose_obj_3d.detector.prompts import ArchivePrompts, Groups, NoPrompts, PromptSource
from pose_obj_3d.detector.types import Detector
from pose_obj_3d.formal import FormalData

DESCRIPTION = "description"
"""What `--prompts` takes in place of a file: colours that the archive's descriptions name."""
OF_ARCHIVE = "masks of the archive"


class Known(Protocol):
    """What a trained detector knows; `learning.checkpoint.Subject`."""

    @property
    def task(self) -> int:
        """Task id."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the V cameras."""
        ...

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height [px]."""
        ...

    @property
    def prompts(self) -> Groups:
        """For each prompt the keypoints that hang on its object."""
        ...

    @property
    def exchangeable(self) -> tuple[tuple[str, ...], ...]:
        """Groups of keypoints that look alike."""
        ...

    @property
    def fold(self) -> int:
        """Number of its fold."""
        ...

    @property
    def demos(self) -> tuple[str, ...]:
        """Ids of the demos that it was trained on."""
        ...


class Trained(Detector, Protocol):
    """A trained detector: `learning.finding.TrainedDetector`."""

    @property
    def subject(self) -> Known:
        """What it knows."""
        ...


@dataclass(frozen=True)
class Loaded:
    """A detector from a checkpoint.

    Attributes:
        path: The checkpoint.
        digest: Of the file.
        detector: The detector.
        labelled_frames: Labels in each view that trained it; None for all.
    """

    path: Path
    digest: str
    detector: Trained
    labelled_frames: int | None = None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; a missing one is a CheckpointError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(
            f"--checkpoint {path}: {error.strerror or error}; run_detector.py makes checkpoints"
        ) from None


def plan_trained(
    pictures: DemoPictures, loaded: Sequence[Loaded], prompts: str | None
) -> list[Work]:
    """Plan the tasks that some trained detectors know.

    Args:
        pictures: The archive's pictures.
        loaded: Detectors: for each task those of all its folds.
        prompts: A JSON file, `DESCRIPTION`, or None for the archive's masks.

    Raises:
        DataError: A detector knows other keypoints, cameras or pictures than the archive has, or
            every detector has seen a demo in training.
    """
    data = pictures.data
    by_task: dict[int, list[Loaded]] = {}
    for entry in loaded:
        by_task.setdefault(entry.detector.subject.task, []).append(entry)
    data.require_tasks(sorted(by_task))
    for entry in loaded:
        _check(pictures, entry)
    plans = []
    for task, entries in sorted(by_task.items()):
        first = entries[0].detector
        for other in entries[1:]:
            _check_together(entries[0], other)
        chosen = choose_detectors(data, task, [e.detector.subject.demos for e in entries])
        plans.append(
            Work(
                task=task,
                detectors=[e.detector for e in entries],
                marks=[e.digest for e in entries],
                chosen=chosen,
                prompts=_prompts(pictures, task, first.subject.prompts, prompts),
                prompts_mark=_prompts_mark(prompts),
                exchangeable=_alike(data, task, first.subject),
                folds=_fold_numbers(entries),
                labelled_frames=entries[0].labelled_frames,
            )
        )
    return plans


def plan_tracker(
    pictures: DemoPictures, tasks: Sequence[int], starts: Sequence[Work]
) -> list[Work]:
    """Plan the tracker that needs no training.

    Args:
        pictures: The archive's pictures.
        tasks: Task ids; empty for all, or for those of `starts`.
        starts: How the first frames are detected; empty takes the labels.
    """
    data = pictures.data
    if starts:
        return [
            Work(
                task=work.task,
                detectors=[LucasKanade(d.keypoints, d) for d in work.detectors],
                marks=[f"{NAME} {mark}" for mark in work.marks],
                chosen=work.chosen,
                prompts=work.prompts,
                prompts_mark=work.prompts_mark,
                exchangeable=work.exchangeable,
                folds=work.folds,
                labelled_frames=work.labelled_frames,
            )
            for work in starts
        ]
    data.require_tasks(tasks)
    return [
        Work(
            task=task,
            detectors=[LucasKanade(data.keypoint_names(task))],
            marks=[NAME],
            chosen=dict.fromkeys(range(len(data.tracks[task])), 0),
            prompts=NoPrompts(pictures),
            labelled_frames=len(data.tracks[task]),
        )
        for task in (sorted(tasks) or sorted(data.tracks))
    ]


def _check_together(first: Loaded, other: Loaded) -> None:
    """Refuse two detectors of a task that would say different things of its demos."""
    knows, known = other.detector.subject, first.detector.subject
    differences = {
        "needs other prompts": knows.prompts != known.prompts,
        "finds other keypoints": list(other.detector.keypoints) != list(first.detector.keypoints),
        "tells other keypoints apart": knows.exchangeable != known.exchangeable,
        f"has other labels ({_frames_of(other)}; {_frames_of(first)})": (
            other.labelled_frames != first.labelled_frames
        ),
    }
    for what, differs in differences.items():
        if differs:
            raise DataError(
                f"{other.path}: this detector {what} than {first.path}; use the checkpoints of one"
                " training"
            )


def _frames_of(entry: Loaded) -> str:
    count = entry.labelled_frames
    return "all" if count is None else f"{count} frames of each view"


def _fold_numbers(entries: Sequence[Loaded]) -> list[int]:
    """Number the folds of a task: as their trainings did, unless two would have one number."""
    own = [entry.detector.subject.fold for entry in entries]
    return own if len(set(own)) == len(own) else list(range(len(own)))


def _alike(data: FormalData, task: int, known: Known) -> list[list[str]]:
    """List the keypoints that a detector cannot tell apart, in groups."""
    if known.exchangeable:
        return [list(group) for group in known.exchangeable]
    prompted = {name for group in known.prompts for name in group}
    return [group for group in data.exchangeable(task) if not set(group) <= prompted]


def _prompts(
    pictures: DemoPictures, task: int, groups: Groups, prompts: str | None
) -> PromptSource:
    if not groups:
        return NoPrompts(pictures)
    if prompts is None:
        return ArchivePrompts(pictures, task, groups)
    if prompts == DESCRIPTION:
        return FilePrompts.of_descriptions(pictures, groups, task)
    return FilePrompts.read(pictures, groups, Path(prompts), task)


def _prompts_mark(prompts: str | None) -> str:
    if prompts is None or prompts == DESCRIPTION:
        return prompts or OF_ARCHIVE
    try:
        return hashlib.sha256(Path(prompts).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"--prompts {prompts}: {error.strerror or error}") from None


def _check(pictures: DemoPictures, entry: Loaded) -> None:
    """Refuse a detector that was made for other keypoints, cameras or pictures."""
    data, known = pictures.data, entry.detector.subject
    names = data.keypoint_names(known.task)
    missing = [name for name in entry.detector.keypoints if name not in names]
    if missing:
        raise DataError(
            f"{entry.path}: the detector finds {len(missing)} keypoint(s) that T{known.task} of"
            f" {data.path} does not have, such as {missing[0]}; use a detector that was trained on"
            " these keypoints"
        )
    if list(known.cameras) != data.camera_names:
        raise DataError(
            f"{entry.path}: the detector knows the cameras {', '.join(known.cameras)[:100]};"
            f" {data.path} has {', '.join(data.camera_names)[:100]}; use a detector that was"
            " trained on these cameras"
        )
    if tuple(known.image_size) != data.image_size:
        raise DataError(
            f"{entry.path}: the detector knows pictures of"
            f" {' x '.join(map(str, known.image_size))} px, those of {data.path} have"
            f" {' x '.join(map(str, data.image_size))} px"
        )
