"""Models in `lift`: learn one from the tracks, or take one that was learned before, and run it."""

import argparse
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation.protocol import Protocol
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting.gaps import is_measured
from pose_obj_3d.lifting.tracks_from_file import OwnData, split
from pose_obj_3d.models.blocks import Model, Normalised
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training import checkpoints
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
from pose_obj_3d.training.trainer import Run, calibrate_best, fit

logger = logging.getLogger(__name__)
BATCH_SIZE = 256
LEARNING_RATE = 0.002
FINAL_LEARNING_RATE = 0.05  # of the first, after the last epoch
EPOCHS = 30
STEP_RANGE = (300, 3000)  # of a training; short recordings have more epochs, long ones fewer
PATIENCE = 20  # epochs without a better validation value after which training stops
LEARNING_FRAMES = (
    300  # below, the smoother was as good: measured with 81, 176 and 334 frames of task 9
)
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
        val: What it was validated on in training here, else None.
    """

    name: str
    model: Model
    config: Config
    data: OwnData
    device: torch.device
    val: Tracks | None = None

    def lift(self, tracks: Tracks, blind: bool = False) -> Estimate:
        """Run the model over tracks, with or (`blind`) without each frame's own measurement."""
        protocol = Protocol(self.config.NETWORK.TEMPORAL_LENGTH, None, self.config.TEST.BATCH_SIZE)
        return evaluation.estimate(
            self.model, tracks.to(self.device), self.data.rig.to(self.device), protocol, blind
        )

    def measured(self, tracks: Tracks) -> torch.Tensor:
        """Return (N, K): the frame's own measurement goes into the model's answer."""
        return is_measured(self.model.prepare(tracks))


def training_config(args: argparse.Namespace, frames: int) -> Config:
    """Return the config of --train for a number of training frames."""
    steps = math.ceil(frames / BATCH_SIZE)
    epochs = args.epochs
    if epochs is None:
        least, most = (math.ceil(total / steps) for total in STEP_RANGE)
        epochs = min(max(EPOCHS, least), most)
    network = NetworkConfig(
        TYPE="STC", DROPOUT=0.0, STC=StcNetworkConfig(CONTEXT=args.context or "track")
    )
    train = TrainConfig(
        NUM_EPOCHES=epochs,
        BATCH_SIZE=BATCH_SIZE,
        LEARNING_RATE=LEARNING_RATE,
        LR_DECAY=FINAL_LEARNING_RATE ** (1 / max(epochs, 1)),
        SEED=args.seed,
    )
    return replace(Config(), GPU=args.gpu, NETWORK=network, TRAIN=train)


def few_frames(frames: int) -> list[str]:
    """Warn of a recording that is too short to learn from; one line, or none."""
    if frames >= LEARNING_FRAMES:
        return []
    return [
        f"--train: {frames} frames are few to learn from; below {LEARNING_FRAMES} the smoother is"
        " usually as good (docs/own_videos.md)"
    ]


def learn(args: argparse.Namespace, data: OwnData, tracks: Tracks, out: Path) -> Lifter:
    """Train on the tracks without labels; `best.pt`, `last.pt` and `log/` go to the folder `out`."""
    train, val = split(tracks)
    config = training_config(args, len(train))
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
        out,
        unit_m=data.unit_m,
    )
    logger.info(
        "Training on %d frames, up to %d epochs; validation on %d frames",
        len(train),
        config.TRAIN.NUM_EPOCHES,
        len(val),
    )
    log = RunLog(out / "log" / time.strftime("%Y%m%d_%H%M%S"), to_yaml(config))
    fit(state, log, args.patience)
    best = out / checkpoints.BEST
    if state.best_epoch == 0:
        raise CheckpointError(
            f"{best}: no epoch had a finite validation value; the tracks are too noisy to learn"
            " from"
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
    args: argparse.Namespace, state: checkpoints.State, data: OwnData, tracks: Tracks
) -> Lifter:
    """Return the model of a checkpoint."""
    config = checkpoints.config_of(args.checkpoint, state)
    device = choose_device(args.gpu)
    model = build_model(config.NETWORK, len(data.ids), data.rig).to(device)
    checkpoints.check_model(args.checkpoint, state, config, data.ids)
    checkpoints.load_model(args.checkpoint, model, state)
    trained = trained_unit(args.checkpoint, state)
    if data.unit_m != trained:
        logger.warning(
            "%s: was trained on a scene of another size (%.3g times as large): it lifts this one scaled to that size; are the units right?",
            args.checkpoint,
            trained / data.unit_m,
        )
    if isinstance(model, Normalised):
        # It measures from the middle of its training points, whose world need not be this file's
        # (and is not the one about `data.origin`); the median, since a few triangulations may be
        # far out.
        model.position_mean.copy_(tracks.xyz[tracks.is_real].median(0).values)
    return Lifter(
        f"{state['config']['NETWORK']['TYPE']} of {args.checkpoint}", model, config, data, device
    )
