"""What an inspection reads: one example at a time, damage noted instead of raised.

`RawSource` reads a raw data set in all its modes, `ArchiveSource` (in `archive.py`) an npz
archive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.config import find_dataset
from data_generation.RLBench.errors import ConfigError, DamagedEpisodeError, StoreError
from data_generation.RLBench.raw import layout
from data_generation.RLBench.raw.episode import segmentation_names
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.layout import MODES
from data_generation.RLBench.raw.store import RawStore, RawTracks
from data_generation.RLBench.tracks.statistics import check_tracks
from pose_obj_3d.formal import (
    CHANNELS,
    FRAME_PERIOD_S,
    NUM_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
)
from rlbench.cameras import project_views

Array = npt.NDArray[Any]
MAX_FILES_NAMED = 20  # damaged files of one episode that are named one by one


@dataclass(frozen=True, order=True)
class Section:
    """The examples of one task (of one mode of a raw data set)."""

    mode: str
    task_id: int

    @property
    def label(self) -> str:
        """Give its name in tables: T9, or T9 test."""
        return f"T{self.task_id}{' test' if self.mode == 'test' else ''}"

    @property
    def stem(self) -> str:
        """Give the name of its files without suffix."""
        return f"task_{self.task_id}{'_test' if self.mode == 'test' else ''}"


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it should be: where, which file or member, what."""

    section: str
    episode: str
    file: str
    what: str


@dataclass(frozen=True)
class Rig:
    """The cameras: V names, width and height [px], (V, 3, 3), (V, 3, 4) world to camera."""

    camera_names: tuple[str, ...]
    image_size: tuple[int, int]
    intrinsics: Array
    extrinsics: Array

    def equals(self, other: "Rig") -> bool:
        """Tell whether names, sizes and calibration agree."""
        if self is other:
            return True
        return (
            (self.camera_names, self.image_size) == (other.camera_names, other.image_size)
            and np.array_equal(self.intrinsics, other.intrinsics)
            and np.array_equal(self.extrinsics, other.extrinsics)
        )


@dataclass(frozen=True)
class Example:
    """One readable example.

    Attributes:
        section: The task it belongs to.
        number: Its place among the task's examples.
        label: Its name for people.
        variation: The task's variation, None where unknown.
        task_name: Such as `pick_and_lift`.
        keypoint_names: K names "<group>/<name>".
        rig: The cameras.
        tracks: (V, T, K, 8); of raw data the detected 2D is NaN.
    """

    section: Section
    number: int
    label: str
    variation: int | None
    task_name: str
    keypoint_names: tuple[str, ...]
    rig: Rig
    tracks: Array


@dataclass
class Source:
    """A data set under inspection; subclasses fill `numbers` and give `read_example`.

    Attributes:
        path: Folder or archive.
        kind: What it is, for the page.
        sigma_px: Standard deviation of the detections [px], None where there are none.
        frame_period_s: Seconds between two frames.
        numbers: The example numbers of every section.
        damage: What was found damaged so far.
        notes: What is worth a line, but no damage.
        has_one_rig: Whether all examples have the same cameras.
    """

    path: Path
    kind: str
    sigma_px: float | None = None
    frame_period_s: float = FRAME_PERIOD_S
    numbers: dict[Section, list[int]] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_one_rig: bool = True
    _first: dict[Section, Example] = field(default_factory=dict)

    def note_damage(self, section: Section | None, episode: str, file: str, what: str) -> None:
        """Keep a damage, each once."""
        found = Damage(section.label if section else "", episode, file, " ".join(what.split()))
        if found not in self.damage:
            self.damage.append(found)

    def read(self, section: Section, number: int) -> Example | None:
        """Read an example; None, and the damage noted, where it cannot be used."""
        example = self.read_example(section, number)
        if example is None:
            return None
        fault = self._misfit(example)
        if fault:
            self.note_damage(section, example.label, "", fault)
            return None
        self._first.setdefault(section, example)
        self._note_bad_values(example)
        return example

    def read_example(self, section: Section, number: int) -> Example | None:
        """Read an example without comparing it with the others."""
        raise NotImplementedError

    def frame(self, example: Example, view: int, t: int) -> npt.NDArray[np.uint8] | None:
        """Give the (H, W, 3) picture of a view, None where there is none."""
        return None

    def close(self) -> None:
        """Close the files."""

    def _misfit(self, example: Example) -> str:
        """Say how an example differs from those before it; nothing where it does not."""
        try:
            check_tracks(example.tracks)
        except ValueError as error:
            return str(error)
        expected = (len(example.rig.camera_names), len(example.keypoint_names))
        if (example.tracks.shape[0], example.tracks.shape[2]) != expected:
            return (
                f"shape {example.tracks.shape} instead of ({expected[0]}, frames, {expected[1]},"
                f" {NUM_CHANNELS})"
            )
        first = self._first.get(example.section)
        if first and first.keypoint_names != example.keypoint_names:
            return f"other keypoints than {first.label}: {', '.join(example.keypoint_names)}"
        for other in self._first.values() if self.has_one_rig else ():
            if not example.rig.equals(other.rig):
                return (
                    f"other cameras than {other.section.label} {other.label}: one file holds"
                    " one rig"
                )
        return ""

    def _note_bad_values(self, example: Example) -> None:
        x = example.tracks
        is_bad = ~np.isfinite(x)
        is_missed = np.isnan(x[..., UV_DETECTED]).all(axis=-1, keepdims=True)
        is_bad[..., UV_DETECTED] &= ~is_missed  # both NaN is "no detection"
        if is_bad.any():
            v, t, k, c = np.argwhere(is_bad)[0]
            view, point = example.rig.camera_names[v], example.keypoint_names[k]
            what = (
                f"{is_bad.sum()} values not finite, the first is {CHANNELS[c]} of {point} in"
                f" {view}, frame {t}"
            )
            self.note_damage(example.section, example.label, "", what)
        if not np.isin(x[..., VISIBILITY][~is_bad[..., VISIBILITY]], (0.0, 0.5, 1.0)).all():
            self.note_damage(
                example.section, example.label, "", "visibility other than 0, 0.5 and 1"
            )


class RawSource(Source):
    """A raw data set as `generate_data.py` writes it, train and test."""

    def __init__(self, path: str) -> None:
        root = find_dataset(path)
        self._stores = {mode: RawStore(root, mode) for mode in MODES}
        seed = self._stores[MODES[0]].marker().get("seed")
        super().__init__(root, f"raw data set, seed {seed}")
        self._keys: dict[Section, list[EpisodeKey]] = {}
        for mode, store in self._stores.items():
            for task_id in store.task_ids():
                self._list(Section(mode, task_id), store)
        if not any(self._keys.values()) and not self.damage:
            raise StoreError(f"{root} has no episodes; run generate_data.py first")

    def _list(self, section: Section, store: RawStore) -> None:
        keys = store.episodes(section.task_id)
        self._keys[section], self.numbers[section] = keys, list(range(len(keys)))
        if not keys:
            self.notes.append(f"{section.label} has no episodes")
        if interrupted := store.interrupted(section.task_id):
            self.notes.append(
                f"{section.label}: {interrupted} episode(s) interrupted, or being written now"
            )
        for variation, example, name in store.tracks_without_record(section.task_id):
            label = f"variation {variation} example {example}"
            self.note_damage(
                section, label, name, "is missing, though the episode's tracks are there"
            )

    def read_example(self, section: Section, number: int) -> Example | None:
        """Check every file of an episode, and read its tracks if those are whole."""
        store, key = self._stores[section.mode], self._keys[section][number]
        label = f"variation {key.variation} example {key.example}"
        try:
            record = store.read_record(key)
            is_readable = self._note_faults(section, store, key, record, label)
            if not is_readable:
                return None
            tracks = store.tracks_of(key, record)
            rig = Rig(tracks.track_cams, tracks.image_size, tracks.intrinsics, tracks.extrinsics)
            x = _raw_tracks(tracks)
        except DamagedEpisodeError as error:
            self.note_damage(section, label, layout.record(key), error.fault)
            return None
        except (StoreError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
            self.note_damage(section, label, "", f"cannot be read: {type(error).__name__} {error}")
            return None
        return Example(
            section, number, label, key.variation, tracks.task_name, tracks.keypoint_names, rig, x
        )

    def _note_faults(
        self, section: Section, store: RawStore, key: EpisodeKey, record: dict[str, Any], label: str
    ) -> bool:
        """Note the damaged files of an episode; tell whether its tracks are whole."""
        faults = list(store.faults(key, record))
        for name, fault in faults[:MAX_FILES_NAMED]:
            self.note_damage(section, label, name, fault)
        if len(faults) > MAX_FILES_NAMED:
            self.note_damage(
                section, label, "", f"{len(faults) - MAX_FILES_NAMED} more files are damaged"
            )
        self._note_unnamed(section, store, key, record, {name for name, _ in faults})
        return not any(layout.is_tracks(name) for name, _ in faults)

    def _note_unnamed(
        self,
        section: Section,
        store: RawStore,
        key: EpisodeKey,
        record: dict[str, Any],
        damaged: set[str],
    ) -> None:
        """Note what the first segmentation images of an episode show without a name of its own."""
        folder = store.task_dir(key.task_id)
        images = {cam: layout.image(key, cam, "seg", 0) for cam in record["cams"]}
        whole = [
            c for c, name in images.items() if (folder / name).is_file() and name not in damaged
        ]
        if not whole:
            return
        names = segmentation_names(record)
        if not names:
            note = (
                f"{section.label}: ids in segmentations have no names (episodes of an earlier"
                " version)"
            )
            if note not in self.notes:
                self.notes.append(note)
            return
        seen = {int(i) for cam in whole for i in np.unique(store.read_ids(key, cam, 0))}
        label = f"variation {key.variation} example {key.example}"
        if nameless := sorted(seen - set(names)):
            self.note_damage(
                section, label, "", f"ids in segmentations have no name: {nameless[:10]}"
            )
        if len(set(names.values())) < len(names):
            self.note_damage(section, label, "", "ids in segmentations share a name")

    def frame(self, example: Example, view: int, t: int) -> npt.NDArray[np.uint8] | None:
        """Read a picture; a damaged one is noted and None."""
        store, key = self._stores[example.section.mode], self._keys[example.section][example.number]
        path = store.image_path(key, example.rig.camera_names[view], "rgb", t)
        if not path.is_file():
            return None
        try:
            return store.read_rgb(key, example.rig.camera_names[view], t)
        except (OSError, ValueError) as error:
            name = str(path.relative_to(store.task_dir(key.task_id)))
            place = example.section.label, example.label, name
            if place not in {(d.section, d.episode, d.file) for d in self.damage}:
                self.note_damage(
                    example.section, example.label, name, f"cannot be decoded: {error}"
                )
            return None


def _raw_tracks(raw: RawTracks) -> npt.NDArray[np.float64]:
    """Give (V, T, K, 8) without detections."""
    V, T, K = len(raw.track_cams), raw.xyz.shape[0], len(raw.keypoint_names)
    if raw.xyz.shape != (T, K, 3) or raw.visibility.shape != (V, T, K):
        raise ValueError(
            f"xyz {raw.xyz.shape} and visibility {raw.visibility.shape} do not fit {V} cameras, {K}"
            " keypoints"
        )
    x = np.full((V, T, K, NUM_CHANNELS), np.nan)
    x[..., UV_EXACT] = project_views(raw.xyz, raw.intrinsics, raw.extrinsics)[0]
    x[..., XYZ_WORLD] = raw.xyz
    x[..., VISIBILITY] = raw.visibility
    return x


def choose_sections(source: Source, tasks: Sequence[int] | None) -> list[Section]:
    """Give the sections to inspect, refusing tasks that are not there."""
    there = sorted({s.task_id for s in source.numbers})
    missing = [t for t in tasks or [] if t not in there]
    if missing:
        raise ConfigError(
            f"--tasks {missing[0]}: not in {source.path}; it holds {', '.join(map(str, there))}"
        )
    return [
        s
        for s in sorted(source.numbers, key=lambda s: (MODES.index(s.mode), s.task_id))
        if not tasks or s.task_id in tasks
    ]
