"""Data sets for the tests of the inspection, and the command run on them."""

import json
from pathlib import Path

import numpy as np

from data_generation.RLBench import inspect_dataset
from data_generation.RLBench.config import load_config
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.formal import write_formal
from rlbench.cameras import project_views
from tests.unit.data_generation import fake_source

NAMES = ["waypoints/waypoint0", "robot/tip"]
SIZE = 64


def fill_raw(tmp_path, write_config, tasks=(0, 1), modes=("train",), **changes):
    """Fill a data set with four episodes of each task and mode, and return its folder."""
    config = load_config(Path(write_config(**changes)))
    for mode in modes:
        store = RawStore(tmp_path / "d", mode)
        store.create(0, config.fingerprint())
        for task in tasks:
            for key in config.plan(task, 3):
                store.write(key, fake_source.make_episode(key, config))
        store.close()
    return tmp_path / "d"


def rig():
    cameras = [fake_source.calibration(c, SIZE, SIZE) for c in fake_source.CAMERAS]
    return np.stack([c.intrinsics for c in cameras]), np.stack([c.extrinsics for c in cameras])


def make_tracks(T=12):
    """Rest at x = 0.1; move 0.02 m a frame along y; seen by all, detected 1 px off."""
    xyz = np.zeros((T, 2, 3))
    xyz[:, 0] = 0.1, 0, 0.8
    xyz[:, 1, 1], xyz[:, 1, 2] = 0.02 * np.arange(T), 0.8
    x = np.ones((3, T, 2, 8), np.float32)
    x[..., :2] = project_views(xyz, *rig())[0]
    x[..., 2:4] = x[..., :2] + 1
    x[..., 4:7] = xyz
    return x


def write_archive(tmp_path, change=None, tasks=(0, 9), n=4, **meta):
    """Write an archive of hand-made tracks and return its path."""
    tracks = {t: [make_tracks(10 + i) for i in range(n)] for t in tasks}
    if change:
        change(tracks)
    path = tmp_path / "x.npz"
    full = {
        "image_size": [SIZE, SIZE],
        "camera_names": list(fake_source.CAMERAS),
        "task_names": {f"T{t}": f"task_{t}" for t in tasks},
        "keypoint_names": {f"T{t}": NAMES for t in tasks},
        "sources": {
            f"T{t}": [{"variation": i % 2, "example": i // 2} for i in range(n)] for t in tasks
        },
        **meta,
    }
    write_formal(path, tracks, full, *rig())
    return path


def rewrite(path, **members):
    """Replace members of an archive (None removes one), without any check."""
    with np.load(path) as old:
        kept = {name: old[name] for name in old.files}
    kept.update({name.replace("__", "/"): value for name, value in members.items()})
    np.savez_compressed(path, **{name: value for name, value in kept.items() if value is not None})


def inspect(path, *flags):
    """Run the command and return (exit code, statistics, page)."""
    code = inspect_dataset.main([str(path), *flags])
    place = path / "inspection" if path.is_dir() else path.with_name(f"{path.stem}_inspection")
    if "--output" in flags:
        place = Path(flags[flags.index("--output") + 1])
    return (
        code,
        json.loads((place / "statistics.json").read_text()),
        (place / "index.html").read_text(),
    )
