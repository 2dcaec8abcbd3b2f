"""What a detector learns from: an archive with pictures, its demos by fold, their labels."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.detector.clips import load_clips, spread
from pose_obj_3d.detector.config import DetectorConfig
from pose_obj_3d.detector.folds import Fold, demo_id, make_folds
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.prompts import ArchivePrompts, NoPrompts, PromptSource
from pose_obj_3d.detector.types import Clip
from pose_obj_3d.formal import FormalData, read_formal
from pose_obj_3d.training.data_files import find_data

logger = logging.getLogger(__name__)
Frames = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """The clips of one fold.

    Attributes:
        train: What the weights learn from.
        held_out: Whole demos, to calibrate on; not in `train`.
        demos: Ids of the demos of both.
    """

    train: list[Clip]
    held_out: list[Clip]
    demos: tuple[str, ...]


class Source:
    """An archive whose pictures a detector learns from.

    Attributes:
        data: The archive.
        folds: Which demos each detector may learn from.
        keypoints: Names of the keypoints to find.
    """

    def __init__(self, config: DetectorConfig, config_path: Path) -> None:
        """Read the archive of a config.

        Raises:
            ConfigError: The config names data that do not exist.
            FormalError: The archive cannot be read, or lacks the task.
            DataError: The archive names no pictures, or has too few demos.
        """
        section = config.DATA
        self.config, self.task = config, section.TASK
        self.data: FormalData = read_formal(
            find_data(section.ARCHIVE, config_path, [self.task], key="DATA.ARCHIVE")
        )
        self.data.require_tasks([self.task])
        logger.info("Data: %s", self.data.path)
        self._pictures = DemoPictures(self.data)
        self._prompts: PromptSource = (
            ArchivePrompts(self._pictures, self.task)
            if self._pictures.has_masks
            else NoPrompts(self._pictures)
        )
        names = self.data.keypoint_names(self.task)
        self._columns = [
            k for k, name in enumerate(names) if name.partition("/")[0] in section.KEYPOINTS
        ]
        self.keypoints = [names[k] for k in self._columns]
        if not self.keypoints:
            there = ", ".join(dict.fromkeys(name.partition("/")[0] for name in names))
            raise ConfigError(
                f"{config_path}: DATA.KEYPOINTS has no group that T{self.task} has: {there}"
            )
        where = f"{self.data.path}: T{self.task}"
        self.folds = make_folds(self.data.split(self.task), section.FOLDS, where)

    def subject(self, fold: Fold) -> Subject:
        """Return what the detector of a fold will know."""
        tracks = self.data.tracks[self.task]
        return Subject(
            self.task,
            tuple(self.keypoints),
            tuple(self.data.camera_names),
            self.data.image_size,
            tuple(map(tuple, self._prompts.groups)),
            tuple(map(tuple, self._exchangeable())),
            fold.number,
            tuple(demo_id(tracks[n]) for n in fold.train),
        )

    def _exchangeable(self) -> list[list[str]]:
        """Return the pairs that look alike, but for those that prompts tell apart."""
        prompted = {name for group in self._prompts.groups for name in group}
        groups = self.data.exchangeable(self.task)
        free = [[n for n in group if n in self.keypoints and n not in prompted] for group in groups]
        return [names for names in free if len(names) == 2]

    def material(self, fold: Fold) -> Material:
        """Read the clips of a fold.

        Raises:
            DataError: Pictures are missing or damaged, or there are too few demos.
        """
        section = self.config.DATA
        examples = list(fold.train)
        count = max(1, round(section.HELD_OUT * len(examples)))
        if count >= len(examples):
            raise DataError(
                f"{self.data.path}: fold {fold.number} has {len(examples)} demo(s) of T{self.task}"
                " to learn from; two are needed: lower DATA.FOLDS, or generate more"
            )
        places = np.floor((np.arange(count) + 0.5) * len(examples) / count).astype(int)
        held_out = [examples[n] for n in places]
        train = [n for n in examples if n not in held_out]
        self._pictures.check([(self.task, n) for n in examples])
        labelled = self._labelled_frames(train, held_out)
        train_frames = [labelled[n] for n in train]
        used = [(n, f) for n, f in zip(train, train_frames, strict=True) if len(f)]
        subject = self.subject(fold)
        return Material(
            self._read([n for n, _ in used], [f for _, f in used]),
            [_with_labels_at(clip, labelled[clip.example]) for clip in self._read(held_out)],
            subject.demos,
        )

    def test_clips(self, fold: Fold, count: int) -> list[list[Clip]]:
        """Read at most `count` demos that the fold's detector has not seen; all views of each."""
        examples = fold.held_out[:: max(1, -(-len(fold.held_out) // count))]
        return [self._read([example]) for example in examples]

    def _labelled_frames(self, train: Sequence[int], held_out: Sequence[int]) -> dict[int, Frames]:
        """Choose the frames of each demo whose labels are used."""
        section = self.config.DATA
        lengths = {n: self._pictures.n_frames(self.task, n) for n in (*train, *held_out)}
        if section.LABELLED_FRAMES is None:
            return {
                n: spread(length, section.FRAMES if n in train else None)
                for n, length in lengths.items()
            }
        for_claims = max(1, round(section.HELD_OUT * section.LABELLED_FRAMES))
        self._check_labels(section.LABELLED_FRAMES - for_claims, train, lengths)
        self._check_labels(for_claims, held_out, lengths)
        return {
            **shared_out(train, lengths, section.LABELLED_FRAMES - for_claims),
            **shared_out(held_out, lengths, for_claims),
        }

    def _check_labels(self, count: int, examples: Sequence[int], lengths: dict[int, int]) -> None:
        there = sum(lengths[n] for n in examples)
        if count > there:
            raise ConfigError(
                f"DATA.LABELLED_FRAMES {self.config.DATA.LABELLED_FRAMES}: {count} of them are for"
                f" {len(examples)} demo(s) of T{self.task}, which have {there} frames in each view;"
                " lower it, or set it to null for all"
            )

    def _read(self, examples: Sequence[int], frames: Sequence[Frames] | None = None) -> list[Clip]:
        clips = load_clips(self._pictures, self._prompts, self.task, examples, frames)
        return [_of_keypoints(clip, self._columns) for clip in clips]


def shared_out(examples: Sequence[int], lengths: dict[int, int], count: int) -> dict[int, Frames]:
    """Share labelled frames out to demos: many demos rather than many frames of one.

    The frames of the demos lie at different places of their length.
    """
    longest = np.array([lengths[example] for example in examples])
    each = np.zeros(len(examples), np.int64)
    while (left := min(count, int(longest.sum())) - int(each.sum())) > 0:
        room = np.flatnonzero(each < longest)  # short demos may be full
        places = np.floor(
            (np.arange(min(left, len(room))) + 0.5) * len(room) / min(left, len(room))
        )
        each[room[places.astype(int)]] += 1
    chosen, given = {}, 0
    for example, n in zip(examples, each.tolist(), strict=True):
        # The golden section spreads any number of places evenly over the length.
        places = (0.5 + (given + np.arange(4 * lengths[example])) * 0.618034) % 1.0
        frames = np.floor(places * lengths[example]).astype(np.int64)
        _, first = np.unique(frames, return_index=True)
        chosen[example] = np.sort(frames[np.sort(first)[:n]])
        given += n
    return chosen


def _of_keypoints(clip: Clip, columns: Sequence[int]) -> Clip:
    labels = clip.labels
    if labels is None:
        return clip
    kept = list(columns)
    chosen = dataclasses.replace(
        labels,
        uv=labels.uv[:, kept],
        is_inside=labels.is_inside[:, kept],
        is_seen=labels.is_seen[:, kept],
    )
    return dataclasses.replace(clip, labels=chosen)


def _with_labels_at(clip: Clip, frames: Frames) -> Clip:
    """Forget the labels of all other frames."""
    labels = clip.labels
    assert labels is not None
    uv = np.where(np.isin(clip.frames, frames)[:, None, None], labels.uv, np.float32(np.nan))
    return dataclasses.replace(clip, labels=dataclasses.replace(labels, uv=uv))
