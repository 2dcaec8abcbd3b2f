"""Converted scenes are kept by the content of the file they come from.

Several processes may convert the same file at once. What they write is the same, so nothing that is
complete is ever taken away: each file appears whole, and the list of all files last. A folder whose
list is missing, or does not agree with what is there, is filled again; then what a killed process
left half written goes.
"""

import hashlib
import json
import logging
import os
import zlib
from pathlib import Path

from pyrep_mujoco.errors import CacheError
from pyrep_mujoco.ttm.mjcf.format import plain_name
from pyrep_mujoco.ttm.to_mjcf import Conversion, conversion
from pyrep_mujoco.whole_files import write_whole

CONVERTER = "16"
"""Part of every key: another number after every change of what the converter writes."""
LIST_FILE = "conversion.json"
"""Beside the scene: `files`, path -> CRC-32, and `missing`, see `model.Scene`."""
told_folders: set[Path] = set()
"""Conversions of whose gaps this process has warned."""

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where converted scenes are kept: $RLBENCH_CACHE, else the user's cache folder."""
    own = os.environ.get("RLBENCH_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rlbench_mjcf"


def converted_scene(source: Path, bonds_break: bool = True) -> Path:
    """Return the MJCF of a `.ttm` or `.ttt` file, converting it if that was not done before.

    What is missing in the file is logged, once in a process.

    Args:
        source: the file; the MJCF has its name, by which messages tell scenes apart.
        bonds_break: see `to_mjcf.convert`.

    Raises:
        TtmError: the file cannot be read.
        SceneError: it cannot be converted.
        CacheError: the result cannot be kept.
    """
    key = f"{CONVERTER} {bonds_break:d} "
    digest = hashlib.sha256(key.encode() + source.read_bytes()).hexdigest()[:20]
    folder = cache_folder() / f"{source.stem}-{digest}"
    name = f"{plain_name(source.stem)}.xml"
    missing = _kept(folder, name)
    if missing is None:
        made = conversion(source, name, bonds_break)
        _keep(made, folder)
        missing = made.missing
    if folder not in told_folders:
        told_folders.add(folder)
        for line in missing:
            logger.warning("%s: %s", source, line)
    return folder / name


def keep_text(path: Path, text: str) -> None:
    """Write what was made of a converted scene beside it, unless it is there already.

    Raises:
        CacheError: it cannot be written.
    """
    content = text.encode("utf-8")
    try:
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
    except OSError as error:
        raise _unusable(error) from error


def _kept(folder: Path, name: str) -> list[str] | None:
    """Return what a conversion misses; None unless the scene `name` is there as it was written."""
    try:
        listed = json.loads((folder / LIST_FILE).read_bytes())
        sums, missing = listed["files"], [str(line) for line in listed["missing"]]
        whole = name in sums and all(
            zlib.crc32((folder / path).read_bytes()) == value for path, value in sums.items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        # There is no list, or it was damaged, or a file is gone.
        return None
    return missing if whole else None


def _keep(made: Conversion, folder: Path) -> None:
    sums = {path: zlib.crc32(content) for path, content in made.files.items()}
    listed = {"files": sums, "missing": made.missing}
    try:
        for path, content in made.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(folder / path, content)
        write_whole(folder / LIST_FILE, json.dumps(listed, indent=1).encode())
    except OSError as error:
        raise _unusable(error) from error


def _unusable(error: OSError) -> CacheError:
    return CacheError(
        f"{cache_folder()}: converted scenes cannot be kept there: {error.strerror or error}; set "
        "RLBENCH_CACHE to a folder that can be written"
    )
