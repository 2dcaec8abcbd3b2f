"""Running an export: each episode becomes a part, and the parts become the data set."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from data_generation.RLBench.errors import StoreError
from data_generation.RLBench.exporting.episodes import ExportEpisode, Selection, read_episode
from data_generation.RLBench.exporting.folder import ExportFolder
from data_generation.RLBench.raw.store import RawStore


class Exporter(Protocol):
    """Writes one format.

    Attributes:
        settings: What decides the bytes, beside the episodes; plain values.
        notes: What the user should know, one line each.
    """

    settings: Mapping[str, Any]
    notes: Sequence[str]

    def names(self) -> list[str]:
        """List what is written into the folder of the export."""

    def place(self, folder: ExportFolder, number: int) -> Path:
        """Give the folder of an episode's part; when it is there, it is whole."""

    def write_part(self, episode: ExportEpisode, folder: Path) -> None:
        """Fill an empty folder with an episode's part."""

    def finish(self, folder: ExportFolder) -> None:
        """Make the data set of the parts; a kill at any moment is made good by a second call."""


@dataclass(frozen=True)
class Outcome:
    """What a run did: how many episodes there are, and how many of them were written now."""

    episodes: int
    written: int
    frames: int


def run(
    store: RawStore, selection: Selection, exporter: Exporter, output: Path, overwrite: bool
) -> Outcome:
    """Write an export, or what is missing of it.

    Raises:
        StoreError: An episode is damaged, or the folder cannot be used.
    """
    wanted = {
        "source": store.root.name,
        "mode": selection.mode,
        "action": selection.action,
        "episodes": len(selection.facts),
        **exporter.settings,
        "source_digest": selection.digest,
    }
    folder = ExportFolder(output, wanted)
    written = 0
    try:
        if not folder.open(exporter.names(), overwrite):
            written = _write_parts(store, selection, exporter, folder)
            exporter.finish(folder)
            folder.finish()
    finally:
        folder.close()
    return Outcome(len(selection.facts), written, sum(f.n_frames for f in selection.facts))


def _write_parts(
    store: RawStore, selection: Selection, exporter: Exporter, folder: ExportFolder
) -> int:
    todo = [f for f in selection.facts if not exporter.place(folder, f.number).exists()]
    done = len(selection.facts) - len(todo)
    with tqdm(
        todo,
        initial=done,
        total=len(selection.facts),
        unit="episode",
        disable=not sys.stderr.isatty(),
    ) as bar:
        for facts in bar:
            part = folder.empty_folder()
            try:
                exporter.write_part(read_episode(store, facts, selection.action), part)
            except (ValueError, FileNotFoundError) as error:
                raise StoreError(f"{store.root}: {facts.key}: {error}") from None
            place = exporter.place(folder, facts.number)
            place.parent.mkdir(parents=True, exist_ok=True)
            part.rename(place)
    return len(todo)
