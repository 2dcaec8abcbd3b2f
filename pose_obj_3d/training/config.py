"""Training config: strict YAML -> frozen dataclasses. Owns every key, its default and its check.

Field names are the YAML keys of the original, so that older files load. A field marked `unused()`
is accepted and has no effect on any model; one marked `only_for()` concerns one model. The loader
names the keys without effect that a file sets.
"""

import dataclasses
import difflib
import logging
import math
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.safe_reading.plain_yaml import read_yaml
from pose_obj_3d.formal import ARCHIVE_NAME, tasks_in
from pose_obj_3d.models.choices import CONFIDENCE_METHODS, CONTEXTS, ESTIMATORS

logger = logging.getLogger(__name__)
LEGACY_SECTIONS = ("H36M_DATA", "TOTALCAP_DATA", "KTH_DATA", "VIS", "DATA")
NETWORK_TYPES = ("STC", "MHT", "triangulation")
ONE_VIEW_TYPES = ("MHT",)  # models that predict from a single view; the others need a triangulation
KEYPOINT_GROUPS = ("waypoints", "objects", "boxes", "robot")
MANY_VIEWS = "two or more different view numbers, or [] for all"
METRICS = ("mpjpe", "p_mpjpe", "n_mpjpe", "velocity")
PACKAGE_DIR = Path(__file__).resolve().parents[1]
# Far above what is useful; they keep a slip of the keyboard from filling the memory.
MAX_WIDTH, MAX_LAYERS, MAX_TRANSFORM, MAX_VIEWS = 4096, 64, 64, 1000
MAX_TEXT = 4096
MAX_SIZE = 2**24  # layers times width squared
MAX_BATCH, MAX_EPOCHS, MAX_FACTOR, MAX_SEED = 10**7, 10**6, 1e6, 2**63 - 1
TASK = re.compile(r"T[0-9]{1,9}")
T = TypeVar("T")


def unused(default: Any) -> Any:
    """Return a field that older configs may set and that has no effect."""
    if isinstance(default, list | dict):
        raise TypeError("defaults are immutable")
    return field(default=default, metadata={"unused": True})


def only_for(network_type: str, default: Any) -> Any:
    """Return a field that has an effect on the model NETWORK.TYPE `network_type` alone."""
    return field(default=default, metadata={"only_for": network_type})


def _require(ok: bool, key: str, value: object, allowed: str) -> None:
    if not ok:
        raise ConfigError(f"{key} is {value!r}; allowed: {allowed}")


def _require_between(low: float, value: float, high: float, key: str) -> None:
    _require(
        low <= value <= high,
        key,
        value,
        f"{low} to {high:g}" if isinstance(high, float) else f"{low} to {high}",
    )


def _differ(values: typing.Sequence[object]) -> bool:
    return len(set(values)) == len(values)


@dataclass(frozen=True)
class TFormerConfig:
    """Temporal transformer of `MHT`."""

    NUM_CHANNELS: int = only_for("MHT", 256)  # also of each hypothesis; a multiple of 8
    NUM_LAYERS: int = only_for("MHT", 4)  # each gives one hypothesis; one less is kept
    NUM_HEADS: int = only_for("MHT", 8)

    def __post_init__(self) -> None:
        """Check ranges."""
        _require_between(3, self.NUM_LAYERS, MAX_LAYERS, "NETWORK.T_FORMER.NUM_LAYERS")
        _require_between(8, self.NUM_CHANNELS, MAX_WIDTH, "NETWORK.T_FORMER.NUM_CHANNELS")
        divides = self.NUM_HEADS > 0 and self.NUM_CHANNELS % self.NUM_HEADS == 0
        _require(
            divides,
            "NETWORK.T_FORMER.NUM_HEADS",
            self.NUM_HEADS,
            f"divisors of NUM_CHANNELS {self.NUM_CHANNELS}",
        )


@dataclass(frozen=True)
class RotModelConfig:
    """View transform of `MHT`: the network that reads the relative pose of two cameras."""

    NUM_LAYERS: int = only_for("MHT", 2)
    NUM_CHANNELS: int = only_for("MHT", 256)

    def __post_init__(self) -> None:
        """Check ranges."""
        _require_between(0, self.NUM_LAYERS, MAX_LAYERS, "NETWORK.ROT_MODEL.NUM_LAYERS")
        _require_between(1, self.NUM_CHANNELS, MAX_WIDTH, "NETWORK.ROT_MODEL.NUM_CHANNELS")


@dataclass(frozen=True)
class MFormerConfig:
    """View fusion of `MHT`; the relative pose is always that of the calibration, rotation and translation."""

    MODE: str = unused("mtf")
    NUM_RELATION_LAYERS: int = only_for("MHT", 2)  # blocks of the multi-view transformer
    GT_TRANSFORM_RES: bool = unused(False)
    USE_MEAN_TRANSFORM: bool = unused(False)
    MASK_SELF: bool = only_for("MHT", False)  # a view listens to the other views only
    GT_TRANSFORM_MODE: str = unused("rt")
    USE_POSE2D: bool = unused(False)
    DROPOUT: float = only_for("MHT", 0.1)

    def __post_init__(self) -> None:
        """Check ranges."""
        _require_between(
            1, self.NUM_RELATION_LAYERS, MAX_LAYERS, "NETWORK.M_FORMER.NUM_RELATION_LAYERS"
        )
        _require(0 <= self.DROPOUT < 1, "NETWORK.M_FORMER.DROPOUT", self.DROPOUT, "0 <= x < 1")


@dataclass(frozen=True)
class StcNetworkConfig:
    """Context and size of the `STC` model."""

    CONTEXT: str = only_for(
        "STC", "window"
    )  # window: TEMPORAL_LENGTH frames; track: the whole example
    WIDTH: int = only_for("STC", 64)
    NUM_LAYERS: int = only_for("STC", 2)  # attention layers across keypoints
    NUM_HEADS: int = only_for("STC", 4)
    NUM_MIXES: int = only_for("STC", 4)  # mixes of filters from long to short

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.CONTEXT in CONTEXTS, "NETWORK.STC.CONTEXT", self.CONTEXT, ", ".join(CONTEXTS))
        _require_between(8, self.WIDTH, MAX_WIDTH, "NETWORK.STC.WIDTH")
        _require_between(0, self.NUM_LAYERS, MAX_LAYERS, "NETWORK.STC.NUM_LAYERS")
        divides = self.NUM_HEADS > 0 and self.WIDTH % self.NUM_HEADS == 0
        _require(
            divides, "NETWORK.STC.NUM_HEADS", self.NUM_HEADS, f"divisors of WIDTH {self.WIDTH}"
        )
        _require(2 <= self.NUM_MIXES <= 8, "NETWORK.STC.NUM_MIXES", self.NUM_MIXES, "2 to 8")


@dataclass(frozen=True)
class NetworkConfig:
    """Model choice and size."""

    TYPE: str = "STC"
    TEMPORAL_LENGTH: int = 7  # frames of a window, odd
    DROPOUT: float = 0.1
    ESTIMATOR: str = only_for("triangulation", "huber")  # the last three smooth the window
    STC: StcNetworkConfig = StcNetworkConfig()
    TRANSFORM_DIM: int = only_for(
        "MHT", 4
    )  # size of the matrices that carry features between cameras
    DIM_JOINT: int = unused(2)
    USE_GT_TRANSFORM: bool = unused(False)
    NUM_CHANNELS: int = only_for("MHT", 256)  # of the pre-embedding
    AFTER_MHF_DIM: int = only_for(
        "MHT", 512
    )  # of a view's token in the view fusion; a multiple of 8 * TRANSFORM_DIM
    MASK_RATE: float = only_for("MHT", 0.0)  # share of views left out in training
    CONFIDENCE_METHOD: str = only_for("MHT", "modulate")
    T_FORMER: TFormerConfig = TFormerConfig()
    ROT_MODEL: RotModelConfig = RotModelConfig()
    M_FORMER: MFormerConfig = MFormerConfig()

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.TYPE not in NETWORK_TYPES:
            raise ConfigError(f"NETWORK.TYPE is {self.TYPE!r}; {_near(self.TYPE, NETWORK_TYPES)}")
        length = self.TEMPORAL_LENGTH
        _require(
            length % 2 == 1 and 1 <= length <= 13, "NETWORK.TEMPORAL_LENGTH", length, "odd, 1 to 13"
        )
        _require(0 <= self.DROPOUT < 1, "NETWORK.DROPOUT", self.DROPOUT, "0 <= x < 1")
        if self.ESTIMATOR not in ESTIMATORS:
            raise ConfigError(
                f"NETWORK.ESTIMATOR is {self.ESTIMATOR!r}; {_near(self.ESTIMATOR, ESTIMATORS)}"
            )
        _require_between(1, self.TRANSFORM_DIM, MAX_TRANSFORM, "NETWORK.TRANSFORM_DIM")
        _require_between(1, self.NUM_CHANNELS, MAX_WIDTH, "NETWORK.NUM_CHANNELS")
        _require_between(1, self.AFTER_MHF_DIM, MAX_WIDTH, "NETWORK.AFTER_MHF_DIM")
        _require(0 <= self.MASK_RATE < 1, "NETWORK.MASK_RATE", self.MASK_RATE, "0 <= x < 1")
        size = max(
            self.STC.NUM_LAYERS * self.STC.WIDTH**2,
            self.T_FORMER.NUM_LAYERS * self.T_FORMER.NUM_CHANNELS**2,
            self.M_FORMER.NUM_RELATION_LAYERS * self.AFTER_MHF_DIM**2,
            self.ROT_MODEL.NUM_LAYERS * self.ROT_MODEL.NUM_CHANNELS**2,
        )
        _require(
            size <= MAX_SIZE,
            "NETWORK, layers times width squared,",
            size,
            f"at most {MAX_SIZE}, a gigabyte",
        )
        method = self.CONFIDENCE_METHOD
        _require(
            method in CONFIDENCE_METHODS,
            "NETWORK.CONFIDENCE_METHOD",
            method,
            ", ".join(CONFIDENCE_METHODS),
        )


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation (section TEST)."""

    NUM_FRAMES: tuple[int, ...] = ()  # further window lengths to evaluate
    NUM_VIEWS: tuple[int, ...] = ()  # further numbers of views to evaluate
    BATCH_SIZE: int = 512
    METRIC: str = "mpjpe"  # the metric of the printed table

    def __post_init__(self) -> None:
        """Check ranges."""
        _require_between(1, self.BATCH_SIZE, MAX_BATCH, "TEST.BATCH_SIZE")
        _require(self.METRIC in METRICS, "TEST.METRIC", self.METRIC, ", ".join(METRICS))
        ok = all(n % 2 == 1 and n > 0 for n in self.NUM_FRAMES) and _differ(self.NUM_FRAMES)
        _require(ok, "TEST.NUM_FRAMES", list(self.NUM_FRAMES), "odd, > 0, each once")
        ok = all(0 < n <= MAX_VIEWS for n in self.NUM_VIEWS) and _differ(self.NUM_VIEWS)
        _require(ok, "TEST.NUM_VIEWS", list(self.NUM_VIEWS), f"1 to {MAX_VIEWS}, each once")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation: Adam (amsgrad), learning rate decayed once an epoch."""

    NUM_EPOCHES: int = 600
    BATCH_SIZE: int = 720
    LEARNING_RATE: float = 0.001
    LR_DECAY: float = 0.99
    USE_INTER_LOSS: bool = True  # also train blind and intermediate predictions
    # STC: the first weighs the prediction blind for the scored frame; MHT: hypotheses, unfused
    # views.
    INTER_LOSS_WEIGHT: tuple[float, ...] = (0.1, 0.4)
    CONSIS_LOSS_WEIGHT: float = only_for("MHT", 0.01)  # unsupervised: agreement of view subsets
    SEED: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        _require_between(1, self.NUM_EPOCHES, MAX_EPOCHS, "TRAIN.NUM_EPOCHES")
        _require_between(1, self.BATCH_SIZE, MAX_BATCH, "TRAIN.BATCH_SIZE")
        _require(self.LEARNING_RATE > 0, "TRAIN.LEARNING_RATE", self.LEARNING_RATE, "> 0")
        _require(0 < self.LR_DECAY <= 1, "TRAIN.LR_DECAY", self.LR_DECAY, "0 < x <= 1")
        weights = self.INTER_LOSS_WEIGHT
        ok = len(weights) > 0 and min(weights) >= 0 and max(weights) <= MAX_FACTOR
        _require(
            ok, "TRAIN.INTER_LOSS_WEIGHT", weights, f"at least one number from 0 to {MAX_FACTOR:g}"
        )
        _require_between(0, self.CONSIS_LOSS_WEIGHT, MAX_FACTOR, "TRAIN.CONSIS_LOSS_WEIGHT")
        _require_between(0, self.SEED, MAX_SEED, "TRAIN.SEED")


@dataclass(frozen=True)
class DataConfig:
    """Data (section OBJ_POSE_DATA)."""

    ROOT_DIR: str = "./data/RLBench_pose_est_data"  # an archive, or a folder of archives
    SUBJECTS_TRAIN: tuple[str, ...] = ("T0",)
    SUBJECTS_TEST: tuple[str, ...] = ()  # SUBJECTS_TRAIN when empty
    KEYPOINTS: tuple[str, ...] = ("waypoints",)  # groups to learn
    OCCLUSION: str = "keep"  # keep: visibility > 0 is used; drop: only visibility 1
    TRAIN_CAMERAS: tuple[int, ...] = ()  # view numbers; all when empty
    TEST_CAMERAS: tuple[int, ...] = ()
    NUM_JOINTS: int | None = None  # checked against the data, which decides
    DIM_JOINT: int = unused(2)
    PROJ_Frm_3DCAM: bool = unused(False)

    def __post_init__(self) -> None:
        """Check names and numbers."""
        for key in ("SUBJECTS_TRAIN", "SUBJECTS_TEST"):
            for name in getattr(self, key):
                ok = TASK.fullmatch(name) is not None
                _require(ok, f"OBJ_POSE_DATA.{key}", name, "T<task id>, such as 'T0'")
            ids = [int(name[1:]) for name in getattr(self, key)]
            _require(
                _differ(ids), f"OBJ_POSE_DATA.{key}", list(getattr(self, key)), "each task once"
            )
        _require(bool(self.SUBJECTS_TRAIN), "OBJ_POSE_DATA.SUBJECTS_TRAIN", [], "at least one task")
        _require(bool(self.KEYPOINTS), "OBJ_POSE_DATA.KEYPOINTS", [], ", ".join(KEYPOINT_GROUPS))
        _require(
            _differ(self.KEYPOINTS),
            "OBJ_POSE_DATA.KEYPOINTS",
            list(self.KEYPOINTS),
            "each group once",
        )
        _require(
            self.OCCLUSION in ("keep", "drop"),
            "OBJ_POSE_DATA.OCCLUSION",
            self.OCCLUSION,
            "keep, drop",
        )
        for key in ("TRAIN_CAMERAS", "TEST_CAMERAS"):
            views = getattr(self, key)
            ok = (
                _differ(views)
                and (len(views) != 1 or key == "TEST_CAMERAS")
                and all(0 <= v < MAX_VIEWS for v in views)
            )
            _require(ok, f"OBJ_POSE_DATA.{key}", list(views), MANY_VIEWS)

    def train_tasks(self) -> list[int]:
        """Return the task ids to train on."""
        return [int(name[1:]) for name in self.SUBJECTS_TRAIN]

    def eval_tasks(self) -> list[int]:
        """Return the task ids to test on."""
        return [int(name[1:]) for name in self.SUBJECTS_TEST or self.SUBJECTS_TRAIN]


@dataclass(frozen=True)
class Config:
    """The whole resolved config."""

    GPU: str = "0"  # CUDA device number; the CPU is used, with one line, where there is none
    NETWORK: NetworkConfig = NetworkConfig()
    TRAIN: TrainConfig = TrainConfig()
    TEST: EvalConfig = EvalConfig()
    OBJ_POSE_DATA: DataConfig = DataConfig()

    def __post_init__(self) -> None:
        """Check what several sections must agree on."""
        views = list(self.OBJ_POSE_DATA.TEST_CAMERAS)
        ok = len(views) != 1 or self.NETWORK.TYPE in ONE_VIEW_TYPES
        allowed = f"{MANY_VIEWS}; one for NETWORK.TYPE {', '.join(ONE_VIEW_TYPES)} alone"
        _require(ok, "OBJ_POSE_DATA.TEST_CAMERAS (--eval_view_list)", views, allowed)


def load_config(path: str | Path) -> Config:
    """Read a YAML file; every fault is one ConfigError naming file, key and near match."""
    path = Path(path)
    try:
        raw = read_yaml(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); pass --cfg cfg/submit/<name>.yaml"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of sections {', '.join(_names(Config))}")
    legacy = [key for key in LEGACY_SECTIONS if key in raw]
    if legacy:
        logger.info("%s: sections %s of the original are ignored", path, ", ".join(legacy))
    limited: list[tuple[str, str]] = []
    try:
        config = _build(Config, {k: v for k, v in raw.items() if k not in legacy}, "", limited)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    ignored = [key for key, network_type in limited if network_type != config.NETWORK.TYPE]
    if ignored:
        logger.info(
            "%s: accepted, without effect on NETWORK.TYPE %s: %s",
            path,
            config.NETWORK.TYPE,
            ", ".join(ignored),
        )
    return config


def from_dict(raw: dict[str, Any]) -> Config:
    """Build a config from what `to_dict` returned, such as a checkpoint's; keys that it lacks have their defaults."""
    return _build(Config, raw, "", [])


def network_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Return what has an effect on the network from a NETWORK section of `to_dict`, also an older one's."""
    return {"TYPE": raw["TYPE"], **_effective(NetworkConfig, raw, raw["TYPE"])}


def _effective(cls: type[Any], raw: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if dataclasses.is_dataclass(f.default):
            part = _effective(type(f.default), raw.get(f.name, {}), kind)
            found.update({f"{f.name}.{name}": value for name, value in part.items()})
        elif not f.metadata.get("unused") and f.metadata.get("only_for", kind) == kind:
            found[f.name] = raw.get(f.name, f.default)
    return found


def _names(cls: type[Any]) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)]


def _near(name: object, allowed: typing.Sequence[str]) -> str:
    lower = {a.lower(): a for a in allowed}
    match = difflib.get_close_matches(str(name).lower(), list(lower), 1, 0.6)
    return f"did you mean {lower[match[0]]}?" if match else f"allowed: {', '.join(allowed)}"


def _build(cls: type[T], raw: dict[str, Any], prefix: str, limited: list[tuple[str, str]]) -> T:
    """Fill the dataclass `cls` from a mapping, recursively.

    Collects in `limited` the keys that concern one model alone, with its name ("" = none).
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        full = f"{prefix}{key}"
        if key not in fields:
            raise ConfigError(f"{full} is unknown; {_near(key, list(fields))}")
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise ConfigError(
                    f"{full} must be a section with keys"
                    f" {', '.join(_names(typing.cast(type, hint)))}"
                )
            values[key] = _build(typing.cast("type[Any]", hint), value, f"{full}.", limited)
        else:
            values[key] = _convert(hint, value, full)
            metadata = fields[key].metadata
            if metadata:
                limited.append((full, metadata.get("only_for", "")))
    return cls(**values)


def _convert(hint: Any, value: Any, full: str) -> Any:
    """Convert a YAML value to the field's type, or raise ConfigError."""
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, list) else [value]
        return tuple(_convert(typing.get_args(hint)[0], item, full) for item in items)
    if hint == int | None:
        return None if value is None else _convert(int, value, full)
    if hint is str and isinstance(value, int | str) and not isinstance(value, bool):
        text = str(value)
        _require(
            text.isprintable() and len(text) <= MAX_TEXT,
            full,
            text[:80],
            f"printable texts of at most {MAX_TEXT} characters",
        )
        return text
    if hint is float and not isinstance(value, bool):
        try:  # YAML reads 1e-3 as text
            number = float(value)
        except (TypeError, ValueError):
            pass
        else:
            _require(math.isfinite(number), full, number, "finite numbers")
            return number
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{full} must be {hint.__name__}, found {value!r}")


def to_dict(config: Any) -> dict[str, Any]:
    """Return the resolved config as plain dicts, lists and scalars."""
    plain: dict[str, Any] = yaml.safe_load(to_yaml(config))
    return plain


def to_yaml(config: Any) -> str:
    """Return the resolved config as YAML text."""

    def lists(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: lists(v) for k, v in x.items()}
        return [lists(v) for v in x] if isinstance(x, tuple | list) else x

    return yaml.safe_dump(lists(dataclasses.asdict(config)), sort_keys=True)


def find_data(root_dir: str, config_path: Path, tasks: typing.Sequence[int]) -> Path:
    """Resolve OBJ_POSE_DATA.ROOT_DIR: from the config's folder, from `pose_obj_3d`, from the working directory.

    In a folder, `sim_all_formal.npz` comes first, then the other archives by name: the first one
    that holds all of `tasks` is taken.

    Raises:
        ConfigError: There is no such file or folder, or no archive of the folder holds the tasks.
    """
    given = Path(root_dir).expanduser()
    places = (
        [given]
        if given.is_absolute()
        else [config_path.resolve().parent / given, PACKAGE_DIR / given, given]
    )
    for place in places:
        if place.is_file():
            return place
        archives = sorted(place.glob("*.npz"), key=lambda p: (p.name != ARCHIVE_NAME, p.name))
        if archives:
            return _first_with(archives, tasks, config_path)
    looked = ", ".join(str(p) for p in places)
    raise ConfigError(
        f"{config_path}: OBJ_POSE_DATA.ROOT_DIR {root_dir!r}: no such file (looked at {looked}); "
        "generate data, then run convert_data_to_3D_pose_estimation.sh"
    )


def _first_with(archives: list[Path], tasks: typing.Sequence[int], config_path: Path) -> Path:
    held = {path: tasks_in(path) for path in archives}
    for path, there in held.items():
        if set(tasks) <= set(there):
            return path
    listed = "; ".join(f"{path.name} holds {_subjects(there)}" for path, there in held.items())
    raise ConfigError(
        f"{config_path}: no archive in {archives[0].parent} holds {_subjects(tasks)} together"
        f" ({listed}); generate and convert them, or change"
        " OBJ_POSE_DATA.SUBJECTS_TRAIN/SUBJECTS_TEST"
    )


def _subjects(tasks: typing.Sequence[int]) -> str:
    return ", ".join(f"T{t}" for t in tasks) or "no tasks"
