"""What of a data set fits into a given memory, and some of its examples in place of all.

All decisions depend on the data and the limit alone, so they are the same on every machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pose_obj_3d.common.archive.examples import LazyExamples
from pose_obj_3d.common.archive.meta import SPLIT_NAMES
from pose_obj_3d.formal import FormalData

Example = tuple[int, int]
"""Task and number."""
WORKING = 12
"""Memory that examples need at most, in that of their `Tracks`: 9 while they are triangulated, in
float64, and 3 for the block before it with what is computed from it, such as smoothed tracks."""
READING_SHARE = 1 / 8  # of the memory, for examples as they are read from the archive
# Of the memory, for examples that stay: those that stand for all training examples, and those to
# validate on.
SAMPLE_SHARE = 1 / 8
TEST_SHARE = 1 / 2  # of the memory, for test examples: after training
_LOOKED_AT = 64  # examples, evenly spread, whose lengths stand for those of all


@dataclass(frozen=True)
class Room:
    """How much memory there is for examples.

    Attributes:
        bytes: For everything.
        views: V.
        keypoints: K, of the richest task.
        has_claims: Whether a detector claims something.
    """

    bytes: int
    views: int
    keypoints: int
    has_claims: bool

    @property
    def reading_bytes(self) -> int:
        """Memory for examples as they are read."""
        return int(READING_SHARE * self.bytes)

    def frame_bytes(self) -> int:
        """Return what a frame takes in `Tracks`, whose fields are counted here."""
        per_detection = 2 * 4 + 3 * 4 + (4 * 4 + 4 if self.has_claims else 0)
        per_keypoint = (3 + 9 + 3) * 4 + 8 + (9 * 4 if self.has_claims else 0)
        return self.keypoints * (self.views * per_detection + per_keypoint) + 5 * 8

    def frames(self, share: float = 1.0) -> int:
        """Return how many frames fit into a share of the memory, beside what is read."""
        free = share * (self.bytes - self.reading_bytes)
        return max(1, int(free / (WORKING * self.frame_bytes())))


def examples_of(data: FormalData, tasks: Sequence[int], split: str) -> list[Example]:
    """List the examples of a part of the split, task by task."""
    return [(task, n) for task in tasks for n in data.split(task)[split]]


def spread(examples: Sequence[Example], count: int) -> list[Example]:
    """Choose so many examples, evenly spread; all where there are no more."""
    if count >= len(examples):
        return list(examples)
    return [examples[(2 * i + 1) * len(examples) // (2 * count)] for i in range(count)]


def count_frames(data: FormalData, examples: Sequence[Example]) -> int:
    """Count the frames of some examples; of those not yet read, by some of them."""
    is_read = not any(isinstance(data.tracks[task], LazyExamples) for task, _ in examples)
    some = examples if is_read else spread(examples, _LOOKED_AT)
    found: int = sum(data.tracks[task][n].shape[1] for task, n in some)
    return found if is_read else round(found / len(some) * len(examples))


def fitting(data: FormalData, examples: Sequence[Example], frames: int) -> list[Example]:
    """Choose so many examples, evenly spread, that they have about so many frames; at least one."""
    count = int(frames * len(examples) / max(1, count_frames(data, examples)))
    return spread(examples, max(1, count))


@dataclass(frozen=True)
class Portion:
    """What of a data set fits.

    Attributes:
        data: The data set; of validation and test, those examples that fit.
        train: All training examples.
        sample: Those that stand for all of them where all must be looked at at once.
        frames: Of all training examples, about.
        blocks: Into how many blocks they must be divided; 1 = they fit as a whole.
        notes: Lines that say what does not fit.
        test_notes: Those of them that are about the test.
    """

    data: FormalData
    train: list[Example]
    sample: list[Example]
    frames: int
    blocks: int
    notes: tuple[str, ...]
    test_notes: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Tell whether the training examples fit as a whole."""
        return self.blocks == 1

    def sampled(self, data: FormalData | None = None) -> FormalData:
        """Return data (default: `self.data`) with the sample in place of all training examples."""
        data = self.data if data is None else data
        return data if self.is_whole else only(data, {"train": self.sample})


def portion(
    data: FormalData, train_tasks: Sequence[int], eval_tasks: Sequence[int], room: Room
) -> Portion:
    """Decide what of a data set is loaded at once.

    Args:
        data: The archive.
        train_tasks: Tasks of training and validation.
        eval_tasks: Tasks of the test.
        room: The memory.
    """
    train, val = (examples_of(data, train_tasks, split) for split in ("train", "val"))
    test = examples_of(data, eval_tasks, "test")
    frames = count_frames(data, train)
    notes: tuple[str, ...] = ()
    test_notes: tuple[str, ...] = ()
    sample, blocks, kept = train, 1, {}
    if frames + count_frames(data, val) > room.frames():
        blocks = max(2, math.ceil(frames / room.frames(1 - 2 * SAMPLE_SHARE)))
        blocks = min(blocks, len(train))
        sample = fitting(data, train, room.frames(SAMPLE_SHARE))
        kept["val"] = fitting(data, val, room.frames(SAMPLE_SHARE))
        notes = (
            f"training in {blocks} blocks of about {len(train) // blocks} of {len(train)} examples;"
            f" {len(sample)} stand for all where noise and scale are estimated; validation on"
            f" {len(kept['val'])} of {len(val)}",
        )
    if count_frames(data, test) > room.frames(TEST_SHARE):
        kept["test"] = fitting(data, test, room.frames(TEST_SHARE))
        test_notes = (f"test on {len(kept['test'])} of {len(test)} examples, evenly spread",)
    if kept:
        data = only(data, kept)
    return Portion(data, train, sample, frames, blocks, notes + test_notes, test_notes)


def only(data: FormalData, chosen: Mapping[str, Sequence[Example]]) -> FormalData:
    """Return the data set with other examples in some parts of its split, those of `chosen`."""
    split = {key: dict(parts) for key, parts in data.meta["split"].items()}
    for name, examples in chosen.items():
        assert name in SPLIT_NAMES
        numbers: dict[int, list[int]] = {}
        for task, n in examples:
            numbers.setdefault(task, []).append(n)
        for key, parts in split.items():
            parts[name] = numbers.get(int(key[1:]), [])
    return replace(data, meta={**data.meta, "split": split})
