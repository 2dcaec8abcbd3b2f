"""Writing and removing one episode, so that a kill at any moment leaves all of it or nothing.

The files are written into a staging folder, moved to their places, and `episode.json` follows last
by rename: without it the episode does not exist. The staging folder goes after that, so it marks
every episode that a kill interrupted.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from data_generation.RLBench.raw import layout, records
from data_generation.RLBench.raw.episode import Episode, episode_files
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.folder import StoreFolder
from pose_obj_3d.common.whole_files import write_whole


def write_episode(folder: StoreFolder, mode: str, key: EpisodeKey, episode: Episode) -> None:
    """Write an episode in place of an older one.

    Args:
        folder: The data set's folder; it is never made here.
        mode: train or test.
        key: Which episode.
        episode: What it holds.

    Raises:
        OSError: A file cannot be written, or a folder is gone.
    """
    task_dir = layout.task_dir(folder.root, mode, key.task_id)
    staging = layout.staging(task_dir, key)
    is_new = not (staging.exists() or _has_left(task_dir, key))
    shutil.rmtree(staging, ignore_errors=True)
    try:
        sums = _stage(folder, staging, episode_files(key, episode))
        record = records.signed(records.record_of(key, episode, mode, sums))
    except Exception:  # such as a value that JSON does not have
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if not is_new:  # it lists folders, which takes the longer the more episodes there are
        remove_episode(task_dir, key)
    _move(folder, staging, task_dir, sums)
    path = task_dir / layout.record(key)
    folder.make(path.parent)
    write_whole(path, record)
    shutil.rmtree(staging)


def remove_episode(task_dir: Path, key: EpisodeKey) -> None:
    """Remove an episode: `episode.json` first, then every file that carries its number."""
    (task_dir / layout.record(key)).unlink(missing_ok=True)
    for path in layout.files_of(task_dir, key):
        path.unlink()


def _has_left(task_dir: Path, key: EpisodeKey) -> bool:
    """Tell whether files of an older episode of this number may be there."""
    names = (layout.record(key), *layout.small_files(key))
    return any((task_dir / name).exists() for name in names)


def _stage(
    folder: StoreFolder, staging: Path, files: Iterable[tuple[str, bytes]]
) -> dict[str, list[int | str]]:
    """Write files and return their sizes and checksums by name."""
    sums: dict[str, list[int | str]] = {}
    made: set[Path] = set()
    for name, data in files:
        path = staging / name
        _make_once(folder, path.parent, made)
        path.write_bytes(data)
        sums[name] = [len(data), hashlib.sha256(data).hexdigest()]
    return sums


def _move(folder: StoreFolder, staging: Path, task_dir: Path, names: Iterable[str]) -> None:
    made: set[Path] = set()
    for name in names:
        target = task_dir / name
        _make_once(folder, target.parent, made)
        (staging / name).replace(target)


def _make_once(folder: StoreFolder, path: Path, made: set[Path]) -> None:
    """Make a folder that is not among those that were `made` before."""
    if path not in made:
        folder.make(path)
        made.add(path)
