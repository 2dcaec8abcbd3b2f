"""The kinds of files: sound examples, mutations, and the reader that reads or refuses them."""

import dataclasses
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose_obj_3d.common.archive.legacy import read_legacy, write_legacy
from pose_obj_3d.formal import Witness, read_formal, tasks_in
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.stated_noise import check_noise
from pose_obj_3d.training.checkpoints import file as checkpoint_file
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import (
    Config,
    NetworkConfig,
    StcNetworkConfig,
    load_config,
    to_yaml,
)
from pose_obj_3d.training.model_registry import build_model
from pose_obj_3d.training.run import Run
from tests.fuzz import mutations as m
from tests.fuzz import text_mutations as t
from tests.unit.pose_obj_3d.synthetic import NAMES, rig, write_scene

IDS = ["own/points/a", "own/points/b"]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        suffix: Of its files.
        seeds: Makes sound files of it in a folder.
        mutations: What is done to their bytes.
        read: Reads a file and uses it a little; raises the project's errors alone.
    """

    suffix: str
    seeds: Callable[[Path], list[bytes]]
    mutations: tuple[m.Mutation, ...]
    read: Callable[[Path], Any]


def _formal(folder: Path) -> list[bytes]:
    path = write_scene(folder / "formal.npz", examples=3, frames=6)
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    np.savez(folder / "stored.npz", **members)
    return [path.read_bytes(), (folder / "stored.npz").read_bytes()]


def _read_formal(path: Path) -> None:
    tasks_in(path)
    data = read_formal(path)
    ids = keypoint_ids(data, sorted(data.tracks), ("waypoints", "objects", "robot"))
    make_rig(data)
    check_noise(data, sorted(data.tracks), ids)


def _detected(folder: Path) -> list[bytes]:
    path = write_scene(folder / "detected.npz", examples=3, frames=6, detected=True)
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    meta = json.loads(str(members["meta"]))
    meta["detections"] |= {"folds": {"T0": {"0": 0, "1": 1, "2": 1}}, "labelled_frames": 20}
    members["meta"] = np.array(json.dumps(meta))
    np.savez(folder / "stored.npz", **members)
    return [path.read_bytes(), (folder / "stored.npz").read_bytes()]


def _read_detected(path: Path) -> None:
    tasks = tasks_in(path, detected=True)
    data = choose_detections(read_formal(path), Witness("detected", "detector"), tasks)
    ids = keypoint_ids(data, tasks, ("waypoints", "objects", "robot"))
    tracks = load_tracks(data, make_rig(data), tasks, "train", ids)
    assert tracks.xyz.isfinite().all()


def _tracks(folder: Path) -> list[bytes]:
    K, E = rig()
    members: dict[str, Any] = {
        "points": np.random.default_rng(0).uniform(50, 200, (4, 20, 3, 2)),
        "intrinsics": K,
        "extrinsics": E,
        "confidence": np.ones((4, 20, 3)),
        "covariance": np.broadcast_to(2 * np.eye(2), (4, 20, 3, 2, 2)),
        "distortion": np.full((4, 5), 1e-3),
        "units": np.array("mm"),
        "camera_names": np.array(NAMES),
        "keypoint_names": np.array(["a", "b", "c"]),
        "image_size": np.array([256, 256]),
        "sequence_starts": np.array([0, 10]),
        "fps": np.array(25.0),
        "truth": np.zeros((20, 3, 3)),
    }
    out = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, **members)
        out.append(stream.getvalue())
    return out


def _legacy(folder: Path) -> list[bytes]:
    archive = read_formal(write_scene(folder / "new.npz", tasks=(0, 9), examples=3, frames=5))
    write_legacy(folder / "old.npz", archive.tracks)
    raw = (folder / "old.npz").read_bytes()
    return [raw, m.pack(m.unpack(raw), 0)]


@cache
def _training() -> Run:
    K, E = rig()
    cameras = Rig(torch.from_numpy(K), torch.from_numpy(E), 1.0, (0, 1, 2, 3))
    torch.manual_seed(0)
    config = Config(NETWORK=NetworkConfig(STC=StcNetworkConfig(WIDTH=8, NUM_LAYERS=0, NUM_HEADS=2)))
    run = Run(
        config,
        True,
        build_model(config.NETWORK, len(IDS), cameras),
        None,
        None,
        cameras,
        IDS,
        "0" * 64,
        Path(),
    )  # type: ignore[arg-type]
    for p in run.model.parameters():
        p.grad = torch.rand_like(p)
    run.optimiser.step()
    run.epoch, run.best, run.best_epoch, run.history = 1, 0.5, 1, [{"train/loss": 0.5}]
    return run


def _checkpoint(folder: Path) -> list[bytes]:
    state = _training().state()
    old = io.BytesIO()
    torch.save(state, old)
    return [checkpoint_file.to_bytes(state), old.getvalue(), old.getvalue()]


def _read_checkpoint(path: Path) -> None:
    run = _training()
    state = checkpoints.load(path, warn=False)
    checkpoints.check_model(path, state, run.config, IDS)
    checkpoints.check_resumable(path, state, run.config, True, "0" * 64)
    run.restore(state, path)


def _yaml(folder: Path) -> list[bytes]:
    small = (
        "NETWORK: {TYPE: MHT, STC: {WIDTH: 16}}\nTRAIN:\n  BATCH_SIZE: 64\n  LEARNING_RATE:"
        " 1e-3\nOBJ_POSE_DATA:\n  SUBJECTS_TRAIN: [T0, T9]\n"
    )
    return [to_yaml(Config()).encode(), small.encode()]


_IN_LEGACY = (
    t.pickled(t.array_pickle),
    t.pickled(t.array_pickle),
    t.pickled_argument(t.array_pickle),
    m.array,
    *m.BYTES,
)
_IN_CHECKPOINT = (
    t.pickled(lambda _: 0),
    t.pickled(lambda _: 0),
    t.pickled_argument(lambda _: 0),
    *m.BYTES,
)
KINDS = {
    "formal": Kind(
        ".npz",
        _formal,
        (
            *m.BYTES,
            *m.ZIP,
            m.bomb,
            *[m.in_member(m.ARRAY)] * 6,
            *[m.in_member((t.meta,), "meta.npy")] * 6,
        ),
        _read_formal,
    ),
    "detections": Kind(
        ".npz",
        _detected,
        (
            *[m.in_member(m.ARRAY)] * 6,
            *[m.in_member((t.meta,), "meta.npy")] * 6,
        ),
        _read_detected,
    ),
    "tracks": Kind(
        ".npz", _tracks, (*m.BYTES, *m.ZIP, m.bomb, *[m.in_member(m.ARRAY)] * 10), read_tracks
    ),
    "legacy": Kind(
        ".npz", _legacy, (*m.BYTES, *m.ZIP, m.bomb, *[m.in_member(_IN_LEGACY)] * 12), read_legacy
    ),
    "checkpoint": Kind(
        ".pt",
        _checkpoint,
        (
            *m.BYTES,
            *m.ZIP,
            m.bomb,
            *[m.in_member(_IN_CHECKPOINT, "data.pkl")] * 10,
            m.in_member(m.BYTES),
        ),
        _read_checkpoint,
    ),
    "yaml": Kind(".yaml", _yaml, t.YAML, load_config),
}
