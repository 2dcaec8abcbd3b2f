"""The dataset config: its keys, their checks, and where files are looked for."""

import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.generation.episode_plan import TaskPlan
from data_generation.RLBench.raw.episode import STATE_DIM
from data_generation.RLBench.raw.images import MAX_IMAGE_SIDE
from data_generation.RLBench.raw.json_files import JsonError, read_json
from data_generation.RLBench.tracks.detector import PRESETS, RANGES, DetectorNoise, PerView
from pose_obj_3d.common import settings
from pose_obj_3d.common.errors import ConfigError as SettingError
from pose_obj_3d.common.facts import KEYPOINT_GROUPS
from pose_obj_3d.common.settings import JSON, OneOf, Rule, as_json, setting

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
IGNORED_KEYS = ("n_cameras", "get_depth")  # of older files; both follow from `cams`
DEFAULT_TRACK_CAMS = ("left_shoulder", "right_shoulder", "overhead", "front")
REGISTERED_ACTIONS = (
    "abs_joint_position",
    "abs_joint_velocity",
    "delta_joint_position",
    "abs_ee_pose",
    "delta_ee_pose",
)
SAMPLES = (0, 2, 4, 8, 16)
"""Samples per pixel that OpenGL may offer."""
MAX_COUNT = 10**9  # episodes, variations, frames, channels
MAX_SEED = 2**64 - 1
MAX_TEXT = 200  # characters
MAX_FILE_BYTES = 1 << 20
ALL = "*"


def _whole(low: int, high: int = MAX_COUNT) -> Rule:
    text = f"it must be a whole number of at least {low} and at most {high}"
    return Rule(text, lambda n: n is None or low <= n <= high, tells_type=True)


def _is_task(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT and value.isidentifier()
    return isinstance(value, int) and 0 <= value <= MAX_COUNT


def _in_range(name: str) -> Rule:
    """Give the rule of a detector setting: a number, or a list with one for each track camera."""
    low, high = RANGES[name]

    def holds(value: PerView) -> bool:
        numbers = value if isinstance(value, tuple) else (value,)
        return len(numbers) > 0 and all(low <= n <= high for n in numbers)

    text = f"it must be a number in [{low:g}, {high:g}], or a list with one for each of track_cams"
    return Rule(text, holds, tells_type=True)


_TASKS = (
    Rule(
        'it must be a list of task ids such as [0, 8, 9] or names, or ["*"] for all',
        lambda ids: ids in (ALL, (ALL,)) or (isinstance(ids, tuple) and all(map(_is_task, ids))),
        tells_type=True,
    ),
    Rule("it must be a list that names each task id once", settings.each_once),
)
_NAMES = (
    Rule(
        "it must be a list of names",
        lambda names: all(0 < len(name) <= MAX_TEXT for name in names),
        tells_type=True,
    ),
    Rule("it must be a list that names each entry once", settings.each_once),
)
_TEXT = Rule(
    f"it must be a text of 1 to {MAX_TEXT} characters",
    lambda text: 0 < len(text) <= MAX_TEXT,
    tells_type=True,
)
_TRUTH = Rule("it must be true or false", lambda _: True, tells_type=True)
_STATE_SIZE = Rule(f"it must be {STATE_DIM} (7 numbers, gripper)", lambda n: n == STATE_DIM)
_IMAGE_SHAPE = Rule(
    f"it must be [height, width, 3] with sides of 1 to {MAX_IMAGE_SIDE} px, such as [256, 256, 3]",
    lambda dim: len(dim) == 3 and dim[2] == 3 and all(0 < n <= MAX_IMAGE_SIDE for n in dim),
    tells_type=True,
)
_SAMPLES = Rule(
    f"it must be one of {', '.join(map(str, SAMPLES))} (samples per pixel; 0 = off)",
    SAMPLES.__contains__,
    tells_type=True,
)
_SOME_GROUPS = Rule(f"it must be one or more of {', '.join(KEYPOINT_GROUPS)}", bool)
_SOME_CAMERAS = Rule("it must be at least one camera (two for conversion)", bool)


@dataclass(frozen=True)
class DatasetConfig:
    """What to generate; field names are the keys of the JSON file.

    Attributes:
        source: The file it was read from, for messages.
        train_task_ids: Ids or names of tasks, or "*" for all.
        test_task_ids: The same for the mode "test".
        obs_dim: Height and width of images [px], channels.
        max_seq_len: A demo with more frames is a failed attempt; None for no limit.
        first_frames: How many frames of each demo are kept, from its start; None for all.
        cams: Cameras whose images are written.
        track_cams: Cameras of the keypoint tracks; they do not move.
        shadows: Cast shadows in colour images.
        antialiasing: Samples per pixel of colour images, 0 for one without smoothing.
        n_ex_per_task: Episodes of a task; by default what the two keys before say.
        detector: Name of the detector settings that hold unless the file says otherwise.
        noise_scale: Detector settings from here to `noise_seed`, see `detector.DetectorNoise`.
        given: Keys that the file sets.
        ignored: Keys of older files that were found.
    """

    source: str = field(metadata={"is_key": False})
    train_task_ids: tuple[int | str, ...] | str = setting((), *_TASKS)
    test_task_ids: tuple[int | str, ...] | str = setting((), *_TASKS)
    name: str = setting("rlbench", _TEXT)
    env: str = setting("RLBench", _TEXT, Rule('it must be "RLBench"', "RLBench".__eq__))
    action_mode: str = setting("ABS_JOINT_POSITION", _TEXT)
    action_dim: int = setting(STATE_DIM, _whole(1), _STATE_SIZE)
    ee_state_dim: int = setting(STATE_DIM, _whole(1), _STATE_SIZE)
    obs_dim: tuple[int, ...] = setting((256, 256, 3), _IMAGE_SHAPE)
    max_seq_len: int | None = setting(None, _whole(1))
    first_frames: int | None = setting(None, _whole(1))
    cams: tuple[str, ...] = setting(DEFAULT_TRACK_CAMS, *_NAMES)
    track_cams: tuple[str, ...] = setting(DEFAULT_TRACK_CAMS, *_NAMES, _SOME_CAMERAS)
    n_variation_per_task: int = setting(1, _whole(1))
    n_ex_per_variation: int = setting(1, _whole(1))
    n_ex_per_task: int | None = setting(None, _whole(1))
    headless_generation: bool = setting(True, _TRUTH)
    registered_actions: tuple[str, ...] = setting(
        ("abs_joint_position",), *_NAMES, OneOf(REGISTERED_ACTIONS)
    )
    keypoints: tuple[str, ...] = setting(
        ("waypoints", "objects", "robot"), *_NAMES, OneOf(KEYPOINT_GROUPS), _SOME_GROUPS
    )
    use_object_quaternions: bool = setting(True, _TRUTH)
    get_segmentations: bool = setting(True, _TRUTH)
    get_point_clouds: bool = setting(False, _TRUTH)
    shadows: bool = setting(False, _TRUTH)
    antialiasing: int = setting(0, _SAMPLES)
    detector: str = setting("white", OneOf(tuple(PRESETS)))
    noise_scale: float | tuple[float, ...] = setting(1.0, _in_range("noise_scale"))
    occlusion_noise: float | tuple[float, ...] = setting(1.0, _in_range("occlusion_noise"))
    outlier_rate: float | tuple[float, ...] = setting(0.0, _in_range("outlier_rate"))
    drop_rate: float | tuple[float, ...] = setting(0.0, _in_range("drop_rate"))
    noise_time_constant: float | tuple[float, ...] = setting(0.0, _in_range("noise_time_constant"))
    noise_persistent_share: float | tuple[float, ...] = setting(
        0.0, _in_range("noise_persistent_share")
    )
    noise_per_keypoint: float | tuple[float, ...] = setting(0.0, _in_range("noise_per_keypoint"))
    gross_rate: float | tuple[float, ...] = setting(0.0, _in_range("gross_rate"))
    gross_rate_hidden: float | tuple[float, ...] = setting(0.0, _in_range("gross_rate_hidden"))
    gross_scale: float | tuple[float, ...] = setting(0.1, _in_range("gross_scale"))
    gross_scale_hidden: float | tuple[float, ...] = setting(0.1, _in_range("gross_scale_hidden"))
    share_identical: float | tuple[float, ...] = setting(0.0, _in_range("share_identical"))
    noise_seed: int = setting(0, _whole(0, MAX_SEED))
    given: frozenset[str] = field(default=frozenset(), compare=False, metadata={"is_key": False})
    ignored: tuple[str, ...] = field(default=(), compare=False, metadata={"is_key": False})

    @property
    def image_size(self) -> tuple[int, int]:
        """Width, height [px]."""
        return self.obs_dim[1], self.obs_dim[0]

    def detector_noise(self, preset: str | None = None) -> DetectorNoise:
        """Give the detector that conversion simulates.

        Args:
            preset: Replaces the key `detector`.
        """
        names, preset_values = (*RANGES, "noise_seed"), PRESETS[preset or self.detector]
        own = {
            name: value
            for name in names
            if (value := getattr(self, name)) != getattr(type(self), name)
            or name in self.given
            or name not in preset_values
        }
        return DetectorNoise(**{**preset_values, **own})

    def task_ids(self, mode: str) -> tuple[int | str, ...] | str:
        """Give the task ids and names of `mode` (train or test), or "*"."""
        asked = self.train_task_ids if mode == "train" else self.test_task_ids
        return ALL if asked in (ALL, (ALL,)) else asked

    def is_headless(self) -> bool:
        """Tell whether to run without a viewer: because it was asked for, or without a display."""
        has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
        return self.headless_generation or not has_display

    def fingerprint(self) -> dict[str, object]:
        """Give the settings on which the files of an episode depend."""
        keys = (
            "obs_dim",
            "max_seq_len",
            "cams",
            "track_cams",
            "registered_actions",
            "keypoints",
            "use_object_quaternions",
            "get_segmentations",
            "get_point_clouds",
            "shadows",
            "antialiasing",
        )
        values = asdict(self)
        settings = {k: list(v) if isinstance(v := values[k], tuple) else v for k in keys}
        # Older data sets have neither; those with `frames` had other ones.
        if self.first_frames is not None:
            settings["first_frames"] = self.first_frames
        if "frames" in self.keypoints:
            settings["frames"] = "one of the poses alike"
        return settings

    def plan(self, task_id: int, n_variations: int) -> TaskPlan:
        """Give the episodes wanted of a task.

        Args:
            task_id: The task.
            n_variations: How many variations it has, at least 1.
        """
        used = min(self.n_variation_per_task, n_variations)
        return TaskPlan(task_id, used, self.n_ex_per_task or used * self.n_ex_per_variation)


def find_config(path: str, cwd: Path | None = None) -> Path:
    """Find a config file: the working directory first, then the repository's `configs/`."""
    given = Path(path).expanduser()
    base = cwd or Path.cwd()
    tried = [base / given]
    if not given.is_absolute():
        tried += [REPOSITORY / "configs" / given, REPOSITORY / given]
    for candidate in tried:
        if candidate.is_file():
            return candidate.resolve()
    looked = ", ".join(dict.fromkeys(os.path.normpath(c) for c in tried))
    raise ConfigError(f"dataset config {path!r} not found; looked for {looked}")


def find_dataset(path: str, cwd: Path | None = None) -> Path:
    """Find an existing data set: the working directory first, then `data_generation/RLBench/`."""
    given = Path(path).expanduser()
    base = cwd or Path.cwd()
    tried = [base / given]
    if not given.is_absolute():
        tried.append(REPOSITORY / "data_generation" / "RLBench" / given)
    for candidate in tried:
        if candidate.is_dir():
            return candidate.resolve()
    looked = ", ".join(dict.fromkeys(os.path.normpath(c) for c in tried))
    raise ConfigError(
        f"data set {path!r} not found; looked for {looked}; run generate_data.py first"
    )


def load_config(path: Path) -> DatasetConfig:
    """Read and check a dataset config.

    Raises:
        ConfigError: With file, key, what was found and what is allowed.
    """
    try:
        raw = read_json(path, MAX_FILE_BYTES)
    except JsonError as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: the file must hold a JSON object {{...}}, found {as_json(raw)}")
    ignored = tuple(k for k in IGNORED_KEYS if k in raw)
    if ignored:
        logger.info("%s: %s of older configs ignored", path, " and ".join(ignored))
    try:
        known = {k: v for k, v in raw.items() if k not in ignored}
        values, _ = settings.read(DatasetConfig, known, JSON)
        config = DatasetConfig(source=str(path), given=frozenset(known), ignored=ignored, **values)
        settings.check(config, form=JSON)
        _check_together(config)
    except SettingError as error:
        raise ConfigError(f"{path}: {error}") from None
    return config


def _check_together(config: DatasetConfig) -> None:
    """Check settings that must agree with each other."""
    for key in RANGES:
        value = getattr(config, key)
        if isinstance(value, tuple) and len(value) != len(config.track_cams):
            cameras = list(config.track_cams)
            rule = f"it must be one number, or {len(cameras)} for track_cams {cameras}"
            raise JSON.fault(key, value, rule)
    if not config.cams and config.get_point_clouds:
        raise SettingError("get_point_clouds needs a camera in cams, which is empty")
