"""Finds the episodes of a data set as RLBench, or PerAct's fork of it, stores them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.names import some_names
from pose_obj_3d.importing.tracks.readers.rlbench_demo import PICKLE

_VARIATION = re.compile(r"variation(\d{1,9})|all_variations")
_EPISODE = re.compile(r"episode(\d{1,9})")
DESCRIPTIONS = "variation_descriptions.pkl"
VARIATION_NUMBER = "variation_number.pkl"


@dataclass(frozen=True, order=True)
class EpisodeFolder:
    """An episode.

    Attributes:
        variation: Number in the name of the folder of its variation; -1 for `all_variations`.
        number: Of the episode in it.
        path: Its folder.
    """

    variation: int
    number: int
    path: Path

    @property
    def name(self) -> str:
        """Its folder, from that of the task on."""
        return "/".join(self.path.parts[-4:])

    @property
    def variation_folder(self) -> Path:
        """The folder of its variation."""
        return self.path.parent.parent


def find_episodes(root: Path, tasks: Sequence[str] | None) -> dict[str, list[EpisodeFolder]]:
    """Return the episodes of each task, in the order of variations and numbers.

    Args:
        root: A data set's folder, which has a folder for each task; or the folder of one task.
        tasks: Names; None for all.

    Raises:
        ConfigError: A task is not there.
        DataError: There are no episodes.
    """
    if not root.is_dir():
        raise DataError(f"{root}: is no folder; give one of RLBench's stored demonstrations")
    own = _episodes(root)
    folders = [root] if own else sorted(p for p in root.iterdir() if p.is_dir())
    found = {p.name: episodes for p in folders if (episodes := _episodes(p))}
    if not found:
        raise DataError(
            f"{root}: has no episodes; expected <task>/variation<v>/episodes/episode<e>/{PICKLE},"
            " or all_variations in place of variation<v>"
        )
    for name in tasks or ():
        if name not in found:
            raise ConfigError(f"--tasks: {root} has no {name[:60]!r}; {some_names(name, found)}")
    return {name: found[name] for name in dict.fromkeys(tasks or found)}


def _episodes(task: Path) -> list[EpisodeFolder]:
    found = []
    for variation in task.iterdir():
        match = _VARIATION.fullmatch(variation.name)
        folder = variation / "episodes"
        if match is None or not folder.is_dir():
            continue
        for path in folder.iterdir():
            number = _EPISODE.fullmatch(path.name)
            if number is not None and (path / PICKLE).is_file():
                found.append(EpisodeFolder(int(match[1] or -1), int(number[1]), path))
    return sorted(found)
