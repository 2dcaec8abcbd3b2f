"""Models in `lift`: train one on the tracks, or load a trained one, and run it."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.evaluation import protocol
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting.gaps import is_measured
from pose_obj_3d.lifting.options import LiftOptions
from pose_obj_3d.lifting.tracks_from_file import OwnData, split
from pose_obj_3d.models.blocks import Model, Normalised
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import (
    Config,
    NetworkConfig,
    StcNetworkConfig,
    TrainConfig,
    to_yaml,
)
from pose_obj_3d.training.curve import curve_figure
from pose_obj_3d.training.device import choose_device
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.model_registry import build_model
from pose_obj_3d.training.run import Run
from pose_obj_3d.training.trainer import calibrate_best, fit

logger = logging.getLogger(__name__)
BATCH_SIZE = 256
LEARNING_RATE = 0.002
FINAL_LEARNING_RATE = 0.05  # of the first, after the last epoch
EPOCHS = 30
STEP_RANGE = (300, 3000)  # steps of a training: short recordings get more epochs, long ones fewer
# With fewer frames the smoother was as good: measured with 81, 176 and 334 frames of task 9.
LEARNING_FRAMES = 300
Method = Callable[[Tracks], Estimate]


@dataclass(frozen=True)
class Lifter:
    """A model that is ready to lift.

    Attributes:
        name: What the report calls it.
        model: The network.
        config: The config that it was made with.
        data: What it lifts.
        device: Where it runs.
        val: Its validation tracks, if it was trained here; else None.
    """

    name: str
    model: Model
    config: Config
    data: OwnData
    device: torch.device
    val: Tracks | None = None

    def lift(self, tracks: Tracks, blind: bool = False) -> Estimate:
        """Run the model over tracks, with or (`blind`) without each frame's own measurement."""
        rules = protocol.Protocol(
            self.config.NETWORK.TEMPORAL_LENGTH, None, self.config.TEST.BATCH_SIZE
        )
        return protocol.estimate(
            self.model, tracks.to(self.device), self.data.rig.to(self.device), rules, blind
        )

    def measured(self, tracks: Tracks) -> torch.Tensor:
        """Return (N, K): the frame's own measurement goes into the model's answer."""
        return is_measured(self.model.prepare(tracks, self.data.rig))


def training_config(options: LiftOptions, frames: int) -> Config:
    """Return the config that suits a number of training frames."""
    steps = math.ceil(frames / BATCH_SIZE)
    epochs = options.epochs
    if epochs is None:
        least, most = (math.ceil(total / steps) for total in STEP_RANGE)
        epochs = min(max(EPOCHS, least), most)
    network = NetworkConfig(
        TYPE="STC", DROPOUT=0.0, STC=StcNetworkConfig(CONTEXT=options.context or "track")
    )
    train = TrainConfig(
        NUM_EPOCHES=epochs,
        BATCH_SIZE=BATCH_SIZE,
        LEARNING_RATE=LEARNING_RATE,
        LR_DECAY=FINAL_LEARNING_RATE ** (1 / max(epochs, 1)),
        SEED=options.seed,
    )
    return replace(Config(), GPU=options.gpu, NETWORK=network, TRAIN=train)


def few_frames(frames: int) -> list[str]:
    """Warn of a recording that is too short to learn from; one line, or none."""
    if frames >= LEARNING_FRAMES:
        return []
    return [
        f"--train: {frames} frames are few to learn from; below {LEARNING_FRAMES} frames the"
        " smoother is usually as good (docs/own_videos.md)"
    ]


def learn(options: LiftOptions, data: OwnData, tracks: Tracks, folder: Path) -> Lifter:
    """Train on the tracks without labels.

    Args:
        options: Its seed and training budget count.
        data: The file's tracks, with cameras and names.
        tracks: What to learn from: the same without outliers.
        folder: Where `best.pt`, `last.pt` and `log/` go.

    Raises:
        DataError: There are too few frames.
        CheckpointError: No epoch gave a usable model.
    """
    train, val = split(tracks)
    config = training_config(options, len(train))
    device = choose_device(config.GPU)
    model = build_model(config.NETWORK, len(data.ids), data.rig).to(device)
    model.set_normalisation(train.xyz[train.is_real])
    state = Run(
        config,
        True,
        model,
        train.to(device),
        val.to(device),
        data.rig.to(device),
        data.ids,
        data.sha256,
        folder,
        unit_m=data.unit_m,
    )
    logger.info(
        "Training on %d frames, up to %d epochs; validation on %d frames",
        len(train),
        config.TRAIN.NUM_EPOCHES,
        len(val),
    )
    log = RunLog(folder / "log" / time.strftime("%Y%m%d_%H%M%S"), to_yaml(config))
    fit(state, log, options.patience_epochs)
    best = folder / checkpoints.BEST
    if state.best_epoch == 0 and not model.leaves_out_views:
        raise CheckpointError(
            f"{best}: training found no usable model: no epoch had a finite validation value; the"
            " tracks are too noisy to learn from"
        )
    calibrate_best(state)
    log.figure(
        "training_curve",
        curve_figure(state.history, state.criterion, state.best_epoch),
        state.epoch,
    )
    log.close()
    return Lifter("STC, learned from these tracks", model, config, data, device, val)


def trained_unit(path: Path, state: checkpoints.State) -> float:
    """Return the unit [m] in which a checkpoint's model was trained; archives are in metres."""
    unit = state.get("unit_m", 1.0)
    if not isinstance(unit, float) or not 0 < unit < math.inf:
        raise CheckpointError(
            f"{path}: unit_m is {str(unit)[:40]}; the file is damaged, train again"
        )
    return unit


def restored(
    path: Path, state: checkpoints.State, gpu: str, data: OwnData, tracks: Tracks
) -> Lifter:
    """Return the model of a checkpoint, ready to lift.

    Args:
        path: The checkpoint.
        state: Its content.
        gpu: CUDA device number.
        data: The file's tracks, with cameras and names.
        tracks: The same without outliers.

    Raises:
        CheckpointError: The checkpoint is damaged, or of other keypoints.
    """
    config = config_of(path, state, Config)
    device = choose_device(gpu)
    model = build_model(config.NETWORK, len(data.ids), data.rig).to(device)
    checkpoints.check_model(path, state, config, data.ids)
    checkpoints.load_model(path, model, state)
    trained = trained_unit(path, state)
    if data.unit_m != trained:
        logger.warning(
            "%s: was trained on a scene of another size (%.3g times as large); this scene is scaled"
            " to that size before it is lifted: are the units right?",
            path,
            trained / data.unit_m,
        )
    if isinstance(model, Normalised):
        # The model works relative to the middle of its training points. Their world is another
        # one, so the middle of this file's points is set; the median, since a few triangulations
        # may be far off.
        model.position_mean.copy_(tracks.xyz[tracks.is_real].median(0).values)
    return Lifter(f"{state['config']['NETWORK']['TYPE']} of {path}", model, config, data, device)
