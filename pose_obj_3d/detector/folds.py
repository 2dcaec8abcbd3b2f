"""Folds: which demos a detector is trained on, and which it is used on.

What a detector finds in demos that it was trained on is better than what it finds in new ones. So
several detectors are trained, each on some of the demos, and each demo is given to one that has not
seen it. Test demos are in no detector's training.
"""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.formal import UV_EXACT, VISIBILITY, XYZ_WORLD, Array, FormalData

logger = logging.getLogger(__name__)
MIN_FOLDS = 2
ID_LENGTH = 24  # characters of a demo's id


@dataclass(frozen=True)
class Fold:
    """One of several detectors.

    Attributes:
        number: From 0.
        train: Examples that this detector may learn from and be chosen by.
        held_out: Examples that it is used on; none of them is in `train`.
    """

    number: int
    train: tuple[int, ...]
    held_out: tuple[int, ...]


def make_folds(split: Mapping[str, Sequence[int]], count: int, where: str) -> list[Fold]:
    """Divide a task's examples; the same for the same split and count.

    The examples of `train` and `val` go to the folds in turn, so do those of `test`, in an order
    without pattern: variations repeat with the number. Each fold's detector learns from the
    `train` and `val` examples of the other folds.

    Args:
        split: Examples by `train`, `val`, `test`.
        count: Number of folds, from 2 to the number of examples of `train` and `val`.
        where: Names the data, for messages.

    Raises:
        DataError: There are too few examples, or too few folds.
    """
    test = set(split["test"])
    known = sorted({*split["train"], *split["val"]} - test)
    if not MIN_FOLDS <= count <= len(known):
        raise DataError(
            f"{where}: {count} folds of {len(known)} examples that are not test examples; allowed:"
            f" {MIN_FOLDS} to {len(known)}. With one fold no example would be left that its"
            " detector has not seen"
        )
    parts = [set(_mixed(known)[i::count]) for i in range(count)]
    tests = [_mixed(test)[i::count] for i in range(count)]
    return [
        Fold(
            number=i,
            train=tuple(n for n in known if n not in part),
            held_out=tuple(sorted({*part, *tests[i]})),
        )
        for i, part in enumerate(parts)
    ]


def _mixed(examples: Collection[int]) -> list[int]:
    """Order examples without pattern, the same on every machine."""
    return sorted(examples, key=lambda n: hashlib.sha256(str(n).encode()).digest())


def demo_id(track: Array) -> str:
    """Name a demo by its content: the truth, so that it does not depend on simulated detections.

    Args:
        track: float32 (V, T, K, 8).
    """
    parts = (track[..., UV_EXACT], track[..., XYZ_WORLD], track[..., VISIBILITY])
    digest = hashlib.sha256(repr(track.shape).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part, np.float32).tobytes())
    return digest.hexdigest()[:ID_LENGTH]


def choose_detectors(
    data: FormalData, task: int, seen: Sequence[Collection[str]]
) -> dict[int, int]:
    """Choose for each example of a task a detector that has not seen it.

    Args:
        data: The archive.
        task: Task id.
        seen: For each detector the ids (`demo_id`) of the demos that it was trained or chosen on.

    Returns:
        Example -> number of the detector. Where several have not seen an example, they take turns.

    Raises:
        DataError: Every detector has seen an example.
    """
    found: dict[int, int] = {}
    turns = [0] * len(seen)
    spoilt: list[int] = []
    is_known = False
    for example, track in enumerate(data.tracks[task]):
        name = demo_id(track)
        free = [i for i, names in enumerate(seen) if name not in names]
        is_known |= len(free) < len(seen)
        if not free:
            spoilt.append(example)
            continue
        found[example] = min(free, key=lambda i: (turns[i], i))
        turns[found[example]] += 1
    if spoilt:
        raise DataError(
            f"{data.path}: no fold left for {len(spoilt)} of {len(data.tracks[task])} examples of"
            f" T{task}, such as {spoilt[0]}: each given detector was trained on it; give the"
            " checkpoints of all folds, or train more folds"
        )
    if not is_known and any(seen):
        logger.info(
            "%s: the detectors of T%d have seen none of its %d demos. If they were trained on the"
            " same recordings, generated or converted in another way (other keypoints, frames or"
            " versions), this is not true, and they seem better than they are",
            data.path,
            task,
            len(found),
        )
    return found
