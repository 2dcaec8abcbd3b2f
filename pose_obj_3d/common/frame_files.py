"""Where the files of a frame are: what an archive's `meta` says of pictures and masks.

`formal.py` has the fields of `meta`; `archive.meta` checks that a pattern is safe to fill in.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PICTURES = "image_pattern"
MASKS = "mask_pattern"
SOURCES = "sources"
FRAMES_FOLDER, FRAMES_LIST = "frames", "frames.json"
MAX_LIST_BYTES = 10_000_000
SAME_PX = 0.02  # positions in the list are rounded to 0.01 px


def frame_file(
    archive: Path,
    meta: Mapping[str, Any],
    place: tuple[int, int, str, int],
    pattern_name: str = PICTURES,
) -> Path | None:
    """Give the file that a pattern of `meta` names for one frame; it need not exist.

    Args:
        archive: The archive; a relative pattern starts in its folder.
        meta: The archive's checked `meta`.
        place: Task, example, camera name, frame.
        pattern_name: `PICTURES` or `MASKS`.

    Returns:
        None where `meta` has no such pattern, or no source of the example.
    """
    task, example, camera, frame = place
    pattern = meta.get(pattern_name)
    sources = (meta.get(SOURCES) or {}).get(f"T{task}")
    if not pattern or not sources or not 0 <= example < len(sources):
        return None
    source = sources[example]
    names = {name: source[name] for name in ("variation", "example")}
    try:
        name = str(pattern).format(task=task, camera=camera, frame=frame, **names)
    except (KeyError, TypeError, IndexError, ValueError):
        return None
    return archive.resolve().parent / name


def frame_name(task: int, example: int, camera: str, frame: int) -> str:
    """Name a frame in the folder of frames that is published beside an archive."""
    return f"T{task}_{example}_{camera}_{frame}.jpg"


def published_frame(
    archive: Path, place: tuple[int, int, str, int], uv: Sequence[Sequence[float]]
) -> Path | None:
    """Give a frame that was published beside an archive without pictures.

    The list of frames says where the keypoints are in each. So a frame is not taken for that of
    another archive in the same folder.

    Args:
        archive: The archive.
        place: Task, example, camera name, frame.
        uv: (K, 2) exact position of the keypoints in that frame, by the archive [px].

    Returns:
        None where there is no such frame, or it shows other positions.
    """
    folder, name = archive.resolve().parent / FRAMES_FOLDER, frame_name(*place)
    try:
        listed = folder / FRAMES_LIST
        if listed.stat().st_size > MAX_LIST_BYTES or not (folder / name).is_file():
            return None
        known = json.loads(listed.read_text(encoding="utf-8"))[name]
        pairs = [(a, b) for p, q in zip(known, uv, strict=True) for a, b in zip(p, q, strict=True)]
        is_same = all(abs(float(a) - float(b)) <= SAME_PX for a, b in pairs)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return folder / name if is_same else None


def moved_patterns(meta: Mapping[str, Any], old: Path, new: Path) -> dict[str, str]:
    """Give the patterns of an archive's `meta` as they are for a copy of it in another folder.

    Args:
        meta: The archive's checked `meta`.
        old: The archive.
        new: The copy, which need not exist yet.
    """
    found = {}
    for key in (PICTURES, MASKS):
        pattern = meta.get(key)
        if pattern:
            target = os.path.relpath(old.resolve().parent, new.resolve().parent)
            is_same = target == "." or Path(pattern).is_absolute()
            found[key] = pattern if is_same else os.path.normpath(f"{target}/{pattern}")
    return found
