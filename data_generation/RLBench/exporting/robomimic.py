"""Writes robomimic's HDF5 files, one for each task.

A part is one demonstration in a file of its own; parts are copied into the task's file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.exporting.episodes import EpisodeFacts, ExportEpisode, Selection
from data_generation.RLBench.exporting.folder import ExportFolder
from data_generation.RLBench.exporting.packages import require
from pose_obj_3d.formal import MIN_EXAMPLES, make_split

EXTRA = "robomimic"
GYM_TYPE = 2
"""robomimic's number of environments that gymnasium makes."""
PART = "demo.hdf5"
JOINING = ".joining"
STATES_FROM = "task_low_dim_state"
READINGS = {STATES_FROM: "object"}
"""Readings that robomimic knows under another name."""
COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
SPLITS = {"train": "train", "val": "valid", "test": "test"}
"""Part of the archive's split -> robomimic's filter key."""
Array = npt.NDArray[Any]


class RobomimicExporter:
    """See `exporting.run.Exporter`."""

    def __init__(self, selection: Selection, with_images: bool, with_depth: bool) -> None:
        """Check that the package is there.

        Raises:
            DataGenerationError: It is not.
        """
        require("h5py", EXTRA)
        images = [n for n, wanted in (("rgb", with_images), ("depth", with_depth)) if wanted]
        self.settings: Mapping[str, Any] = {"to": "robomimic", "images": images}
        self.notes: Sequence[str] = ()
        self._selection = selection
        self._with_images, self._with_depth = with_images, with_depth
        self._tasks: dict[str, list[EpisodeFacts]] = {}
        for facts in selection.facts:
            self._tasks.setdefault(facts.task_name, []).append(facts)

    def names(self) -> list[str]:
        """List the files of the tasks."""
        return [f"{task}.hdf5" for task in self._tasks]

    def place(self, folder: ExportFolder, number: int) -> Path:
        """Give the folder of a demonstration's part."""
        return folder.staging / "parts" / f"{number:06d}"

    def write_part(self, episode: ExportEpisode, folder: Path) -> None:
        """Write a demonstration."""
        h5py = require("h5py", EXTRA)
        T = episode.facts.n_frames
        with h5py.File(folder / PART, "w") as file:
            demo = file.create_group("demo")
            demo.attrs["num_samples"] = T
            demo.attrs["language_instruction"] = episode.facts.description
            demo.attrs["variation"] = episode.facts.key.variation
            demo.attrs["example"] = episode.facts.key.example
            _write(demo, "actions", episode.action)
            states = episode.readings.get(STATES_FROM, episode.ee_state)
            _write(demo, "states", states)
            is_last = np.arange(T) == T - 1
            _write(demo, "rewards", is_last.astype(np.float64))
            _write(demo, "dones", is_last.astype(np.int64))
            obs = demo.create_group("obs")
            for name, values in observations(episode, self._selection).items():
                _write(obs, name, values)
            for camera in self._selection.cams:
                if self._with_images:
                    _write_images(obs, f"{camera}_image", episode.rgb(camera), T)
                if self._with_depth:
                    depth = (d[..., None] for d in episode.depth(camera))
                    _write_images(obs, f"{camera}_depth", depth, T)

    def finish(self, folder: ExportFolder) -> None:
        """Write the file of each task that is not there."""
        for task, facts in self._tasks.items():
            path = folder.root / f"{task}.hdf5"
            if path.exists():  # a run that was killed had come so far
                continue
            unfinished = path.with_name(path.name + JOINING)
            self._join(unfinished, task, facts, [self.place(folder, f.number) for f in facts])
            unfinished.replace(path)

    def _join(
        self, path: Path, task: str, facts: Sequence[EpisodeFacts], parts: Sequence[Path]
    ) -> None:
        h5py = require("h5py", EXTRA)
        with h5py.File(path, "w") as file:
            data = file.create_group("data")
            data.attrs["total"] = sum(f.n_frames for f in facts)
            data.attrs["env_args"] = json.dumps(
                {
                    "env_name": f"rlbench/{task}-vision-v0",
                    "type": GYM_TYPE,
                    "env_kwargs": {"robot_setup": self._selection.robot},
                }
            )
            data.attrs["action"] = self._selection.action
            names = self._selection.keypoint_names[facts[0].key.task_id]
            data.attrs["keypoint_names"] = json.dumps(list(names))
            for number, part in enumerate(parts):
                with h5py.File(part / PART, "r") as source:
                    source.copy("demo", data, name=f"demo_{number}")
                _link_next(h5py, data[f"demo_{number}"])
            mask = file.create_group("mask")
            for name, numbers in _splits(len(facts)).items():
                mask.create_dataset(name, data=np.array([f"demo_{n}" for n in numbers], "S"))


def observations(episode: ExportEpisode, selection: Selection) -> dict[str, Array]:
    """Give the low-dimensional observations, each (T, n); cameras are named."""
    T = episode.facts.n_frames
    readings = selection.readings[episode.facts.key.task_id]
    found: dict[str, Array] = {
        "ee_pos": episode.ee_state[:, :3],
        "ee_quat": episode.ee_state[:, 3:7],
        "gripper_open": episode.ee_state[:, 7:],
        **{READINGS.get(name, name): episode.readings[name] for name in readings},
        "keypoints_xyz": episode.tracks.xyz.reshape(T, -1),
    }
    for v, camera in enumerate(selection.track_cams):
        found[f"{camera}_keypoints_uv"] = episode.uv[v].reshape(T, -1)
        found[f"{camera}_keypoints_visibility"] = episode.tracks.visibility[v]
    for camera in selection.cameras:
        found[f"{camera}_intrinsics"] = np.tile(episode.intrinsics(camera).ravel(), (T, 1))
        found[f"{camera}_extrinsics"] = episode.extrinsics(camera).reshape(T, -1)
    return {name: np.asarray(x, np.float32) for name, x in found.items()}


def _write(group: Any, name: str, values: Array) -> None:
    """Write an array; without times of creation, so that the bytes are the same each time."""
    group.create_dataset(name, data=values, track_times=False)


def _write_images(group: Any, name: str, images: Iterator[Array], n_frames: int) -> None:
    """Write (T, H, W, C), a chunk for each image."""
    target: Any = None
    for t, image in enumerate(images):
        if target is None:
            target = group.create_dataset(
                name,
                shape=(n_frames, *image.shape),
                dtype=image.dtype,
                chunks=(1, *image.shape),
                track_times=False,
                **COMPRESSION,
            )
        target[t] = image


def _link_next(h5py: Any, demo: Any) -> None:
    """Give the observations of the next frame as views of the others; the last one repeats.

    By h5py's lower interface: the other one writes times of creation into views.
    """
    following = demo.create_group("next_obs")
    for name, source in demo["obs"].items():
        T = source.shape[0]
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_obj_track_times(False)
        pieces = [(0, 1, T - 1)] if T > 1 else []
        for target, start, count in [*pieces, (T - 1, T - 1, 1)]:
            spaces = []
            for first in (target, start):
                space = h5py.h5s.create_simple(source.shape)
                rest = source.shape[1:]
                space.select_hyperslab((first, *(0 for _ in rest)), (count, *rest))
                spaces.append(space)
            made.set_virtual(spaces[0], b".", source.name.encode(), spaces[1])
        whole = h5py.h5s.create_simple(source.shape)
        h5py.h5d.create(following.id, name.encode(), source.id.get_type(), whole, made)


def _splits(count: int) -> dict[str, list[int]]:
    """Give the demonstrations of each filter key, as archives are split."""
    if count < MIN_EXAMPLES:
        return {"train": list(range(count))}
    return {SPLITS[name]: numbers for name, numbers in make_split(count).items()}
