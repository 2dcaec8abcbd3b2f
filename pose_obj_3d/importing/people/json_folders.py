"""Read folders with one json file for each frame, as OpenPose and Pose2Sim write them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.people.body_parts import body_names
from pose_obj_3d.importing.tracks.views import Floats

MAX_BYTES = 8 << 20  # of one frame
MAX_FRAMES = 1_000_000
MAX_PEOPLE = 12  # of a frame, those with the highest confidence
MAX_KEYPOINTS = 1000
_PARTS = (
    ("pose", ""),
    ("hand_left", "left_hand_"),
    ("hand_right", "right_hand_"),
    ("face", "face_"),
)
_NUMBER = re.compile(r"\d+", re.ASCII)
_DIGITS = 15  # of a frame's number


@dataclass(frozen=True)
class People:
    """All people of one view; P of the frame with the most.

    Attributes:
        folder: The view's folder.
        points: (T, P, K, 2) [px]; NaN = missing.
        confidence: (T, P, K), 0 to 1; 0 = missing.
        keypoints: K names.
        first_frame: Number of the first frame.
        notes: One line for each thing that was changed.
    """

    folder: Path
    points: Floats
    confidence: Floats
    keypoints: tuple[str, ...]
    first_frame: int
    notes: list[str]

    @property
    def most(self) -> int:
        """Return the number of people in the frame with the most of them."""
        return int(np.isfinite(self.points[..., 0]).any(-1).sum(-1).max(initial=0))


def is_view(folder: Path) -> bool:
    """Tell whether a folder's first json file is of people."""
    try:
        path = min(folder.glob("*.json"), default=None)
        if path is None or path.stat().st_size > MAX_BYTES:
            return False
        with path.open("rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("people"), list)


def read_view(folder: Path) -> People:
    """Read a view's folder.

    Raises:
        DataError: A file is damaged, or frames have different keypoints.
    """
    files = sorted(folder.glob("*.json"))
    numbers, notes = _frame_numbers(folder, files)
    first, count = min(numbers), max(numbers) - min(numbers) + 1
    frames = [_people(path) for path in files]
    names = _names(folder, files, frames)
    most = max((len(people) for people in frames), default=0)
    values = np.full((count, max(most, 1), len(names), 3), np.nan)
    for number, people in zip(numbers, frames, strict=True):
        for p, parts in enumerate(people):
            values[number - first, p] = _filled(parts, names)
    points, confidence = values[..., :2], values[..., 2]
    missing = ~(np.isfinite(values).all(-1) & (confidence > 0))
    missing |= (points == 0).all(-1)
    above = int((confidence[~missing] > 1).sum())
    if above:
        notes.append(f"{folder.name}: {above} confidences above 1 count as 1")
    return People(
        folder,
        np.where(missing[..., None], np.nan, points),
        np.where(missing, 0.0, np.clip(confidence, 0, 1)),
        tuple(names),
        first,
        notes,
    )


def _frame_numbers(folder: Path, files: list[Path]) -> tuple[list[int], list[str]]:
    """Return the files' frames by the numbers in their names, and a line where these tell none.

    The last number of a name that differs in all files; else the files' places in the order of
    their names.
    """
    if len(files) > MAX_FRAMES:
        raise DataError(f"{folder}: {len(files)} json files; at most {MAX_FRAMES} are read")
    found = [_NUMBER.findall(path.stem) for path in files]
    numbers: list[int] = []
    for place in range(1, min(map(len, found), default=0) + 1):
        texts = [own[-place] for own in found]
        if len({int(text) for text in texts}) == len(files) and max(map(len, texts)) <= _DIGITS:
            numbers = [int(text) for text in texts]
            break
    if not numbers:
        note = f"{folder.name}: no number in the files' names tells the frame: their order does"
        return list(range(len(files))), [note] if len(files) > 1 else []
    if max(numbers) - min(numbers) >= 10 * len(files) + 1000:
        raise DataError(
            f"{folder}: {len(files)} json files are of the frames {min(numbers)} to {max(numbers)};"
            " keep the files of one recording"
        )
    return numbers, []


Parts = dict[str, Floats]


def _people(path: Path) -> list[Parts]:
    """Return the people of a frame, (k, 3) for each part; the most certain ones."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        found = json.loads(raw) if len(raw) <= MAX_BYTES else None
        people = found["people"] if isinstance(found, dict) else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: no json file of people; it is damaged, write it again") from error
    if not isinstance(people, list):
        raise DataError(f"{path}: has no list of people; it is damaged, write it again")
    read = [_parts(path, person) for person in people if person]
    read = [parts for parts in read if parts]
    if len(read) > MAX_PEOPLE:
        read.sort(
            key=lambda parts: -float(np.nansum(parts["pose"][:, 2])) if "pose" in parts else 0
        )
    return read[:MAX_PEOPLE]


def _parts(path: Path, person: Any) -> Parts:
    parts = {}
    for part, _ in _PARTS:
        numbers = person.get(f"{part}_keypoints_2d") if isinstance(person, dict) else None
        if not numbers:
            continue
        try:
            values = np.array(numbers, np.float64)
        except (TypeError, ValueError, OverflowError):
            values = np.empty(0)
        if values.ndim != 1 or values.size % 3 or not 0 < values.size <= 3 * MAX_KEYPOINTS:
            raise DataError(
                f"{path}: {part}_keypoints_2d must be x, y, confidence of each keypoint, found"
                f" {str(numbers)[:60]}"
            )
        parts[part] = values.reshape(-1, 3)
    return parts


def _names(
    folder: Path, files: list[Path], frames: list[list[Parts]]
) -> dict[str, tuple[str, int]]:
    """Return keypoint -> part and place in it, of the parts that anyone has."""
    counts: dict[str, int] = {}
    for path, people in zip(files, frames, strict=True):
        for parts in people:
            for part, values in parts.items():
                if counts.setdefault(part, len(values)) != len(values):
                    raise DataError(
                        f"{path}: {len(values)} {part} keypoints, but earlier frames have"
                        f" {counts[part]}; keep the files of one model"
                    )
    if not counts:
        raise DataError(f"{folder}: nobody is in any of the {len(files)} frames")
    names = {}
    for part, prefix in _PARTS:
        count = counts.get(part, 0)
        own = body_names(count) if part == "pose" else [f"{prefix}{i}" for i in range(count)]
        names.update({name: (part, i) for i, name in enumerate(own)})
    return names


def _filled(parts: Parts, names: dict[str, tuple[str, int]]) -> Floats:
    rows = np.full((len(names), 3), np.nan)
    for k, (part, i) in enumerate(names.values()):
        if part in parts:
            rows[k] = parts[part][i]
    return rows
