"""Converted scenes are kept by the content of the file they come from."""

import hashlib
import os
from pathlib import Path

from rlbench.ttm.to_mjcf import SCENE_FILE, convert

CONVERTER = "12"
"""Part of every key: another number after every change of what the converter writes."""


def cache_folder() -> Path:
    """Return where converted scenes are kept: $RLBENCH_CACHE, else the user's cache folder."""
    own = os.environ.get("RLBENCH_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rlbench_mjcf"


def converted_scene(source: Path, bonds_break: bool = True) -> Path:
    """Return the MJCF of a `.ttm` or `.ttt` file, converting it if that was not done before.

    Args:
        source: the file.
        bonds_break: see `to_mjcf.convert`.

    Raises:
        TtmError: the file cannot be read.
        SceneError: it cannot be converted.
    """
    key = f"{CONVERTER} {bonds_break:d} "
    digest = hashlib.sha256(key.encode() + source.read_bytes()).hexdigest()[:20]
    folder = cache_folder() / f"{source.stem}-{digest}"
    scene = folder / SCENE_FILE
    if not scene.is_file():
        convert(source, folder, bonds_break)
    return scene
