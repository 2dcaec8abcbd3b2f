"""Where the files of a frame are: what an archive's `meta` says of pictures and masks.

`formal.py` has the fields of `meta`; `archive.meta` checks that a pattern is safe to fill in.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PICTURES = "image_pattern"
MASKS = "mask_pattern"
SOURCES = "sources"


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
