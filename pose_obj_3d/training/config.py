"""Training config: strict YAML -> frozen dataclasses. Owns every key, its default and its rules.

Field names are the YAML keys of the original, so that older files load. A field marked `unused()`
is accepted and has no effect on any model; one marked `only_for()` concerns one model. The loader
names the keys without effect that a file sets.
"""

import dataclasses
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pose_obj_3d.common import settings
from pose_obj_3d.common.archive.detections import (
    DETECTED,
    DETECTION_SOURCES,
    DETECTOR,
    TRUTH,
    VISIBILITY_SOURCES,
    Witness,
)
from pose_obj_3d.common.config_files import read_config
from pose_obj_3d.common.facts import KEYPOINT_GROUPS
from pose_obj_3d.common.settings import OneOf, Rule, all_different, among, between, require, setting
from pose_obj_3d.models.choices import BLIND_SPOTS, CONFIDENCE_METHODS, CONTEXTS, ESTIMATORS

logger = logging.getLogger(__name__)
LEGACY_SECTIONS = ("H36M_DATA", "TOTALCAP_DATA", "KTH_DATA", "VIS", "DATA")
NETWORK_TYPES = ("STC", "MHT", "triangulation")
ONE_VIEW_TYPES = ("MHT",)  # models that predict from a single view; the others need a triangulation
MANY_VIEWS = "two or more different view numbers, or [] for all"
AUTOCAST = ("auto", "on", "off")
METRICS = ("mpjpe", "p_mpjpe", "n_mpjpe", "root_mpjpe", "velocity")
PACKAGE_DIR = Path(__file__).resolve().parents[1]
# Far above what is useful; they keep a slip of the keyboard from filling the memory.
MAX_WIDTH, MAX_LAYERS, MAX_TRANSFORM, MAX_VIEWS = 4096, 64, 64, 1000
MAX_SIZE = 2**24  # layers times width squared
MIN_MEMORY_GB, MAX_MEMORY_GB = 0.001, 1e6
MAX_BATCH, MAX_EPOCHS, MAX_FACTOR, MAX_SEED = 10**7, 10**6, 1e6, 2**63 - 1
TASK = re.compile(r"T[0-9]{1,9}")


def unused(default: Any) -> Any:
    """Return a field that older configs may set and that has no effect."""
    return setting(default, unused=True)


def only_for(network_type: str, default: Any, *rules: settings.Check) -> Any:
    """Return a field that has an effect on the model NETWORK.TYPE `network_type` alone."""
    return setting(default, *rules, only_for=network_type)


_SHARE = Rule("allowed: 0 <= x < 1", lambda x: 0 <= x < 1)
_VIEW_NUMBERS = all_different(MANY_VIEWS, lambda view: 0 <= view < MAX_VIEWS)
_MANY_VIEW_NUMBERS = Rule(f"allowed: {MANY_VIEWS}", lambda views: len(views) != 1)
_EACH_TASK_ONCE = Rule(
    "allowed: each task once", lambda names: settings.each_once([int(name[1:]) for name in names])
)


class _TaskNames:
    """The rule that every name is that of a task."""

    def check(self, key: str, value: tuple[str, ...], form: settings.Form) -> None:
        for name in value:
            require(TASK.fullmatch(name) is not None, key, name, "T<task id>, such as 'T0'", form)


@dataclass(frozen=True)
class TFormerConfig:
    """Temporal transformer of `MHT`."""

    # Also the channels of each hypothesis; a multiple of 8.
    NUM_CHANNELS: int = only_for("MHT", 256, between(8, MAX_WIDTH))
    # Each layer gives one hypothesis; all but one are kept.
    NUM_LAYERS: int = only_for("MHT", 4, between(3, MAX_LAYERS))
    NUM_HEADS: int = only_for("MHT", 8)

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "NETWORK.T_FORMER.")
        divides = self.NUM_HEADS > 0 and self.NUM_CHANNELS % self.NUM_HEADS == 0
        allowed = f"divisors of NUM_CHANNELS {self.NUM_CHANNELS}"
        require(divides, "NETWORK.T_FORMER.NUM_HEADS", self.NUM_HEADS, allowed)


@dataclass(frozen=True)
class RotModelConfig:
    """View transform of `MHT`: the network that reads the relative pose of two cameras."""

    NUM_LAYERS: int = only_for("MHT", 2, between(0, MAX_LAYERS))
    NUM_CHANNELS: int = only_for("MHT", 256, between(1, MAX_WIDTH))

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "NETWORK.ROT_MODEL.")


@dataclass(frozen=True)
class MFormerConfig:
    """View fusion of `MHT`; the relative pose of two views is always that of their calibration."""

    MODE: str = unused("mtf")
    # Blocks of the multi-view transformer.
    NUM_RELATION_LAYERS: int = only_for("MHT", 2, between(1, MAX_LAYERS))
    GT_TRANSFORM_RES: bool = unused(False)
    USE_MEAN_TRANSFORM: bool = unused(False)
    MASK_SELF: bool = only_for("MHT", False)  # a view listens to the other views only
    GT_TRANSFORM_MODE: str = unused("rt")
    USE_POSE2D: bool = unused(False)
    DROPOUT: float = only_for("MHT", 0.1, _SHARE)

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "NETWORK.M_FORMER.")


@dataclass(frozen=True)
class StcNetworkConfig:
    """Context and size of the `STC` model."""

    # window: TEMPORAL_LENGTH frames; track: the whole example.
    CONTEXT: str = only_for("STC", "window", among(CONTEXTS))
    # What a prediction has not seen of what scores it; auto: a frame, or a view if errors last.
    BLIND: str = only_for("STC", "auto", among(BLIND_SPOTS))
    WIDTH: int = only_for("STC", 64, between(8, MAX_WIDTH))
    # Attention layers across keypoints.
    NUM_LAYERS: int = only_for("STC", 2, between(0, MAX_LAYERS))
    NUM_HEADS: int = only_for("STC", 4)
    # Mixes of filters from long to short.
    NUM_MIXES: int = only_for("STC", 4, between(2, 8))

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "NETWORK.STC.")
        divides = self.NUM_HEADS > 0 and self.WIDTH % self.NUM_HEADS == 0
        allowed = f"divisors of WIDTH {self.WIDTH}"
        require(divides, "NETWORK.STC.NUM_HEADS", self.NUM_HEADS, allowed)


@dataclass(frozen=True)
class NetworkConfig:
    """Model choice and size."""

    TYPE: str = setting("STC", OneOf(NETWORK_TYPES))
    # Frames of a window.
    TEMPORAL_LENGTH: int = setting(
        7, Rule("allowed: odd, 1 to 13", lambda n: n % 2 == 1 and 1 <= n <= 13)
    )
    DROPOUT: float = setting(0.1, _SHARE)
    # The last three smooth the window.
    ESTIMATOR: str = only_for("triangulation", "huber", OneOf(ESTIMATORS))
    STC: StcNetworkConfig = StcNetworkConfig()
    # Size of the matrices that carry features between cameras.
    TRANSFORM_DIM: int = only_for("MHT", 4, between(1, MAX_TRANSFORM))
    DIM_JOINT: int = unused(2)
    USE_GT_TRANSFORM: bool = unused(False)
    # Channels of the pre-embedding.
    NUM_CHANNELS: int = only_for("MHT", 256, between(1, MAX_WIDTH))
    # Size of a view's token in the view fusion; a multiple of 8 * TRANSFORM_DIM.
    AFTER_MHF_DIM: int = only_for("MHT", 512, between(1, MAX_WIDTH))
    MASK_RATE: float = only_for("MHT", 0.0, _SHARE)  # share of views left out in training
    CONFIDENCE_METHOD: str = only_for("MHT", "modulate", among(CONFIDENCE_METHODS))
    T_FORMER: TFormerConfig = TFormerConfig()
    ROT_MODEL: RotModelConfig = RotModelConfig()
    M_FORMER: MFormerConfig = MFormerConfig()

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "NETWORK.")
        size = max(
            self.STC.NUM_LAYERS * self.STC.WIDTH**2,
            self.T_FORMER.NUM_LAYERS * self.T_FORMER.NUM_CHANNELS**2,
            self.M_FORMER.NUM_RELATION_LAYERS * self.AFTER_MHF_DIM**2,
            self.ROT_MODEL.NUM_LAYERS * self.ROT_MODEL.NUM_CHANNELS**2,
        )
        what = "NETWORK, layers times width squared,"
        require(size <= MAX_SIZE, what, size, f"at most {MAX_SIZE}, a gigabyte")


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation (section TEST)."""

    # Further window lengths to evaluate.
    NUM_FRAMES: tuple[int, ...] = setting(
        (), all_different("odd, > 0, each once", lambda n: n > 0 and n % 2)
    )
    # Further numbers of views to evaluate.
    NUM_VIEWS: tuple[int, ...] = setting(
        (), all_different(f"1 to {MAX_VIEWS}, each once", lambda n: 0 < n <= MAX_VIEWS)
    )
    BATCH_SIZE: int = setting(512, between(1, MAX_BATCH))
    METRIC: str = setting("mpjpe", among(METRICS))  # the metric of the printed table
    ROOT: str = ""  # keypoint of root_mpjpe; "" = each task's first

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "TEST.")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation: Adam (amsgrad), learning rate decayed once an epoch."""

    NUM_EPOCHES: int = setting(600, between(1, MAX_EPOCHS))
    BATCH_SIZE: int = setting(720, between(1, MAX_BATCH))
    LEARNING_RATE: float = setting(0.001, Rule("allowed: > 0", lambda x: x > 0))
    LR_DECAY: float = setting(0.99, Rule("allowed: 0 < x <= 1", lambda x: 0 < x <= 1))
    USE_INTER_LOSS: bool = True  # also train blind and intermediate predictions
    # STC: the first weighs the prediction blind for the scored frame; MHT: hypotheses, unfused
    # views.
    INTER_LOSS_WEIGHT: tuple[float, ...] = setting(
        (0.1, 0.4),
        Rule(
            f"allowed: at least one number from 0 to {MAX_FACTOR:g}",
            lambda weights: len(weights) > 0 and all(0 <= w <= MAX_FACTOR for w in weights),
        ),
    )
    # Unsupervised: agreement of view subsets.
    CONSIS_LOSS_WEIGHT: float = only_for("MHT", 0.01, between(0, MAX_FACTOR))
    # bfloat16 arithmetic: auto takes it where the processor has instructions for it.
    AUTOCAST: str = only_for("MHT", "auto", among(AUTOCAST))
    SEED: int = setting(0, between(0, MAX_SEED))

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "TRAIN.")


@dataclass(frozen=True)
class DataConfig:
    """Data (section OBJ_POSE_DATA)."""

    ROOT_DIR: str = "./data/RLBench_pose_est_data"  # an archive, or a folder of archives
    SUBJECTS_TRAIN: tuple[str, ...] = setting(
        ("T0",), _TaskNames(), _EACH_TASK_ONCE, Rule("allowed: at least one task", bool)
    )
    # SUBJECTS_TRAIN when empty.
    SUBJECTS_TEST: tuple[str, ...] = setting((), _TaskNames(), _EACH_TASK_ONCE)
    # Groups to learn.
    KEYPOINTS: tuple[str, ...] = setting(
        ("waypoints",),
        Rule(f"allowed: {', '.join(KEYPOINT_GROUPS)}", bool),
        Rule("allowed: each group once", settings.each_once),
    )
    # keep: visibility > 0 is used; drop: only visibility 1.
    OCCLUSION: str = setting("keep", among(("keep", "drop")))
    # Whose detections, and who says which are usable; None: the detector with `detected`, else the
    # truth.
    DETECTIONS: str = setting("simulated", among(DETECTION_SOURCES))
    VISIBILITY: str | None = setting(
        None,
        Rule(
            f"allowed: {', '.join(VISIBILITY_SOURCES)}",
            lambda value: value is None or value in VISIBILITY_SOURCES,
        ),
    )
    # Memory for examples [GiB]; where they need more, they are read block by block.
    MEMORY_GB: float = setting(4.0, between(MIN_MEMORY_GB, MAX_MEMORY_GB))
    # View numbers; all when empty.
    TRAIN_CAMERAS: tuple[int, ...] = setting((), _VIEW_NUMBERS, _MANY_VIEW_NUMBERS)
    TEST_CAMERAS: tuple[int, ...] = setting((), _VIEW_NUMBERS)
    NUM_JOINTS: int | None = None  # checked against the data, which decides
    DIM_JOINT: int = unused(2)
    PROJ_Frm_3DCAM: bool = unused(False)

    def __post_init__(self) -> None:
        """Check names and numbers."""
        settings.check(self, "OBJ_POSE_DATA.")

    def witness(self) -> Witness:
        """Return whose detections and whose visibility are used."""
        usual = DETECTOR if self.DETECTIONS == DETECTED else TRUTH
        return Witness(self.DETECTIONS, self.VISIBILITY or usual)

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
        require(ok, "OBJ_POSE_DATA.TEST_CAMERAS (--eval_view_list)", views, allowed)


def load_config(path: str | Path) -> Config:
    """Read a YAML file; every fault is one ConfigError naming file, key and near match."""
    path = Path(path)
    found = read_config(path, Config, "cfg/submit", LEGACY_SECTIONS)
    if found.passed_over:
        legacy = ", ".join(found.passed_over)
        logger.info("%s: sections %s of the original are ignored", path, legacy)
    config = found.config
    ignored = [key for key, field in found.given.items() if _is_idle(field, config.NETWORK.TYPE)]
    if ignored:
        logger.info(
            "%s: accepted, without effect on NETWORK.TYPE %s: %s",
            path,
            config.NETWORK.TYPE,
            ", ".join(ignored),
        )
    return config


def _is_idle(field: settings.Field, network_type: str) -> bool:
    """Tell whether a key has no effect on a model."""
    only = field.metadata.get("only_for", network_type)
    return bool(field.metadata.get("unused")) or only != network_type


def network_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Return what has an effect on the network from a NETWORK section of `to_dict`, old or new."""
    kind = raw["TYPE"]
    return {
        "TYPE": kind,
        **settings.flat(NetworkConfig, raw, lambda field: not _is_idle(field, kind)),
    }


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
