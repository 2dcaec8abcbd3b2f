"""Prompts of a user: a JSON file with boxes, mask files or colours for the first frames.

    {"T9": {"12": {"front": {"waypoints/waypoint0": [101, 52, 130, 77]},
                   "*": {"objects/block": "masks/12_block.png"}},
            "*": {"*": {"waypoints/waypoint3": "red"}}}}

Task, example, camera, keypoint: `*` stands for every example, or every camera, without an entry of
its own. A box is left, top, right, bottom [px]. A text is the name of an image file (relative to
the JSON file; what is not black is the object), or has the name of a colour in it. One keypoint of
each group is enough. Where a keypoint has no entry, its mask is empty.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.detector.colour_words import COLOURS, colour_in, colour_mask
from pose_obj_3d.detector.images import DemoPictures, read_mask
from pose_obj_3d.detector.prompts import DemoPrompts, Groups, with_colours
from pose_obj_3d.detector.types import Flags, Pictures

logger = logging.getLogger(__name__)
ANY = "*"
IMAGES = (".png", ".bmp", ".jpg", ".jpeg")
MAX_BYTES = 64 << 20
FORM = '{"T9": {"12": {"front": {"waypoints/waypoint0": [left, top, right, bottom]}}}}'
Entries = dict[str, Any]


class FilePrompts:
    """Prompts from a user's entries."""

    def __init__(
        self, pictures: DemoPictures, groups: Groups, entries: Entries, where: Path
    ) -> None:
        """Take checked entries.

        Args:
            pictures: The archive's pictures.
            groups: The prompts that the detector needs.
            entries: Task, example, camera, keypoint -> box or text.
            where: The file they are from; names of image files are relative to its folder.
        """
        self.groups: Groups = groups
        self._pictures, self._entries, self._where = pictures, entries, where

    @classmethod
    def read(cls, pictures: DemoPictures, groups: Groups, path: Path, task: int) -> "FilePrompts":
        """Read a JSON file.

        Raises:
            DataError: It is no such file, or prompts what this task does not have; names what is
                wrong.
        """
        entries = read_entries(path, pictures.data.camera_names)
        _check_task(path, entries, pictures, groups, task)
        return cls(pictures, groups, entries, path)

    @classmethod
    def of_descriptions(cls, pictures: DemoPictures, groups: Groups, task: int) -> "FilePrompts":
        """Take the colours that the archive's descriptions name, for the first group's object.

        Raises:
            DataError: The archive has no descriptions.
        """
        data = pictures.data
        texts = (data.meta.get("descriptions") or {}).get(f"T{task}")
        if not texts or not groups:
            raise DataError(
                f"{data.path}: the archive does not describe the examples of T{task}; give"
                " --prompts a JSON file with boxes or masks"
            )
        first = groups[0][0]
        examples = {str(n): {ANY: {first: text}} for n, text in enumerate(texts) if colour_in(text)}
        return cls(pictures, groups, {f"T{task}": examples}, data.path)

    def prompts(self, task: int, example: int) -> DemoPrompts:
        """Give the prompts of a demo, for every view."""
        cameras = self._pictures.data.camera_names
        firsts = [self._pictures.read(task, example, v, 0) for v in range(len(cameras))]
        examples = self._entries.get(f"T{task}", {})
        views = examples.get(str(example), examples.get(ANY, {}))
        masks = [
            [
                self._mask(views.get(camera, views.get(ANY, {})), group, first)
                for group in self.groups
            ]
            for camera, first in zip(cameras, firsts, strict=True)
        ]
        shape = (len(cameras), len(self.groups), *firsts[0].shape[:2])
        return with_colours(firsts, np.array(masks, bool).reshape(shape))

    def _mask(self, entries: Entries, group: Sequence[str], first: Pictures) -> Flags:
        """Give the mask (H, W) of a group in the first picture of a view."""
        entry = next((entries[name] for name in group if name in entries), None)
        height, width = first.shape[:2]
        if entry is None:
            return np.zeros((height, width), bool)
        if isinstance(entry, list):
            return _box(entry, (width, height))
        if entry.lower().endswith(IMAGES):
            return read_mask(self._where.resolve().parent / entry, (width, height))
        return colour_mask(first, str(colour_in(entry)))


def read_entries(path: Path, cameras: Sequence[str]) -> Entries:
    """Read and check the entries of a JSON file.

    Raises:
        DataError: Names the file, the place in it, and what is allowed.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"--prompts {path}: larger than {MAX_BYTES >> 20} MiB")
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"--prompts {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise DataError(f"--prompts {path}: not JSON; the form is {FORM}") from None
    for task, examples in _mapping(path, "the file", entries).items():
        for example, views in _mapping(path, task, examples).items():
            if example != ANY and not (example.isascii() and example.isdigit()):
                raise DataError(f"--prompts {path}: {task}: {example!r:.40} is no example number")
            for camera, keypoints in _mapping(path, f"{task} {example}", views).items():
                if camera != ANY and camera not in cameras:
                    raise DataError(
                        f"--prompts {path}: {task} {example}: {camera!r:.40} is no camera of the"
                        f" archive; it has {', '.join(cameras)[:120]}"
                    )
                where = f"{task} {example} {camera}"
                for name, entry in _mapping(path, where, keypoints).items():
                    _check_entry(path, f"{where} {name}", entry)
    return dict(entries)


def _check_task(
    path: Path, entries: Entries, pictures: DemoPictures, groups: Groups, task: int
) -> None:
    """Refuse entries of a task that no prompt would be made of, and tell which prompts are empty.

    A prompt that is empty by mistake is worse than none: the detector finds any object.
    """
    if f"T{task}" not in entries:
        raise DataError(
            f"--prompts {path}: no entry of T{task}; it has {', '.join(map(repr, entries))[:80]}"
        )
    count, names = len(pictures.data.tracks[task]), pictures.data.keypoint_names(task)
    given: set[str] = set()
    for example, views in entries[f"T{task}"].items():
        if example != ANY and int(example) >= count:
            raise DataError(
                f"--prompts {path}: T{task} has no example {example[:20]}; the archive has {count}"
            )
        for camera, keypoints in views.items():
            where = f"T{task} {example} {camera}"
            for name, entry in keypoints.items():
                if name not in names:
                    raise DataError(
                        f"--prompts {path}: {where}: {name!r:.60} is no keypoint; the detector"
                        f" needs one of each group: {_listed(groups)}"
                    )
                if isinstance(entry, list) and not _box(entry, pictures.data.image_size).any():
                    width, height = pictures.data.image_size
                    raise DataError(
                        f"--prompts {path}: {where} {name}: the box {entry!r:.60} has no pixel of a"
                        f" picture of {width} x {height} px in it"
                    )
                given.add(name)
    without = [group for group in groups if not given & set(group)]
    if without:
        logger.info("--prompts %s: T%d: empty prompts of %s", path, task, _listed(without))
    idle = sorted(given - {name for group in groups for name in group})
    if idle:
        logger.info(
            "--prompts %s: T%d: the detector needs no prompt of %s", path, task, _listed([idle])
        )


def _listed(groups: Sequence[Sequence[str]]) -> str:
    return "; ".join(", ".join(group) for group in groups)[:200]


def _box(entry: Sequence[float], size: tuple[int, int]) -> Flags:
    """Give the mask (H, W) of a box in a picture of a width and height."""
    left, top, right, bottom = entry
    row, column = np.arange(size[1])[:, None] + 0.5, np.arange(size[0])[None] + 0.5
    return np.asarray((column >= left) & (column <= right) & (row >= top) & (row <= bottom))


def _mapping(path: Path, where: str, value: object) -> Entries:
    if not isinstance(value, dict):
        raise DataError(f"--prompts {path}: {where[:80]} must be a mapping; the form is {FORM}")
    return value


def _check_entry(path: Path, where: str, entry: object) -> None:
    is_box = (
        isinstance(entry, list)
        and len(entry) == 4
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in entry)
        and entry[0] < entry[2]
        and entry[1] < entry[3]
    )
    is_text = isinstance(entry, str) and bool(entry.lower().endswith(IMAGES) or colour_in(entry))
    if not (is_box or is_text):
        raise DataError(
            f"--prompts {path}: {where[:100]} is {entry!r:.60}; allowed: [left, top, right, bottom]"
            f" in px, the name of an image file ({', '.join(IMAGES)}), or a text with a colour"
            f" ({', '.join(list(COLOURS)[:4])}, ...)"
        )
