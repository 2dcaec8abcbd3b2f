"""The dataset config: its keys, their checks, and where files are looked for."""

import logging
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from data_generation.RLBench.errors import ConfigError, near_match
from data_generation.RLBench.generation.episode_plan import TaskPlan
from data_generation.RLBench.raw.episode import STATE_DIM
from data_generation.RLBench.raw.images import MAX_IMAGE_SIDE
from data_generation.RLBench.raw.json_files import JsonError, read_json, short
from data_generation.RLBench.tracks.detector import RANGES, DetectorNoise, PerView

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
IGNORED_KEYS = ("n_cameras", "get_depth")  # of older files; both follow from `cams`
KEYPOINT_GROUPS = ("waypoints", "objects", "boxes", "robot")
DEFAULT_TRACK_CAMS = ("left_shoulder", "right_shoulder", "overhead", "front")
REGISTERED_ACTIONS = (
    "abs_joint_position",
    "abs_joint_velocity",
    "delta_joint_position",
    "abs_ee_pose",
    "delta_ee_pose",
)
MAX_COUNT = 10**9  # episodes, variations, frames, channels
MAX_SEED = 2**64 - 1
MAX_LIST = 1000  # entries of a list
MAX_TEXT = 200  # characters
MAX_FILE_BYTES = 1 << 20
ALL = "*"


@dataclass(frozen=True)
class DatasetConfig:
    """What to generate; field names are the keys of the JSON file."""

    source: str  # the file it was read from, for messages
    train_task_ids: tuple[int | str, ...] | str = ()  # ids or names
    test_task_ids: tuple[int | str, ...] | str = ()
    name: str = "rlbench"
    env: str = "RLBench"
    action_mode: str = "ABS_JOINT_POSITION"
    action_dim: int = STATE_DIM
    ee_state_dim: int = STATE_DIM
    obs_dim: tuple[int, ...] = (256, 256, 3)  # height, width [px], channels
    max_seq_len: int | None = None  # [frames]; a longer demo is a failed attempt
    cams: tuple[str, ...] = DEFAULT_TRACK_CAMS
    track_cams: tuple[str, ...] = DEFAULT_TRACK_CAMS
    n_variation_per_task: int = 1
    n_ex_per_variation: int = 1
    n_ex_per_task: int | None = None
    headless_generation: bool = True
    registered_actions: tuple[str, ...] = ("abs_joint_position",)
    keypoints: tuple[str, ...] = ("waypoints", "objects", "robot")
    use_object_quaternions: bool = True
    get_segmentations: bool = True
    get_point_clouds: bool = False
    noise_scale: PerView = 1.0  # detector settings, see `keypoint_tracks.DetectorNoise`
    occlusion_noise: PerView = 1.0
    outlier_rate: PerView = 0.0
    drop_rate: PerView = 0.0
    noise_seed: int = 0
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @property
    def image_size(self) -> tuple[int, int]:
        """Width, height [px]."""
        return self.obs_dim[1], self.obs_dim[0]

    def detector(self) -> DetectorNoise:
        """Give how conversion makes detections of the exact 2D."""
        names = (*RANGES, "noise_seed")
        return DetectorNoise(**{name: getattr(self, name) for name in names})

    def task_ids(self, mode: str) -> tuple[int | str, ...] | str:
        """Give the task ids and names of `mode` (train or test), or "*"."""
        return self.train_task_ids if mode == "train" else self.test_task_ids

    def is_headless(self) -> bool:
        """Tell whether to run without a viewer: as asked, or because there is no display."""
        has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
        return self.headless_generation or not has_display

    def fingerprint(self) -> dict[str, object]:
        """Give the keys that decide what an episode's files hold."""
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
        )
        values = asdict(self)
        return {k: list(v) if isinstance(v := values[k], tuple) else v for k in keys}

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
        raise ConfigError(f"{path}: the file must hold a JSON object {{...}}, found {_kind(raw)}")
    known = {f.name for f in fields(DatasetConfig)} - {"source", "ignored"}
    for key in raw:
        if key not in known and key not in IGNORED_KEYS:
            raise ConfigError(f"{path}: unknown key {key[:60]!r}; {near_match(key, known)}")
    ignored = tuple(k for k in IGNORED_KEYS if k in raw)
    if ignored:
        logger.info("%s: %s of older configs ignored", path, " and ".join(ignored))
    values = {k: _checked(k, v, str(path)) for k, v in raw.items() if k in known}
    config = DatasetConfig(source=str(path), ignored=ignored, **values)
    _check_together(config)
    return config


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _fail(source: str, key: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"{source}: {key} is {short(value)}; it must be {allowed}")


def _is_int(value: object, low: int, high: int = MAX_COUNT) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isidentifier()


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_LIST


def _checked(key: str, value: object, source: str) -> object:
    """Check one value on its own and bring lists to tuples."""
    if key in _CHECKS:
        return _CHECKS[key](key, value, source)
    if key in ("name", "env", "action_mode"):
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            raise _fail(source, key, value, f"a text of 1 to {MAX_TEXT} characters")
        return value
    if key in (
        "headless_generation",
        "use_object_quaternions",
        "get_segmentations",
        "get_point_clouds",
    ):
        if not isinstance(value, bool):
            raise _fail(source, key, value, "true or false")
        return value
    if value is None and key in ("n_ex_per_task", "max_seq_len"):
        return None
    low, high = (0, MAX_SEED) if key == "noise_seed" else (1, MAX_COUNT)
    if not _is_int(value, low, high):
        raise _fail(source, key, value, f"a whole number of at least {low} and at most {high}")
    return value


def _checked_setting(key: str, value: object, source: str) -> PerView:
    """Check a detector setting: a number, or a list with one for each track camera."""
    low, high = RANGES[key]
    allowed = f"a number in [{low:g}, {high:g}], or a list with one for each of track_cams"
    numbers = value if _is_list(value) and value else [value]
    for number in numbers:
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not low <= number <= high:
            raise _fail(source, key, value, allowed)
    return tuple(float(n) for n in numbers) if isinstance(value, list) else float(numbers[0])


def _checked_ids(key: str, value: object, source: str) -> tuple[int | str, ...] | str:
    if value in (ALL, [ALL]):
        return ALL
    if not _is_list(value) or not all(_is_int(v, 0) or _is_name(v) for v in value):
        allowed = 'a list of task ids such as [0, 8, 9] or names, or ["*"] for all'
        raise _fail(source, key, value, allowed)
    if len(set(value)) != len(value):
        raise _fail(source, key, value, "a list that names each task id once")
    return tuple(value)


def _checked_names(key: str, value: object, source: str) -> tuple[str, ...]:
    if not _is_list(value) or not all(isinstance(v, str) and 0 < len(v) <= MAX_TEXT for v in value):
        raise _fail(source, key, value, "a list of names")
    if len(set(value)) != len(value):
        raise _fail(source, key, value, "a list that names each entry once")
    allowed = {"registered_actions": REGISTERED_ACTIONS, "keypoints": KEYPOINT_GROUPS}.get(key)
    for name in value if allowed else []:
        if name not in allowed:
            raise ConfigError(f"{source}: {key} holds {name!r}; {near_match(name, allowed)}")
    return tuple(value)


def _checked_obs_dim(key: str, value: object, source: str) -> tuple[int, ...]:
    allowed = f"[height, width, 3] with sides of 1 to {MAX_IMAGE_SIDE} px, such as [256, 256, 3]"
    if not isinstance(value, list) or len(value) != 3 or not all(_is_int(v, 1) for v in value):
        raise _fail(source, key, value, allowed)
    if max(value) > MAX_IMAGE_SIDE or value[2] != 3:
        raise _fail(source, key, value, allowed)
    return tuple(value)


_CHECKS = {
    "train_task_ids": _checked_ids,
    "test_task_ids": _checked_ids,
    "cams": _checked_names,
    "track_cams": _checked_names,
    "registered_actions": _checked_names,
    "keypoints": _checked_names,
    "obs_dim": _checked_obs_dim,
    **dict.fromkeys(RANGES, _checked_setting),
}


def _check_together(config: DatasetConfig) -> None:
    """Check what one value alone cannot show."""
    if config.env != "RLBench":
        raise _fail(config.source, "env", config.env, '"RLBench"')
    for key in ("action_dim", "ee_state_dim"):
        if getattr(config, key) != STATE_DIM:
            raise _fail(
                config.source, key, getattr(config, key), f"{STATE_DIM} (7 numbers, gripper)"
            )
    if not config.keypoints:
        raise _fail(config.source, "keypoints", [], f"one or more of {', '.join(KEYPOINT_GROUPS)}")
    if not config.track_cams:
        raise _fail(config.source, "track_cams", [], "at least one camera (two for conversion)")
    for key in RANGES:
        value = getattr(config, key)
        if isinstance(value, tuple) and len(value) != len(config.track_cams):
            listed = (
                f"one number, or {len(config.track_cams)} for track_cams {list(config.track_cams)}"
            )
            raise _fail(config.source, key, list(value), listed)
    if not config.cams and config.get_point_clouds:
        raise ConfigError(
            f"{config.source}: get_point_clouds needs a camera in cams, which is empty"
        )
