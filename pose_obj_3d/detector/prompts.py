"""Prompts: which object is meant where several look alike.

A prompt is a mask of the first frame. It comes from the archive's segmentation images
(`ArchivePrompts`), or from a user's file (`prompt_files.FilePrompts`). Keypoints that hang on one
object in every demo share a prompt: a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.types import Flags, Pictures, Prompt
from pose_obj_3d.formal import FormalData

Groups = tuple[tuple[str, ...], ...]
"""For each of the P prompts the names of the keypoints that hang on its object."""


@dataclass(frozen=True)
class DemoPrompts:
    """The prompts of one demo.

    Attributes:
        firsts: V pictures (H, W, 3) of frame 0.
        views: V prompts; colours are the same in all.
    """

    firsts: tuple[Pictures, ...]
    views: tuple[Prompt, ...]


class PromptSource(Protocol):
    """Anything that says which objects are meant in a demo."""

    @property
    def groups(self) -> Groups:
        """For each prompt the keypoints that hang on its object."""
        ...

    def prompts(self, task: int, example: int) -> DemoPrompts:
        """Give the prompts of a demo, for every view."""
        ...


def groups_of(data: FormalData, task: int) -> Groups:
    """Group a task's keypoints by the object that they hang on, as the archive's masks tell.

    Keypoints are in one group if they hang on the same object in every example. Those that hang on
    nothing that images show (the robot has no prompt: there is one) are in none.
    """
    ids = (data.meta.get("mask_ids") or {}).get(f"T{task}") or []
    found: dict[tuple[int | None, ...], list[str]] = {}
    for k, name in enumerate(data.keypoint_names(task) if ids else ()):
        column = tuple(example[k] for example in ids)
        if any(number is not None for number in column):
            found.setdefault(column, []).append(name)
    return tuple(tuple(names) for names in found.values())


class ArchivePrompts:
    """Prompts from the segmentation images that an archive names."""

    def __init__(self, pictures: DemoPictures, task: int, groups: Groups | None = None) -> None:
        """Take the archive.

        Args:
            pictures: Its pictures.
            task: The task.
            groups: The prompts that are wanted, as a detector was trained; all by default.

        Raises:
            DataError: The archive has no masks, or no ids for a wanted group.
        """
        data = pictures.data
        if not pictures.has_masks:
            raise DataError(
                f"{data.path}: the archive says of no keypoint which object it hangs on; set"
                ' "get_segmentations": true in the dataset config, generate and convert again, or'
                " give --prompts"
            )
        self._pictures, self._task = pictures, task
        self.groups: Groups = groups_of(data, task) if groups is None else groups
        self._ids = data.meta["mask_ids"].get(f"T{task}") or []
        if len(self._ids) != len(data.tracks[task]):
            raise DataError(
                f"{data.path}: mask_ids of T{task} has {len(self._ids)} examples, the archive"
                f" {len(data.tracks[task])}; convert the data again"
            )
        self._rows = [_row(data, task, group) for group in self.groups]

    def prompts(self, task: int, example: int) -> DemoPrompts:
        """Give the prompts of a demo, for every view."""
        if task != self._task:
            raise DataError(f"these prompts are of T{self._task}, not of T{task}")
        views = range(len(self._pictures.data.camera_names))
        firsts = [self._pictures.read(task, example, view, 0) for view in views]
        wanted = [self._ids[example][k] for k in self._rows]
        masks = []
        for view in views:
            ids = self._pictures.read_ids(task, example, view)
            empty = np.zeros(ids.shape, bool)
            masks.append([empty if number is None else ids == number for number in wanted])
        size = firsts[0].shape[:2]
        return with_colours(firsts, np.array(masks, bool).reshape(len(firsts), len(wanted), *size))


class NoPrompts:
    """For detectors that need none."""

    groups: Groups = ()

    def __init__(self, pictures: DemoPictures) -> None:
        """Take the archive's pictures, of which each clip has the first."""
        self._pictures = pictures

    def prompts(self, task: int, example: int) -> DemoPrompts:
        """Give V prompts of no object."""
        views = range(len(self._pictures.data.camera_names))
        firsts = [self._pictures.read(task, example, view, 0) for view in views]
        return with_colours(firsts, np.zeros((len(firsts), 0, *firsts[0].shape[:2]), bool))


def with_colours(firsts: Sequence[Pictures], masks: Flags) -> DemoPrompts:
    """Complete masks by the mean colour of each object.

    Args:
        firsts: V pictures (H, W, 3) of frame 0.
        masks: (V, P, H, W).
    """
    P = masks.shape[1]
    colours = np.full((P, 3), np.nan, np.float32)
    for p in range(P):
        inside = [first[mask] for first, mask in zip(firsts, masks[:, p], strict=True)]
        pixels = np.concatenate(inside)
        if len(pixels):
            colours[p] = pixels.mean(0) / 255
    views = tuple(Prompt(masks=view, colours=colours) for view in masks)
    return DemoPrompts(firsts=tuple(firsts), views=views)


def _row(data: FormalData, task: int, group: Sequence[str]) -> int:
    """Give the number of a keypoint of a group."""
    names = data.keypoint_names(task)
    row = next((names.index(name) for name in group if name in names), None)
    if row is None:
        raise DataError(
            f"{data.path}: T{task} has none of the keypoints {', '.join(group)[:120]}, for which"
            " the detector needs a prompt"
        )
    return row
