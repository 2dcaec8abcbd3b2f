"""RLBench as a source of demos. The only file here that loads the simulator."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import (
    ConfigError,
    DataGenerationError,
    DemoFailedError,
    TaskBrokenError,
)
from data_generation.RLBench.generation import demo_arrays
from data_generation.RLBench.raw.episode import (
    SEGMENTATION_NAMES,
    Calibration,
    CameraFilm,
    Episode,
)
from data_generation.RLBench.raw.episode_key import EpisodeKey
from pose_obj_3d.common.names import near_names
from rlbench import cameras as camera_table
from rlbench.backend.exceptions import DemoError, EngineError, RLBenchError
from rlbench.const import UNSTABLE_PHYSICS
from rlbench.environment import Environment, hear_warnings
from rlbench.observation_config import CameraConfig, ObservationConfig
from rlbench.tasks import TASK_NAMES, task_id

logger = logging.getLogger(__name__)
_told: set[str] = set()
SENSOR_TO_CV = np.diag([-1.0, -1.0, 1.0, 1.0])  # upstream's misc holds sensor axes


def open_source(
    config: DatasetConfig,
    seed: int,
    engine: str = "mujoco",
    rlbench_root: str | None = None,
    tasks_from: str | None = None,
    robot_setup: str = "panda",
) -> "RLBenchSource":
    """Open a simulator for a dataset config; the other arguments are `Environment`'s."""
    hear_warnings(_tell_warning)
    return RLBenchSource(config, seed, engine, rlbench_root, tasks_from, robot_setup)


def _tell_warning(text: str) -> None:
    """Log each warning of MuJoCo once, but those of NaN: our own errors say more about them."""
    line = " ".join(text.split())
    if "nan" not in line.lower() and line not in _told:
        _told.add(line)
        logger.warning("MuJoCo: %s", line)


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn errors of `rlbench` into ours; they are one line already."""
    try:
        yield
    except RLBenchError as error:
        raise DataGenerationError(str(error)) from None


@contextmanager
def _task_error(task: str) -> Iterator[None]:
    """Turn errors of `rlbench` that concern one task into ours."""
    try:
        yield
    except EngineError as error:
        raise DataGenerationError(str(error)) from None
    except RLBenchError as error:
        raise TaskBrokenError(f"{task}: {error}") from None


class RLBenchSource:
    """One environment, reused for every episode; a task is loaded when it changes."""

    def __init__(
        self,
        config: DatasetConfig,
        seed: int,
        engine: str = "mujoco",
        rlbench_root: str | None = None,
        tasks_from: str | None = None,
        robot_setup: str = "panda",
    ) -> None:
        _check_cameras(config)
        self.all_tasks = tuple(TASK_NAMES)
        self._config = config
        self._seed = seed
        self._task_id = -1
        self._task: Any = None
        with _one_line():
            self._env = Environment(
                obs_config=observation_config(config),
                headless=config.is_headless(),
                engine=engine,
                rlbench_root=rlbench_root,
                tasks_from=tasks_from,
                robot_setup=robot_setup,
            )
            self._env.launch()
            catalogue = self._env.catalogue
            self.available = catalogue.by_id()
            self.incomplete = {
                task_id(name): (name, why) for name, why in catalogue.incomplete().items()
            }
        intrinsics, extrinsics = self._env.track_calibration()
        self._track = {
            cam: Calibration(config.image_size, intrinsics[v], extrinsics[v])
            for v, cam in enumerate(config.track_cams)
        }

    def n_variations(self, task_id: int) -> int:
        """Count a task's variations."""
        with _task_error(self._name(task_id)):
            return int(self._load(task_id).variation_count())

    def task_source(self, task_id: int) -> str:
        """Say where the task comes from."""
        return self._env.catalogue.origin(self.available[task_id]).label

    def _name(self, task_id: int) -> str:
        return f"task {task_id} ({self.available[task_id]})"

    def _load(self, task_id: int) -> Any:
        if task_id != self._task_id:
            self._task_id = -1  # a task that fails to load leaves none
            self._task = self._env.get_task(self.available[task_id])
            self._task_id = task_id
        return self._task

    def attempt(self, key: EpisodeKey, seed_example: int, attempt: int) -> Episode:
        """Make one attempt; see `DemoSource`."""
        try:
            task = self._load(key.task_id)
            task.set_variation(key.variation)
            films = {cam: CameraFilm() for cam in self._config.cams}
            demo = task.get_demo(
                self._seed,
                seed_example,
                attempt,
                lambda o: demo_arrays.take_images(o, films),
                self._config.first_frames,
            )
        except DemoError as error:
            is_its_own = "_raised_" in error.cause or error.cause == UNSTABLE_PHYSICS
            raise DemoFailedError(error.cause, str(error) if is_its_own else "") from None
        except EngineError as error:
            raise DataGenerationError(f"{key}: {error}") from None
        except RLBenchError as error:
            raise TaskBrokenError(f"{key}: {error}") from None
        return self._episode(demo, attempt, films, self.task_source(key.task_id))

    def close(self) -> None:
        """Shut the simulator down."""
        self._env.shutdown()

    def _episode(
        self, demo: Any, attempt: int, films: dict[str, CameraFilm], source: str
    ) -> Episode:
        config = self._config
        cameras = {cam: _film_calibration(demo, cam, config.image_size) for cam in config.cams}
        return Episode(
            info={
                "task_name": demo.task_name,
                "task_source": source,
                "seed": self._seed,
                "attempt": attempt,
                "engine": self._env.engine_name,
                "engine_version": self._env.engine_version,
                "robot": self._env.robot_setup,
                "descriptions": list(demo.descriptions),
                **_image_settings(config),
                SEGMENTATION_NAMES: {str(h): name for h, name in demo.mask_names.items()},
            },
            keypoint_names=tuple(demo.keypoint_names),
            xyz=np.stack([o.keypoints for o in demo]).astype(np.float64),
            visibility=np.stack([o.keypoint_visibility for o in demo], axis=1).astype(np.float32),
            track_cams=config.track_cams,
            cameras={**cameras, **self._track},
            ee_state=demo_arrays.ee_state(demo),
            actions={n: demo_arrays.ACTIONS[n](demo) for n in config.registered_actions},
            waypoint_frames=np.asarray(demo.waypoint_frames, dtype=np.int64),
            obj_poses=demo_arrays.object_poses(demo, config.use_object_quaternions),
            random_seed=tuple(int(s) for s in demo.random_seed),
            films=films,
            robot_state=demo_arrays.robot_state(demo),
        )


def _check_cameras(config: DatasetConfig) -> None:
    for key in ("cams", "track_cams"):
        for cam in getattr(config, key):
            if cam not in camera_table.CAMERAS:
                hint = near_names(cam, sorted(camera_table.CAMERAS), "'")
                raise ConfigError(f"{config.source}: {key} holds unknown camera {cam!r}; {hint}")
    for cam in config.track_cams:
        if camera_table.CAMERAS[cam].parent is not None:
            raise ConfigError(
                f"{config.source}: track_cams holds {cam!r}, which moves; tracks need static"
                " cameras"
            )


def observation_config(config: DatasetConfig) -> ObservationConfig:
    """Return what a data set's settings ask the environment to observe."""
    camera = partial(
        CameraConfig,
        rgb=True,
        depth=True,
        depth_in_meters=True,
        point_cloud=config.get_point_clouds,
        mask=config.get_segmentations,
        image_size=config.image_size,
    )
    return ObservationConfig(
        cameras={cam: camera() for cam in config.cams},
        track_cams=config.track_cams,
        track_image_size=config.image_size,
        keypoints=config.keypoints,
        shadows=config.shadows,
        antialiasing=config.antialiasing,
    )


def _image_settings(config: DatasetConfig) -> dict[str, Any]:
    """Give what `episode.json` says of how colour images were made; nothing where none were."""
    if not config.cams:
        return {}
    return {"shadows": config.shadows, "antialiasing": config.antialiasing}


def _film_calibration(demo: Sequence[Any], cam: str, image_size: tuple[int, int]) -> Calibration:
    """Give a film's calibration; a mounted camera has extrinsics for every frame."""
    spec = camera_table.CAMERAS[cam]
    intrinsics = camera_table.intrinsics(spec.fov_deg, *image_size)
    if spec.parent is None:
        return Calibration(image_size, intrinsics, camera_table.extrinsics(spec.T_world_cam()))
    poses = (np.asarray(o.misc[f"{cam}_camera_extrinsics"]) @ SENSOR_TO_CV for o in demo)
    return Calibration(
        image_size, intrinsics, np.stack([camera_table.extrinsics(p) for p in poses])
    )
