"""The episodes of a raw data set as exports need them: one by one, and what they have in common."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.config import REGISTERED_ACTIONS
from data_generation.RLBench.errors import ConfigError, DamagedEpisodeError, StoreError
from data_generation.RLBench.raw import layout, records
from data_generation.RLBench.raw.episode import ROBOT_STATE, STATE_DIM, Float
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore, RawTracks
from rlbench.cameras import project_views


@dataclass(frozen=True)
class EpisodeFacts:
    """What `episode.json` says of an episode of the export.

    Attributes:
        number: From 0, in the order of the export.
        first_frame: How many frames the episodes before have together.
        description: The sentence that tells what to do.
        descriptions: All sentences that RLBench has for the variation.
    """

    number: int
    key: EpisodeKey
    task_name: str
    n_frames: int
    first_frame: int
    description: str
    descriptions: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The episodes of an export, and what all of them have.

    Attributes:
        action: Which registered action is exported.
        cams: Cameras whose images there are.
        track_cams: V cameras whose keypoints there are.
        image_size: Camera -> width, height [px].
        keypoint_names: Task id -> names of its keypoints.
        readings: Task id -> name of a reading of the robot -> its length; only what all episodes
            of the task have.
        robot: Name of the robot, or "".
        digest: Stands for the content of all episodes.
    """

    mode: str
    facts: tuple[EpisodeFacts, ...]
    action: str
    cams: tuple[str, ...]
    track_cams: tuple[str, ...]
    image_size: Mapping[str, tuple[int, int]]
    keypoint_names: Mapping[int, tuple[str, ...]]
    readings: Mapping[int, Mapping[str, int]]
    robot: str
    digest: str

    @property
    def cameras(self) -> tuple[str, ...]:
        """All cameras that are calibrated."""
        return tuple(dict.fromkeys((*self.track_cams, *self.cams)))

    @property
    def shared_readings(self) -> dict[str, int]:
        """Readings that all tasks have, with the same lengths."""
        first, *rest = self.readings.values()
        return {name: n for name, n in first.items() if all(r.get(name) == n for r in rest)}

    @cached_property
    def all_keypoints(self) -> tuple[str, ...]:
        """The keypoints of all tasks, each name once."""
        return tuple(dict.fromkeys(n for names in self.keypoint_names.values() for n in names))

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The descriptions, each once, in the order of the episodes."""
        return tuple(dict.fromkeys(f.description for f in self.facts))


@dataclass(frozen=True)
class ExportEpisode:
    """One episode, read and checked; images are read when they are asked for.

    Attributes:
        uv: (V, T, K, 2) exact positions in the images of the track cameras [px].
        action: (T, 8).
        ee_state: (T, 8) position of the tip [m], quaternion xyzw, gripper opening.
        readings: Name of a reading of the robot -> (T, n).
    """

    facts: EpisodeFacts
    record: Mapping[str, Any]
    tracks: RawTracks
    uv: Float
    action: Float
    ee_state: Float
    readings: Mapping[str, Float]
    store: RawStore = field(repr=False)

    def extrinsics(self, camera: str) -> Float:
        """Give (T, 3, 4) world to camera."""
        given = records.calibration(self.record, camera).extrinsics
        return np.broadcast_to(given, (self.facts.n_frames, 3, 4))

    def intrinsics(self, camera: str) -> Float:
        """Give (3, 3)."""
        return records.calibration(self.record, camera).intrinsics

    def has_images(self, camera: str, kind: str) -> bool:
        """Tell whether there are images of a kind: rgb, depth, or seg."""
        return layout.image(self.facts.key, camera, kind, 0) in self.record["files"]

    def image_bytes(self, camera: str, kind: str, frame: int) -> bytes:
        """Give the content of an image's file."""
        return self.store.image_path(self.facts.key, camera, kind, frame).read_bytes()

    def rgb(self, camera: str) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield (H, W, 3) of each frame."""
        for t in range(self.facts.n_frames):
            yield self.store.read_rgb(self.facts.key, camera, t)

    def depth(self, camera: str) -> Iterator[npt.NDArray[np.float32]]:
        """Yield (H, W) [m] of each frame; 0 where it is unknown."""
        for t in range(self.facts.n_frames):
            yield self.store.read_depth(self.facts.key, camera, t)

    def ids(self, camera: str) -> Iterator[npt.NDArray[np.int32]]:
        """Yield (H, W) object ids of each frame."""
        for t in range(self.facts.n_frames):
            yield self.store.read_ids(self.facts.key, camera, t)


def read_episode(store: RawStore, facts: EpisodeFacts, action: str) -> ExportEpisode:
    """Read an episode after checking every file of it.

    Raises:
        DamagedEpisodeError: Names the file.
    """
    key = facts.key
    record = store.check(key)
    if record["n_frames"] != facts.n_frames:
        raise StoreError(f"{store.root}: {key} was made anew meanwhile; run again with --overwrite")
    tracks = store.tracks_of(key, record)
    arrays = [store.read_array(key, kind) for kind in (f"actions/{action}", "ee_state")]
    for array in arrays:
        if array.shape != (facts.n_frames, STATE_DIM):
            fault = f"an array has the shape {array.shape}, not {(facts.n_frames, STATE_DIM)}"
            raise DamagedEpisodeError(f"{store.root}: {key} is damaged: {fault}", fault)
    uv, _ = project_views(tracks.xyz, tracks.intrinsics, tracks.extrinsics)
    readings = store.read_robot_state(key, record)
    return ExportEpisode(facts, record, tracks, uv, arrays[0], arrays[1], readings, store)


def select(
    store: RawStore, tasks: Sequence[int] | None, action: str | None, limit: int | None
) -> Selection:
    """Choose the episodes of an export.

    Args:
        store: The data set in one mode.
        tasks: Task ids; None for all.
        action: Registered action to export; None for the data set's first one.
        limit: How many episodes of each task at most; None for all.

    Raises:
        ConfigError: A task or the action is not there.
    """
    store.marker()
    there = [t for t in store.task_ids() if store.episodes(t)]
    missing = [t for t in tasks or () if t not in there]
    if missing or not there:
        found = ", ".join(map(str, there)) or "none"
        what = f"task {missing[0]} has" if missing else "there are"
        raise ConfigError(
            f"{store.root}: {what} no {store.mode} episodes (tasks with episodes: {found}); run"
            " generate_data.py first"
        )
    keys = [key for t in dict.fromkeys(tasks or there) for key in store.episodes(t)[:limit]]
    first = store.read_record(keys[0])
    names: dict[int, tuple[str, ...]] = {}
    readings: dict[int, dict[str, int]] = {}
    digest = hashlib.sha256()
    facts, frames = [], 0
    for number, key in enumerate(keys):  # a record holds a thousand file names: one at a time
        record = store.read_record(key)
        _check_alike(store, key, first, record)
        if names.setdefault(key.task_id, tuple(record["keypoint_names"])) != tuple(
            record["keypoint_names"]
        ):
            raise StoreError(
                f"{store.root}: {key} has other keypoints than the task's first episode; make the"
                " task anew with generate_data.py --overwrite"
            )
        own = record.get(ROBOT_STATE, {})
        before = readings.setdefault(key.task_id, own)
        readings[key.task_id] = {name: n for name, n in before.items() if own.get(name) == n}
        digest.update(f"{key} {records.checksum(record)}\n".encode())
        facts.append(_facts(number, key, record, frames))
        frames += record["n_frames"]
    return Selection(
        mode=store.mode,
        facts=tuple(facts),
        action=_action(store, first, action),
        cams=tuple(first["cams"]),
        track_cams=tuple(first["track_cams"]),
        image_size={
            c: records.calibration(first, c).image_size
            for c in dict.fromkeys((*first["track_cams"], *first["cams"]))
        },
        keypoint_names=names,
        readings=readings,
        robot=str(first.get("robot", "")),
        digest=digest.hexdigest(),
    )


def _facts(number: int, key: EpisodeKey, record: Mapping[str, Any], frames: int) -> EpisodeFacts:
    given = record.get("descriptions")
    listed = given if isinstance(given, list) else []
    sentences = tuple(s for s in listed if isinstance(s, str)) or (
        record["task_name"].replace("_", " "),
    )
    chosen = sentences[key.example % len(sentences)]
    return EpisodeFacts(
        number, key, record["task_name"], record["n_frames"], frames, chosen, sentences
    )


def _check_alike(
    store: RawStore, key: EpisodeKey, first: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Check that an episode has frames, and the cameras of the first episode."""
    if not record["n_frames"]:
        raise StoreError(f"{store.root}: {key} has no frames; delete it, and make it anew")
    is_alike = all(record[k] == first[k] for k in ("cams", "track_cams")) and all(
        record["cameras"][c]["image_size"] == first["cameras"][c]["image_size"]
        for c in (*first["cams"], *first["track_cams"])
    )
    if not is_alike:
        raise StoreError(
            f"{store.root}: {key} has other cameras than the first episode; make it anew with"
            " generate_data.py --overwrite"
        )


def _action(store: RawStore, record: Mapping[str, Any], wanted: str | None) -> str:
    """Give the action to export: the wanted one, else the first that was registered."""
    there = [
        name
        for name in REGISTERED_ACTIONS
        if any(file.startswith(f"actions/{name}/") for file in record["files"])
    ]
    if wanted is None and there:
        return there[0]
    if wanted in there:
        return str(wanted)
    raise ConfigError(
        f"{store.root}: --action {wanted} is not there; it has {', '.join(there) or 'none'}"
        " (registered_actions of the dataset config)"
    )


def output_beside(root: Path, to: str) -> Path:
    """Name the folder that is written where none is named."""
    return root.with_name(f"{root.name}_{to}")
