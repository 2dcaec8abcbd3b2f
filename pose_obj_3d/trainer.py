"""Training loop: epochs, validation, model choice, checkpoints. Resuming equals an unbroken run.

Supervised runs choose the epoch by the validation MPJPE. Unsupervised runs read no 3D truth: their
training and validation tracks carry none, and the epoch is chosen by the likelihood of validation
measurements that the prediction has not seen.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d import checkpoints, geometry, losses
from pose_obj_3d.config import Config, to_dict
from pose_obj_3d.logs import RunLog
from pose_obj_3d.models.blocks import Prediction
from pose_obj_3d.windows import Rig, Tracks, Windows, gather_for

logger = logging.getLogger(__name__)
MAX_GRAD_NORM = 10.0
LOG_EVERY_S = 5.0  # seconds between lines on the terminal


@dataclass
class Run:
    """One training: what it trains on, and where it stands.

    Attributes:
        config: The resolved config.
        unsupervised: Whether the loss is the blind-spot likelihood.
        model: The network.
        train: Training tracks, on the device.
        val: Validation tracks, on the device.
        rig: Cameras, float64.
        ids: Keypoint names.
        data_sha256: Hash of the data file.
        checkpoint_dir: Where `last.pt` and `best.pt` go.
        epoch: Epochs done.
        best: Best validation value so far; lower is better.
        best_epoch: The epoch that had it.
        constants: Scalars logged with every epoch, such as the error of triangulation.
        history: One dict of scalars for each epoch.
    """

    config: Config
    unsupervised: bool
    model: nn.Module
    train: Tracks
    val: Tracks
    rig: Rig
    ids: list[str]
    data_sha256: str
    checkpoint_dir: Path
    epoch: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    constants: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make optimiser, generators and float32 cameras."""
        train = self.config.TRAIN
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=train.LEARNING_RATE, amsgrad=True)
        self.shuffle = torch.Generator().manual_seed(train.SEED)
        self.rig32 = Rig(self.rig.intrinsics.float(), self.rig.extrinsics.float(), self.rig.sigma_px, self.rig.view_ids)

    @property
    def criterion(self) -> str:
        """Name of the value that chooses the epoch."""
        return "val/blind_nll_nats" if self.unsupervised else "val/mpjpe_mm"

    def state(self) -> dict[str, Any]:
        """Return everything a checkpoint holds, as tensors and plain values."""
        return {
            "version": checkpoints.CHECKPOINT_VERSION,
            "config": to_dict(self.config),
            "identity": checkpoints.identity(self.config, with_epochs=False),
            "unsupervised": self.unsupervised,
            "keypoint_ids": list(self.ids),
            "data_sha256": self.data_sha256,
            "epoch": self.epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": list(self.history),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng_torch": torch.get_rng_state(),
            "rng_shuffle": self.shuffle.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint's state."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng_torch"])
        self.shuffle.set_state(state["rng_shuffle"])
        self.epoch, self.best, self.best_epoch = state["epoch"], state["best"], state["best_epoch"]
        self.history = list(state["history"])


def loss_of(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Return the scalar training loss: mm when supervised, nats for a keypoint when not."""
    is_real = windows.keypoint >= 0
    if run.unsupervised:
        nll, count = _blind_nll(run, windows, prediction)
        return nll.sum() / (count > 0).sum().clamp_min(1)
    assert windows.truth is not None
    loss = losses.mpjpe_loss(prediction.xyz, windows.truth, is_real)
    train = run.config.TRAIN
    if train.USE_INTER_LOSS and prediction.blind_xyz is not None:
        blind = losses.mpjpe_loss(prediction.blind_xyz, windows.truth, is_real)
        loss = loss + train.INTER_LOSS_WEIGHT[0] * blind
    return 1000 * loss


def _blind_nll(run: Run, windows: Windows, prediction: Prediction) -> tuple[Tensor, Tensor]:
    assert prediction.blind_xyz is not None
    assert prediction.blind_info is not None
    c = windows.centre
    cameras = (run.rig32.intrinsics, run.rig32.extrinsics)
    # The Huber weights come from the scored frame alone, so they tell the prediction nothing.
    return losses.blind_reprojection_nll(
        prediction.blind_xyz, prediction.blind_info, windows.uv[:, c], windows.robust[:, c], cameras, run.rig.sigma_px
    )


def train_epoch(run: Run) -> dict[str, float]:
    """Run one epoch; scalars with units in their names."""
    run.model.train()
    start, total = time.perf_counter(), torch.zeros((), device=run.train.uv.device)
    length = run.config.NETWORK.TEMPORAL_LENGTH
    order = torch.randperm(len(run.train), generator=run.shuffle).to(run.train.uv.device)
    loading = 0.0
    for centres in torch.split(order, run.config.TRAIN.BATCH_SIZE):
        begin = time.perf_counter()
        windows = gather_for(run.model, run.train, centres, length)
        loading += time.perf_counter() - begin
        loss = loss_of(run, windows, run.model(windows, run.rig32))
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), MAX_GRAD_NORM)
        run.optimiser.step()
        total += loss.detach() * len(centres)
    seconds = time.perf_counter() - start
    return {
        "train/loss": float(total) / len(run.train),
        "lr": run.optimiser.param_groups[0]["lr"],
        "time/windows_per_s": len(run.train) / seconds,
        "time/loading_percent": 100 * loading / seconds,
    }


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Measure on the validation examples: never 3D when unsupervised."""
    run.model.eval()
    sums: dict[str, Tensor] = {}
    well_all = (run.val.weights > 0).sum(1) >= 2

    def add(name: str, values: Tensor, mask: Tensor) -> None:
        both = torch.stack([values[mask].double().sum(), mask.sum().double()])
        sums[name] = sums.get(name, torch.zeros_like(both)) + both

    for centres in torch.split(torch.arange(len(run.val), device=run.val.uv.device), run.config.TEST.BATCH_SIZE):
        windows = gather_for(run.model, run.val, centres, run.config.NETWORK.TEMPORAL_LENGTH)
        prediction = run.model(windows, run.rig32)
        c = windows.centre
        predicted, _ = geometry.project(prediction.xyz, run.rig32.intrinsics, run.rig32.extrinsics)
        residual = (predicted.transpose(1, 2) - windows.uv[:, c]).norm(dim=-1)
        add("val/reprojection_px", residual, windows.weights[:, c] > 0)
        well = well_all[centres] & (windows.keypoint >= 0)
        if run.unsupervised:
            nll, count = _blind_nll(run, windows, prediction)
            add("val/blind_nll_nats", nll, count > 0)
            continue
        assert windows.truth is not None
        error = 1000 * (prediction.xyz - windows.truth).norm(dim=-1)
        add("val/mpjpe_mm", error, well)
        for task in {name.split("/")[0] for name in run.ids}:
            of_task = (run.val.source[centres, 0] == int(task[1:]))[:, None]
            add(f"val/mpjpe_mm/{task}", error, well & of_task)
    return {name: float(both[0] / both[1].clamp_min(1)) for name, both in sums.items()}


def fit(run: Run, log: RunLog) -> None:
    """Train until the config's number of epochs, with a checkpoint after each."""
    epochs, shown = run.config.TRAIN.NUM_EPOCHES, 0.0
    while run.epoch < epochs:
        scalars = {**train_epoch(run), **validate(run), **run.constants}
        run.epoch += 1
        for group in run.optimiser.param_groups:
            group["lr"] *= run.config.TRAIN.LR_DECAY
        run.history.append(scalars)
        value = scalars[run.criterion]
        is_best = value < run.best
        if is_best:
            run.best, run.best_epoch = value, run.epoch
        state = run.state()
        if is_best:
            checkpoints.save(run.checkpoint_dir / checkpoints.BEST, state)
        checkpoints.save(run.checkpoint_dir / checkpoints.LAST, state)
        log.scalars(scalars, run.epoch)
        if time.monotonic() - shown > LOG_EVERY_S or run.epoch == epochs:
            shown = time.monotonic()
            logger.info(
                "epoch %d/%d  loss %.3f  %s %.3f (best %.3f at %d)  %.0f windows/s",
                run.epoch, epochs, scalars["train/loss"], run.criterion, value, run.best, run.best_epoch,
                scalars["time/windows_per_s"],
            )  # fmt: skip
