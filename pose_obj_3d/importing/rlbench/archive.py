"""Makes an archive of RLBench's stored demonstrations.

They hold no keypoints. Known exactly are the poses of gripper and joints; their detections are
simulated. Masks show objects: the centres of what they show are detections as a detector of objects
would give them, and the objects' positions are triangulated from them.
"""

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ArchiveError, ConfigError, DataError
from pose_obj_3d.common.facts import DETECTION_GRID_PX, NOISE_RATIO
from pose_obj_3d.common.frame_files import PICTURES, SOURCES
from pose_obj_3d.common.names import some_names
from pose_obj_3d.common.safe_reading import plain_pickle
from pose_obj_3d.common.safe_reading.numpy_pickles import NUMPY_CALLS
from pose_obj_3d.formal import MIN_EXAMPLES, VISIBILITY, write_formal
from pose_obj_3d.importing.examples import Points, example, sigma_px
from pose_obj_3d.importing.rlbench.folders import (
    DESCRIPTIONS,
    VARIATION_NUMBER,
    EpisodeFolder,
    find_episodes,
)
from pose_obj_3d.importing.rlbench.matching import own_numbers, renumbered, shifts
from pose_obj_3d.importing.tracks.readers import rlbench_demo
from pose_obj_3d.importing.tracks.readers.rlbench_demo import StoredEpisode
from pose_obj_3d.importing.tracks.views import Floats

MAX_NOISE = 100.0
JOINT_DEPTH_M, GRIPPER_DEPTH_M = 0.12, 0.03
"""A surface that is so much nearer than a joint, or a point of the gripper, hides it."""
_SAME = 1e-4
_DEPTH_STEPS = 2**24 - 1
_Example = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RLBenchOptions:
    """What the command's flags say.

    Attributes:
        tasks: Names; None for all.
        cameras: Names; None for all that stand still.
        max_examples: Of each task; None for all.
        noise_scale: Of the simulated detections of gripper and joints: 1 is 0.00504 of the image's
            width; 0: none.
        seed: Of that noise.
    """

    tasks: Sequence[str] | None = None
    cameras: Sequence[str] | None = None
    max_examples: int | None = None
    noise_scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.noise_scale <= MAX_NOISE:
            raise ConfigError(f"--noise_scale {self.noise_scale:g}: allowed: 0 to {MAX_NOISE:g}")
        if self.max_examples is not None and self.max_examples < MIN_EXAMPLES:
            raise ConfigError(f"--max_examples {self.max_examples}: allowed: from {MIN_EXAMPLES}")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: allowed: from 0")


@dataclass(frozen=True)
class Imported:
    """What was written: task -> number of examples, names of the views, and notes."""

    examples: Mapping[str, int]
    cameras: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Rig:
    """The cameras of an archive: those that all episodes have, at the same places."""

    names: tuple[str, ...]
    K: Floats
    E: Floats
    size: tuple[int, int]


def import_rlbench(root: Path, output: Path, options: RLBenchOptions) -> Imported:
    """Write an archive of stored demonstrations.

    Raises:
        PoseObj3DError: Something is missing or not as it must be; nothing is written then.
    """
    folders = find_episodes(root, options.tasks)
    rig: _Rig | None = None
    tracks: dict[int, list[_Example]] = {}
    notes: list[str] = []
    meta: dict[str, Any] = {"task_names": {}, "keypoint_names": {}, "descriptions": {}}
    for task, (name, all_folders) in enumerate(folders.items()):
        own = all_folders[: options.max_examples]
        if len(own) < MIN_EXAMPLES:
            raise DataError(
                f"{root}: {name} has {len(own)} episode(s); at least {MIN_EXAMPLES} are needed, for"
                " training, validation and test; leave the task out by --tasks"
            )
        episodes = [rlbench_demo.read_episode(folder.path) for folder in own]
        rig = rig or _rig(own[0], episodes[0], options.cameras)
        made = _Task(name, own, episodes, rig, options)
        tracks[task] = made.examples()
        notes += made.notes
        meta["task_names"][f"T{task}"] = name
        meta["keypoint_names"][f"T{task}"] = made.keypoint_names
        meta["descriptions"][f"T{task}"] = [_description(folder, name) for folder in own]
    assert rig is not None  # there is at least one task
    noise = sigma_px([x for xs in tracks.values() for x in xs], DETECTION_GRID_PX, False)
    meta |= {
        "image_size": list(rig.size),
        "camera_names": list(rig.names),
        "frame_period_s": 1 / rlbench_demo.FPS,
        "noise": {"sigma_px": noise},
        "truth": "robot: exact; objects: triangulated from the centres of masks",
        **_pictures(output, folders, options.max_examples),
    }
    write_formal(output, tracks, meta, rig.K, rig.E)
    if PICTURES not in meta:
        notes.append("several tasks: the archive does not say where their pictures are")
    counts = {meta["task_names"][f"T{t}"]: len(x) for t, x in tracks.items()}
    return Imported(counts, rig.names, tuple(dict.fromkeys(notes)))


def _rig(folder: EpisodeFolder, episode: StoredEpisode, wanted: Sequence[str] | None) -> _Rig:
    there = episode.cameras.names
    for name in wanted or ():
        if name not in there:
            raise ConfigError(
                f"--cameras: {folder.name} has no camera {name[:60]!r} that stands still; "
                f"{some_names(name, there)}"
            )
    names = tuple(dict.fromkeys(wanted or there))
    if len(names) < 2:
        raise ConfigError("--cameras: 3D needs two cameras or more")
    index = [there.index(name) for name in names]
    sizes = {rlbench_demo.image_size(episode.cameras, v) for v in index}
    if len(sizes) > 1:
        raise DataError(
            f"{folder.name}: images have the sizes {sorted(sizes)}; an archive has one size: choose"
            " cameras with --cameras"
        )
    K, E = episode.cameras.intrinsics[index], episode.cameras.extrinsics[index]
    return _Rig(names, K, E, sizes.pop())


class _Task:
    """The episodes of a task, on the way to examples.

    Attributes:
        keypoint_names: Of the archive.
        notes: What the user should know.
    """

    def __init__(
        self,
        name: str,
        folders: Sequence[EpisodeFolder],
        episodes: Sequence[StoredEpisode],
        rig: _Rig,
        options: RLBenchOptions,
    ) -> None:
        self._name, self._folders, self._episodes = name, folders, episodes
        self._rig, self._options = rig, options
        self._known = list(episodes[0].names)
        for folder, episode in zip(folders, episodes, strict=True):
            self._check(folder, episode)
        numbers = [episode.numbers for episode in episodes]
        own = own_numbers(numbers)
        shared = numbers[0] - own[0]
        moves = shifts(numbers)
        self._objects = [
            renumbered(e.objects, mine, move, shared)
            for e, mine, move in zip(episodes, own, moves, strict=True)
        ]
        every = set().union(*self._objects)
        self._kept = sorted(every.intersection(*self._objects))
        self.keypoint_names = [
            *(_in_groups(name) for name in self._known),
            *(f"objects/{number}" for number in self._kept),
        ]
        self.notes = []
        if len(every) > len(self._kept):
            self.notes.append(
                f"{name}: {len(every) - len(self._kept)} objects are left out, because masks do not"
                f" show them in all episodes; {len(self._kept)} are kept"
            )

    def _check(self, folder: EpisodeFolder, episode: StoredEpisode) -> None:
        if episode.names != self._known:
            raise DataError(f"{folder.name}: stores other poses than {self._folders[0].name}")
        rig = self._rig
        missing = [name for name in rig.names if name not in episode.cameras.names]
        if missing:
            raise DataError(f"{folder.name}: has no camera {missing[0][:60]!r} that stands still")
        v = [episode.cameras.names.index(name) for name in rig.names]
        found = (episode.cameras.intrinsics[v], episode.cameras.extrinsics[v])
        for before, now in zip((rig.K, rig.E), found, strict=True):
            if not np.allclose(before, now, rtol=_SAME, atol=_SAME):
                raise DataError(
                    f"{folder.name}: was filmed by other cameras than the first episode; an archive"
                    " has one calibration: import the data sets one by one"
                )

    def examples(self) -> list[_Example]:
        """Make the examples."""
        rig, made = self._rig, []
        for number, folder in enumerate(self._folders):
            episode = self._episodes[number]
            views = [episode.cameras.names.index(name) for name in rig.names]
            exact = np.stack([episode.projected(v) for v in views])
            detected = self._detected(folder, exact)
            objects = [episode.objects.index(self._objects[number][k]) for k in self._kept]
            centres = np.stack([episode.centres[v][:, objects] for v in views])
            unknown = np.full((len(episode.xyz), len(objects), 3), np.nan)
            points = Points(
                folder.name,
                np.concatenate([detected, centres], axis=2),
                None,
                np.concatenate([episode.xyz, unknown], axis=1),
            )
            one = example(points, self.keypoint_names, rig.K, rig.E, rig.size)
            known = len(self._known)
            one[..., :known, VISIBILITY] = _visibility(folder, episode, rig, exact)
            made.append(one)
        return made

    def _detected(self, folder: EpisodeFolder, exact: Floats) -> Floats:
        """Simulate detections of known points (V, T, K, 2), the same for the same episode."""
        name = f"{self._name} {folder.variation} {folder.number}"
        rng = np.random.default_rng([self._options.seed, zlib.crc32(name.encode())])
        scale = self._options.noise_scale * NOISE_RATIO * self._rig.size[0]
        noisy = exact + scale * rng.standard_normal(exact.shape)
        rounded: Floats = np.round(noisy / DETECTION_GRID_PX) * DETECTION_GRID_PX
        return rounded if scale else exact


def _in_groups(name: str) -> str:
    """Name a known point by a group of archives: `gripper/x` is `robot/gripper_x`."""
    return "robot/" + name.replace("/", "_")


def _visibility(
    folder: EpisodeFolder, episode: StoredEpisode, rig: _Rig, exact: Floats
) -> npt.NDArray[np.float32]:
    """Return (V, T, K) of known points, by depth images: 1 seen, 0.5 hidden, 0 outside.

    Where no depth was stored, a point in the image counts as seen.
    """
    seen = np.isfinite(exact[..., 0]).astype(np.float32)
    slack = np.array(
        [GRIPPER_DEPTH_M if name.startswith("gripper") else JOINT_DEPTH_M for name in episode.names]
    )
    for i, name in enumerate(rig.names):
        near, far = episode.planes[episode.cameras.names.index(name)]
        if not np.isfinite(far):
            continue
        z = episode.xyz @ rig.E[i, 2, :3] + rig.E[i, 2, 3]
        for t in range(len(z)):
            file = folder.path / f"{name}_depth" / f"{t}.png"
            coded = rlbench_demo.coded_image(file, lowest_first=False)
            inside = np.flatnonzero(seen[i, t])
            if coded is None or not len(inside):
                continue
            height, width = coded.shape
            x, y = np.floor(exact[i, t, inside]).astype(int).T
            share = coded[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] / _DEPTH_STEPS
            is_hidden = near + share * (far - near) < z[t, inside] - slack[inside]
            seen[i, t, inside[is_hidden]] = 0.5
    return seen


def _description(folder: EpisodeFolder, task: str) -> str:
    """Return the first sentence that was stored for an episode; else the task's name."""
    for place in (folder.path, folder.variation_folder):
        found = _small_pickle(place / DESCRIPTIONS)
        if isinstance(found, list) and found and isinstance(found[0], str):
            return found[0]
    return task.replace("_", " ")


def _small_pickle(path: Path) -> object:
    try:
        with path.open("rb") as file:
            return plain_pickle.load(file, NUMPY_CALLS)
    except (ArchiveError, OSError):
        return None


def _pictures(
    output: Path, folders: Mapping[str, Sequence[EpisodeFolder]], limit: int | None
) -> dict[str, Any]:
    """Return the fields of `meta` that say where pictures are; empty for several tasks."""
    if len(folders) > 1:
        return {}
    ((_, episodes),) = folders.items()
    own = episodes[:limit]
    kinds = {folder.variation < 0 for folder in own}
    if len(kinds) > 1:
        return {}
    task = os.path.relpath(own[0].path.parents[2].resolve(), output.resolve().parent)
    variation = "all_variations" if kinds.pop() else "variation{variation}"
    escaped = task.replace("{", "{{").replace("}", "}}")
    return {
        PICTURES: f"{escaped}/{variation}/episodes/episode{{example}}/{{camera}}_rgb/{{frame}}.png",
        SOURCES: {
            "T0": [{"variation": _variation(folder), "example": folder.number} for folder in own]
        },
    }


def _variation(folder: EpisodeFolder) -> int:
    if folder.variation >= 0:
        return folder.variation
    found = _small_pickle(folder.path / VARIATION_NUMBER)
    return found if isinstance(found, int) and found >= 0 else 0
