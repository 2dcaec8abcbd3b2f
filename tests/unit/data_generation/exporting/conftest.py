"""A small data set of two tasks, with images, and the command that exports it."""

from dataclasses import replace

import numpy as np
import pytest

from data_generation.RLBench import export_dataset
from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.raw.episode import Calibration
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation.fake_source import make_episode, make_film

TRACK_CAMS = ("front", "overhead")
CAMS = ("front", "wrist")
WIDTH, HEIGHT = 16, 12
KEYS = [EpisodeKey(0, 0, 0), EpisodeKey(0, 1, 1), EpisodeKey(0, 2, 0), EpisodeKey(9, 0, 0)]
CONFIG = DatasetConfig("test", obs_dim=(HEIGHT, WIDTH, 3), cams=("left", "right"))
NAMES = {0: ("waypoints/waypoint0", "objects/block", "robot/tip"), 9: ("objects/lid", "robot/tip")}


def episode_of(key, cams=CAMS, with_states=True):
    """Make an episode of RLBench's cameras; the wrist camera moves."""
    config = replace(CONFIG, track_cams=("left", "right"))
    made = make_episode(key, config)
    T, rng = made.n_frames, np.random.default_rng(key.example)
    still = [made.cameras[name] for name in ("left", "right")]
    moving = np.tile(still[0].extrinsics, (T, 1, 1))
    moving[:, 2, 3] += np.arange(T)
    wrist = Calibration((WIDTH, HEIGHT), still[0].intrinsics, moving)
    K = len(NAMES[key.task_id])
    states = {"joint_positions": rng.normal(size=(T, 7)), "joint_velocities": np.zeros((T, 7))}
    return replace(
        made,
        info={
            **made.info,
            "robot": "panda",
            "descriptions": [f"do {key.task_id} with {key.variation}", "do it"],
        },
        keypoint_names=NAMES[key.task_id],
        xyz=made.xyz[:, :K],
        visibility=made.visibility[:, :, :K],
        track_cams=TRACK_CAMS,
        cameras={"front": still[0], "overhead": still[1], "wrist": wrist},
        films={cam: make_film(CONFIG, T, rng) for cam in cams},
        robot_state=states if with_states else {},
    )


def write(root, **changes):
    """Write a data set and return its store."""
    store = RawStore(root)
    store.create(0, CONFIG.fingerprint())
    for key in KEYS:
        store.write(key, episode_of(key, **changes))
    store.close()
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write(tmp_path_factory.mktemp("raw") / "data")


@pytest.fixture(scope="session")
def make_data_set():
    return write


@pytest.fixture
def export(capsys):
    """Run the command; return its exit code and what it says."""

    def run(*argv):
        code = export_dataset.main([str(a) for a in argv])
        said = capsys.readouterr()
        return code, (said.out + said.err).strip()

    return run


@pytest.fixture(scope="session")
def content():
    """Give the bytes of all files of an export, by name."""

    def read(root):
        files = (p for p in root.rglob("*") if p.is_file())
        return {str(p.relative_to(root)): p.read_bytes() for p in files}

    return read
