"""A robot acts by what a network finds in pictures, and is filmed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_generation.RLBench.config import REPOSITORY, load_config
from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.executing import film, pictures
from data_generation.RLBench.executing.jobs import Job
from data_generation.RLBench.executing.scene import Executor
from data_generation.RLBench.executing.settings import (
    EACH_WAYPOINT,
    PIXELS,
    Noise,
    Settings,
    film_path,
    parse_method,
)
from data_generation.RLBench.raw.episode_key import EpisodeKey, seed_example
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.types import Detections
from pose_obj_3d.formal import shipped_archive
from pose_obj_3d.training.config import PACKAGE_DIR
from pyrep_mujoco.vision.rendering import select_gl_backend
from rlbench.backend.exceptions import RenderingError
from rlbench.cameras import project_views

POINTS = tuple(f"frames/waypoint0/{p}" for p in ("origin", "x", "y"))
KEY = EpisodeKey(0, 0, 0)
CONFIG = load_config(REPOSITORY / "configs" / "dataset_config.json")


class Exact:
    """Finds the points where they are; notes which pictures it was given."""

    def __init__(self):
        self.keypoints = list(POINTS)
        self.subject = Subject(0, POINTS, CONFIG.track_cams, (256, 256), (POINTS,), (), 0, ())
        self.uv = np.zeros((4, 3, 2))
        self.clips = []

    def detect(self, clips):
        self.clips.append(clips)
        found = []
        for clip in clips:
            uv = np.tile(self.uv[clip.view], (len(clip.frames), 1, 1)).astype(np.float32)
            flat = np.ones(uv.shape[:2], np.float32)
            found.append(Detections(uv, np.ones_like(uv), 0 * flat, flat, flat))
        return found


@pytest.fixture
def detector(monkeypatch):
    made = Exact()
    monkeypatch.setattr(pictures, "TrainedDetector", lambda path: made)
    return made


@pytest.fixture
def opened(detector):
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
    made = []

    def start(replan):
        methods = (parse_method("huber"),)
        settings = Settings(
            CONFIG, 0, 3, methods, (Noise(PIXELS, None),), replan, detectors=(Path("best.pt"),)
        )
        executor = Executor(settings)
        made.append(executor)
        actor = executor.actor(0)
        actor.task.set_variation(0)
        actor.place(0, seed_example("test", 0))
        xyz = actor.watch(1)[0].keypoints
        detector.uv = project_views(xyz[None], *executor._env.track_calibration())[0][:, 0]
        return executor

    yield start
    for executor in made:
        executor.close()


@pytest.mark.parametrize("replan", ["start", EACH_WAYPOINT])
def test_what_is_found_in_pictures_moves_the_robot(opened, detector, replan):
    executor = opened(replan)
    (found,) = executor.run(Job(KEY, 0, tuple(executor.settings.conditions()))).values()
    assert found["cause"] == ""
    assert found["looked"]["waypoint0"]["mm"] < 1.0
    clips = detector.clips[-1]
    assert [c.view for c in clips] == [0, 1, 2, 3]
    assert list(clips[0].frames) == [0, 1, 2]
    assert clips[0].pictures.shape == (3, 256, 256, 3)
    # The prompt is the mask of the ball that the waypoint hangs on.
    assert any(clip.prompt.masks.any() for clip in clips)


def test_a_task_without_a_detector_is_refused(detector):
    found = pictures.PictureDetectors([Path("best.pt")])
    with pytest.raises(ConfigError, match="has none of it"):
        found.check_task(9, POINTS, CONFIG.track_cams)
    with pytest.raises(ConfigError, match="does not find frames/waypoint1/x"):
        found.check_task(0, ["frames/waypoint1/x"], CONFIG.track_cams)
    with pytest.raises(ConfigError, match="track_cams"):
        found.check_task(0, POINTS, ["front"])
    with pytest.raises(ConfigError, match="both of task 0"):
        pictures.PictureDetectors([Path("best.pt")] * 2)


def test_a_film_shows_the_waypoints(opened, tmp_path):
    executor = opened("start")
    job = Job(KEY, 0, tuple(executor.settings.conditions()))
    path = film_path(str(tmp_path / "act.gif"))
    assert film.film(executor, job, path)["cause"] == ""
    with Image.open(path) as picture:
        assert picture.size == (2 * film.PANEL, 2 * film.PANEL + film.CAPTION)
        assert picture.n_frames > 5
    with pytest.raises(ConfigError, match=r"\.gif or \.mp4"):
        film_path("act.avi")


def test_an_archive_without_detections_is_refused():
    """Before any scene: it does not count as a failure of one."""
    folder = PACKAGE_DIR / "data" / "RLBench_pose_est_data"
    errors = pictures.DetectorErrors(shipped_archive(folder))
    with pytest.raises(ConfigError, match=r"--detected .*no detections") as caught:
        errors.of([f"T0/{point}" for point in POINTS])
    assert len(str(caught.value)) < 500
