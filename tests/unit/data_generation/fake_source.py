"""A simulator without physics: the same interface, made-up demos, in microseconds.

The environment may slow it down: `FAKE_DELAY` is the time of an attempt [s], `FAKE_HOLD` the number
of attempts after which a process makes no more, until it is killed.
"""

import os
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np

from data_generation.RLBench.errors import ConfigError, DemoFailedError
from data_generation.RLBench.raw.episode import Calibration, CameraFilm, Episode
from data_generation.RLBench.raw.episode_key import EpisodeKey

CAMERAS = ("left", "right", "top")
NAMES = ("waypoints/waypoint0", "objects/block", "robot/tip")
SEED = 7
# A script that generates with this simulator, for tests that kill or watch a process.
PROGRAM = f"""import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[3])!r})
from data_generation.RLBench import generate_data
from tests.unit.data_generation import fake_source
if __name__ == "__main__":
    sys.exit(generate_data.main(sys.argv[1:], fake_source.open_source))
"""


def calibration(cam, width, height):
    """Look at the origin from 2 m, turned about the vertical by the camera's number."""
    angle = 2.0 * CAMERAS.index(cam)
    c, s = np.cos(angle), np.sin(angle)
    R_cam_world = np.array([[c, s, 0.0], [0.0, 0.0, -1.0], [-s, c, 0.0]])
    K = np.array([[width, 0.0, width / 2], [0.0, width, height / 2], [0.0, 0.0, 1.0]])
    return Calibration((width, height), K, np.c_[R_cam_world, [0.0, 0.0, 2.0]])


def make_film(config, n_frames, rng):
    """Film noise."""
    width, height = config.image_size
    film = CameraFilm()
    for _ in range(n_frames):
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        depth = rng.uniform(0.5, 3.0, (height, width)).astype(np.float32)
        ids = rng.integers(0, 400, (height, width)) if config.get_segmentations else None
        film.add(rgb, depth, ids)
    return film


def make_episode(key, config, seed=SEED, attempt=0):
    """Make a demo as a function of all these numbers."""
    sequence = np.random.SeedSequence(
        seed, spawn_key=(key.task_id, key.variation, key.example, attempt)
    )
    rng = np.random.default_rng(sequence)
    T, K, V = int(rng.integers(4, 9)), len(NAMES), len(config.track_cams)
    width, height = config.image_size
    xyz = 0.2 * rng.standard_normal((1, K, 3)) + np.linspace(0, 0.1, T)[:, None, None]
    films = {cam: make_film(config, T, rng) for cam in config.cams}
    return Episode(
        info={
            "task_name": f"task_{key.task_id}",
            "engine": "fake",
            "attempt": attempt,
            "segmentation_names": {str(i): f"thing{i}" for i in range(400)},
        },
        keypoint_names=NAMES,
        xyz=xyz,
        visibility=rng.choice(np.array([0, 0.5, 1], np.float32), (V, T, K)),
        track_cams=config.track_cams,
        cameras={
            c: calibration(c, width, height)
            for c in dict.fromkeys((*config.cams, *config.track_cams))
        },
        ee_state=rng.standard_normal((T, 8)),
        actions={name: rng.standard_normal((T, 8)) for name in config.registered_actions},
        waypoint_frames=np.array([T - 1]),
        obj_poses=[{"objects": [{"name": "block", "id": 3}]} for _ in range(T)],
        random_seed=(seed, *sequence.spawn_key),
        films=films,
    )


class FakeSource:
    """Task 1's variation 1 fails at first; task 2 always fails; task 3 is not available."""

    all_tasks = ("task_0", "task_1", "task_2", "task_3")
    available = MappingProxyType({0: "task_0", 1: "task_1", 2: "task_2"})
    incomplete = MappingProxyType({})

    def __init__(self, config, seed):
        for cam in config.cams:
            if cam not in CAMERAS:
                raise ConfigError(f"unknown camera {cam!r}")
        self.config, self.seed = config, seed
        self.attempts = 0

    def n_variations(self, task_id):
        return 3

    def task_source(self, task_id):
        return "builtin"

    def attempt(self, key, seed_example, attempt):
        if self.attempts == int(os.environ.get("FAKE_HOLD", "-1")):
            time.sleep(600)
        self.attempts += 1
        time.sleep(float(os.environ.get("FAKE_DELAY", "0")))
        if key.task_id == 2 or (key.task_id == 1 and key.variation == 1 and attempt == 0):
            raise DemoFailedError("no_path")
        seeded = EpisodeKey(key.task_id, seed_example, key.variation)
        return make_episode(seeded, self.config, self.seed, attempt)

    def close(self):
        pass


def open_source(config, seed):
    return FakeSource(config, seed)
