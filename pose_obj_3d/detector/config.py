"""Config of a detector's training: strict YAML -> frozen dataclasses. Owns every key."""

from dataclasses import dataclass
from pathlib import Path

from pose_obj_3d.common import settings
from pose_obj_3d.common.config_files import read_config
from pose_obj_3d.common.facts import KEYPOINT_GROUPS
from pose_obj_3d.common.settings import Rule, among, between, require, setting

MAX_WIDTH, MAX_DEPTH, MAX_BATCH, MAX_STEPS, MAX_SEED = 128, 8, 4096, 10**8, 2**63 - 1
MAX_MINUTES, MAX_FRAMES, MAX_FOLDS = 100_000, 100_000, 100
AUTOCAST = ("auto", "on", "off")
_POSITIVE = Rule("allowed: > 0", lambda x: x > 0)
_SHARE = between(0.0, 1.0)


@dataclass(frozen=True)
class DataConfig:
    """Which pictures a detector learns from (section DATA)."""

    # An archive whose meta names pictures; relative: from the config's folder, pose_obj_3d, or the
    # working directory.
    ARCHIVE: str = "./data/RLBench_pose_est_data/sim_all_formal.npz"
    # The task; one detector knows one task.
    TASK: int = setting(9, between(0, 10**9))
    # Groups of keypoints to find.
    KEYPOINTS: tuple[str, ...] = setting(
        KEYPOINT_GROUPS,
        Rule(f"allowed: {', '.join(KEYPOINT_GROUPS)}", bool),
        Rule("allowed: each group once", settings.each_once),
    )
    # Detectors to train, each on the demos of the other folds.
    FOLDS: int = setting(2, between(2, MAX_FOLDS))
    # Frames of a demo and view that are read for training; null for all.
    FRAMES: int | None = setting(48, between(1, MAX_FRAMES))
    # Frames of a view that have labels, over all demos; null for all.
    LABELLED_FRAMES: int | None = setting(None, between(2, MAX_FRAMES))
    # Share of the demos that are kept from the weights, to calibrate the claims on.
    HELD_OUT: float = setting(0.15, Rule("allowed: 0 < x <= 0.5", lambda x: 0 < x <= 0.5))

    def __post_init__(self) -> None:
        """Check names and numbers."""
        settings.check(self, "DATA.")
        strangers = [name for name in self.KEYPOINTS if name not in KEYPOINT_GROUPS]
        allowed = ", ".join(KEYPOINT_GROUPS)
        require(not strangers, "DATA.KEYPOINTS", strangers, allowed)


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the network (section NETWORK)."""

    # Channels at half of the picture's size; the deeper levels have 2, 4, 6, 8 times as many.
    WIDTH: int = setting(16, between(4, MAX_WIDTH))
    # Residual blocks at the two deepest levels.
    DEPTH: int = setting(2, between(1, MAX_DEPTH))

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "NETWORK.")


@dataclass(frozen=True)
class ChangesConfig:
    """How much training changes pictures (section TRAIN.CHANGES)."""

    LIGHT: float = setting(0.1, _SHARE)  # largest change of brightness, as a share
    COLOUR: float = setting(0.06, _SHARE)  # largest change of one channel, as a share
    SHIFT: float = setting(0.03, _SHARE)  # largest shift, as a share of the picture's width
    SCALE: float = setting(0.05, between(0.0, 0.5))  # largest change of scale, as a share
    TURN: float = setting(0.05, _SHARE)  # largest turn [rad]
    NOISE: float = setting(4.0, between(0.0, 255.0))  # standard deviation, of 255
    PIECES: float = setting(0.4, _SHARE)  # share of pictures with pieces of others over them
    # Share of prompts that are made poorer: a box, no mask, or no colour.
    PROMPTS: float = setting(0.15, _SHARE)

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "TRAIN.CHANGES.")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation: AdamW, learning rate from warm-up along a cosine to 0 (section TRAIN)."""

    # Length of the training of one fold; without effect where STEPS is set.
    MINUTES: float = setting(20.0, Rule(f"allowed: 0 < x <= {MAX_MINUTES}", _POSITIVE.holds))
    # Batches; null for as many as MINUTES allow. With STEPS the same seed gives the same weights.
    STEPS: int | None = setting(None, between(1, MAX_STEPS))
    BATCH_SIZE: int = setting(16, between(2, MAX_BATCH))
    LEARNING_RATE: float = setting(0.003, _POSITIVE)
    WEIGHT_DECAY: float = setting(0.01, between(0.0, 1.0))
    CHANGES: ChangesConfig = ChangesConfig()
    # bfloat16 arithmetic: auto takes it where the processor has instructions for it.
    AUTOCAST: str = setting("auto", among(AUTOCAST))
    SEED: int = setting(0, between(0, MAX_SEED))

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "TRAIN.")
        require(self.MINUTES <= MAX_MINUTES, "TRAIN.MINUTES", self.MINUTES, f"<= {MAX_MINUTES}")


@dataclass(frozen=True)
class TestConfig:
    """What a fold's detector is tested on (section TEST)."""

    # Demos at most, of those that it has not seen.
    DEMOS: int = setting(12, between(1, MAX_FRAMES))

    def __post_init__(self) -> None:
        """Check ranges."""
        settings.check(self, "TEST.")


@dataclass(frozen=True)
class DetectorConfig:
    """The whole resolved config."""

    GPU: str = "0"  # CUDA device number; the CPU is used, with one line, where there is none
    DATA: DataConfig = DataConfig()
    NETWORK: NetworkConfig = NetworkConfig()
    TRAIN: TrainConfig = TrainConfig()
    TEST: TestConfig = TestConfig()


def load_config(path: str | Path) -> DetectorConfig:
    """Read a YAML file; every fault is one ConfigError naming file, key and near match."""
    return read_config(Path(path), DetectorConfig, "cfg/detector").config
