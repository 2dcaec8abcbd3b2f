"""Training loop: epochs, validation, model choice, checkpoints. Resuming equals an unbroken run.

Supervised runs choose the epoch by the validation MPJPE. Unsupervised runs read no 3D truth: their
training and validation tracks carry none, and the epoch is chosen by validation measurements that
the
prediction has not seen: their likelihood, or, for models without a blind prediction, the
reprojection error in a view held out of the input.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import TrainingError
from pose_obj_3d.common.progress import Pace
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model, Prediction
from pose_obj_3d.tracks.gathering import gather_for, mask_views, take
from pose_obj_3d.tracks.types import Tracks, Windows
from pose_obj_3d.training import checkpoints, losses
from pose_obj_3d.training.config import Config, to_dict
from pose_obj_3d.training.logs import RunLog

logger = logging.getLogger(__name__)
MAX_GRAD_NORM = 10.0
HELD_OUT = "val/held_out_px"
CONSISTENCY_SHARE = 4  # one window in so many is also predicted from a subset of its views
CHECK_EVERY = {
    "cpu": 1
}  # batches between looks at the loss; other devices would wait for each look
CHECK_EVERY_ELSE = 50
SHOWN = 3  # examples that an error names


@dataclass
class Run:
    """One training: what it trains on, and where it stands.

    Attributes:
        config: The resolved config.
        unsupervised: Whether the loss is the blind-spot likelihood or the reprojection error.
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
        unit_m: Length of the unit of the tracks [m].
        history: One dict of scalars for each epoch.
    """

    config: Config
    unsupervised: bool
    model: Model
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
    unit_m: float = 1.0
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make optimiser, generators, float32 cameras and the pace of the lines on the terminal."""
        train = self.config.TRAIN
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=train.LEARNING_RATE, amsgrad=True
        )
        self.shuffle = torch.Generator().manual_seed(train.SEED)
        self.rig32 = self.rig.float()
        self.pace = Pace()
        self.last_batch: tuple[int, Tensor] | None = None  # of the epoch before: number and centres

    @property
    def criterion(self) -> str:
        """Name of the value that chooses the epoch."""
        if not self.unsupervised:
            return "val/mpjpe_mm"
        return HELD_OUT if self.history and HELD_OUT in self.history[-1] else "val/blind_nll_nats"

    def state(self) -> dict[str, Any]:
        """Return everything a checkpoint holds, as tensors and plain values."""
        return {
            "version": checkpoints.CHECKPOINT_VERSION,
            "config": to_dict(self.config),
            "identity": checkpoints.identity(self.config, with_epochs=False),
            "unsupervised": self.unsupervised,
            "keypoint_ids": list(self.ids),
            "data_sha256": self.data_sha256,
            "unit_m": self.unit_m,
            "epoch": self.epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": list(self.history),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng_torch": torch.get_rng_state(),
            "rng_shuffle": self.shuffle.get_state(),
        }

    def restore(self, state: dict[str, Any], path: Path) -> None:
        """Continue from a checkpoint's state; `path` names it in errors."""
        checkpoints.load_model(path, self.model, state)
        checkpoints.load_training(path, self.optimiser, self.shuffle, state)
        self.epoch, self.best, self.best_epoch = state["epoch"], state["best"], state["best_epoch"]
        self.history = list(state["history"])


def loss_of(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Return the scalar training loss.

    Supervised: mm. Unsupervised: nats for a keypoint, or, without a blind prediction, variances of
    the detections' noise.
    """
    if run.unsupervised and prediction.blind_xyz is not None:
        nll, count = _blind_nll(run, windows, prediction)
        return nll.sum() / (count > 0).sum().clamp_min(1)
    if run.unsupervised:
        reprojection = _with_stages(run, prediction, lambda xyz: _reprojection(run, windows, xyz))
        return reprojection + run.config.TRAIN.CONSIS_LOSS_WEIGHT * _inconsistency(
            run, windows, prediction
        )
    truth, is_real = windows.truth, windows.keypoint >= 0
    assert truth is not None
    return 1000 * _with_stages(run, prediction, lambda xyz: losses.mpjpe_loss(xyz, truth, is_real))


def _with_stages(run: Run, prediction: Prediction, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Add to the loss of a prediction those of its stages, weighted stage by stage."""
    total, train = loss(prediction.xyz), run.config.TRAIN
    if not train.USE_INTER_LOSS:
        return total
    stages = list(prediction.intermediate)
    if prediction.blind_xyz is not None:
        stages.insert(0, prediction.blind_xyz[None])
    for weight, stage in zip(train.INTER_LOSS_WEIGHT, stages, strict=False):
        total = total + weight * torch.stack([loss(xyz) for xyz in stage]).mean()
    return total


def _reprojection(run: Run, windows: Windows, xyz: Tensor) -> Tensor:
    c = windows.centre
    cameras = (run.rig32.intrinsics, run.rig32.extrinsics)
    return losses.reprojection_loss(
        xyz, windows.uv[:, c], windows.weights[:, c], cameras, run.rig.sigma_px
    )


def _inconsistency(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Measure how far a prediction from a random subset of the views is from that of all views [mm].

    The prediction of all views is the target: it knows more.
    """
    if run.config.TRAIN.CONSIS_LOSS_WEIGHT == 0:
        return torch.zeros((), device=windows.uv.device)
    few = take(windows, slice(0, -(-len(windows.uv) // CONSISTENCY_SHARE)))
    B, _, V, _ = few.weights.shape
    draw = torch.rand(B, V, device=few.uv.device)
    keep = (draw > 1 / 2) | (draw == draw.amax(1, keepdim=True))
    subset = run.model(mask_views(few, keep), run.rig32).xyz
    return 1000 * losses.mpjpe_loss(subset, prediction.xyz[:B].detach(), few.keypoint >= 0)


def _blind_nll(run: Run, windows: Windows, prediction: Prediction) -> tuple[Tensor, Tensor]:
    assert prediction.blind_xyz is not None
    assert prediction.blind_info is not None
    c = windows.centre
    cameras = (run.rig32.intrinsics, run.rig32.extrinsics)
    # The Huber weights come from the scored frame alone, so they tell the prediction nothing.
    return losses.blind_reprojection_nll(
        prediction.blind_xyz,
        prediction.blind_info,
        windows.uv[:, c],
        windows.robust[:, c],
        cameras,
        run.rig.sigma_px,
    )


def train_epoch(run: Run) -> dict[str, float]:
    """Run one epoch; scalars with units in their names.

    Raises:
        TrainingError: The loss of a batch is not finite.
    """
    run.model.train()
    start, device = time.perf_counter(), run.train.uv.device
    seen: list[Tensor] = []  # losses of the batches
    length = run.config.NETWORK.TEMPORAL_LENGTH
    order = torch.randperm(len(run.train), generator=run.shuffle).to(run.train.uv.device)
    batches = torch.split(order, run.config.TRAIN.BATCH_SIZE)
    loading, every = 0.0, CHECK_EVERY.get(device.type, CHECK_EVERY_ELSE)
    for n, centres in enumerate(batches, 1):
        begin = time.perf_counter()
        windows = gather_for(run.model, run.train, centres, length)
        loading += time.perf_counter() - begin
        loss = loss_of(run, windows, run.model(windows, run.rig32))
        seen.append(loss.detach())
        if n % every == 0 or n == len(batches):
            _check_losses(run, seen[-every:], batches, n)
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), MAX_GRAD_NORM)
        run.optimiser.step()
        if run.pace.is_due():
            rate = sum(map(len, batches[:n])) / (time.perf_counter() - start)
            logger.info(
                "epoch %d/%d  batch %d/%d  loss %.3f  %.0f windows/s",
                run.epoch + 1,
                run.config.TRAIN.NUM_EPOCHES,
                n,
                len(batches),
                float(torch.stack(seen).mean()),
                rate,
            )
    run.last_batch = len(batches), batches[-1]
    sizes = torch.tensor([len(centres) for centres in batches], device=device)
    total = float((torch.stack(seen) * sizes).sum())
    seconds = time.perf_counter() - start
    return {
        "train/loss": total / len(run.train),
        "lr": run.optimiser.param_groups[0]["lr"],
        "time/windows_per_s": len(run.train) / seconds,
        "time/loading_percent": 100 * loading / seconds,
    }


def _check_losses(run: Run, seen: list[Tensor], batches: Sequence[Tensor], n: int) -> None:
    """Stop where one of the last losses, up to batch n, is not finite."""
    bad = (~torch.stack(seen).isfinite()).nonzero().flatten().tolist()
    if not bad:
        return
    number = n - len(seen) + bad[0] + 1
    value, centres = float(seen[bad[0]]), batches[number - 1]
    if number > 1:
        diverged = _diverged(run, run.epoch + 1, (number - 1, batches[number - 2]))
    else:
        diverged = _diverged(run, run.epoch, run.last_batch)
    if number < n:  # looked at late: this batch has made its own step since
        diverged += ", or that of this batch"
    diverged += f"; this batch has {_examples(run.train, centres)}"
    raise TrainingError(
        f"epoch {run.epoch + 1}, batch {number} of {len(batches)}: the training loss is {value};"
        f" {_suspects(run, run.train, centres, diverged)}; {_kept(run, run.epoch)}; lower"
        " TRAIN.LEARNING_RATE or repair the data"
    )


def _check_validation(run: Run, value: float) -> None:
    """Stop, before anything is saved, where the value that chooses the epoch is not finite."""
    if math.isfinite(value):
        return
    rows = torch.arange(len(run.val), device=run.val.uv.device)
    diverged = _diverged(run, run.epoch, run.last_batch)
    raise TrainingError(
        f"epoch {run.epoch}: the validation value {run.criterion} is {value};"
        f" {_suspects(run, run.val, rows, diverged)}; {_kept(run, run.epoch - 1)}; lower"
        " TRAIN.LEARNING_RATE or repair the data"
    )


def _diverged(run: Run, epoch: int, step: tuple[int, Tensor] | None) -> str:
    """Name the step, by the number and centres of its batch, after which the weights were not finite."""
    if step is None:
        return "the weights are not finite, before the first step"
    batch, centres = step
    return (
        f"the weights are not finite: the step of epoch {epoch}, batch {batch} has diverged, on"
        f" {_examples(run.train, centres)}"
    )


def _suspects(run: Run, tracks: Tracks, centres: Tensor, diverged: str) -> str:
    """Say what is not finite, and where: the data, else the weights (`diverged`), else the loss of single windows."""
    inputs = [tracks.uv, tracks.weights, tracks.robust, tracks.xyz, tracks.info]
    inputs += [] if tracks.truth is None else [tracks.truth]
    # All frames: a window of the track context averages more than its own.
    is_bad = torch.stack([~x.isfinite().flatten(1).all(1) for x in inputs]).any(0)
    if is_bad.any():
        return f"the data are not finite in {_named(tracks.source[is_bad])}"
    if not all(p.isfinite().all() for p in run.model.parameters()):
        return diverged
    with torch.no_grad():
        parts = [
            gather_for(run.model, tracks, c, run.config.NETWORK.TEMPORAL_LENGTH)
            for c in centres.split(1)
        ]
        alone = torch.stack([loss_of(run, x, run.model(x, run.rig32)) for x in parts])
    if alone.isfinite().all():
        return "each of its windows alone has a finite loss"
    return (
        "the loss is not finite in the windows around"
        f" {_named(tracks.source[centres[~alone.isfinite()]])}"
    )


def _examples(tracks: Tracks, centres: Tensor) -> str:
    return _named(tracks.source[centres, :2].unique(dim=0))


def _named(source: Tensor) -> str:
    """Name some frames (n, 3) by task, example and frame, or some examples (n, 2)."""
    words = ("T", " example ", " frame ")
    found = [
        "".join(f"{word}{n}" for word, n in zip(words, row, strict=False))
        for row in sorted(source.tolist())
    ]
    return ", ".join(found[:SHOWN]) + (
        f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    )


def _kept(run: Run, epoch: int) -> str:
    """Say which checkpoints hold the run as it was after `epoch`."""
    last = run.checkpoint_dir / checkpoints.LAST
    if epoch == 0:
        return "no epoch was finished, so there is no checkpoint"
    return f"kept: {last} (epoch {epoch}) and {checkpoints.BEST} (epoch {run.best_epoch})"


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Measure on the validation examples: never 3D when unsupervised."""
    run.model.eval()
    sums: dict[str, Tensor] = {}
    well_all = (run.val.weights > 0).sum(1) >= 2

    def add(name: str, values: Tensor, mask: Tensor) -> None:
        both = torch.stack([values[mask].double().sum(), mask.sum().double()])
        sums[name] = sums.get(name, torch.zeros_like(both)) + both

    for centres in torch.split(
        torch.arange(len(run.val), device=run.val.uv.device), run.config.TEST.BATCH_SIZE
    ):
        if run.pace.is_due():
            logger.info(
                "epoch %d/%d  validation %d/%d windows",
                run.epoch + 1,
                run.config.TRAIN.NUM_EPOCHES,
                int(centres[0]),
                len(run.val),
            )
        windows = gather_for(run.model, run.val, centres, run.config.NETWORK.TEMPORAL_LENGTH)
        prediction = run.model(windows, run.rig32)
        c = windows.centre
        predicted, _ = geometry.project(prediction.xyz, run.rig32.intrinsics, run.rig32.extrinsics)
        residual = (predicted.transpose(1, 2) - windows.uv[:, c]).norm(dim=-1)
        add("val/reprojection_px", residual, windows.weights[:, c] > 0)
        well = well_all[centres] & (windows.keypoint >= 0)
        if run.unsupervised and prediction.blind_xyz is None:
            add(HELD_OUT, *_held_out(run, windows, centres))
            continue
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


def _held_out(run: Run, windows: Windows, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Predict from all views but one, each view in turn, frame by frame.

    Returns:
        Reprojection error (B, V, K) [px], and which count: those of the view held out.
    """
    V = windows.uv.shape[2]
    is_held = centres[:, None] % V == torch.arange(V, device=centres.device)  # (B, V)
    xyz = run.model(mask_views(windows, ~is_held), run.rig32).xyz
    predicted, _ = geometry.project(xyz, run.rig32.intrinsics, run.rig32.extrinsics)
    error = (predicted.transpose(1, 2) - windows.uv[:, windows.centre]).norm(dim=-1)
    return error, is_held.unsqueeze(-1) & (windows.weights[:, windows.centre] > 0)


def fit(run: Run, log: RunLog, patience: int = 0) -> None:
    """Train until the config's number of epochs, with a checkpoint after each.

    Args:
        run: The run.
        log: Where its scalars go.
        patience: Stop after so many epochs without a better validation value; 0 = never.
    """
    epochs = run.config.TRAIN.NUM_EPOCHES
    while run.epoch < epochs:
        scalars = {**train_epoch(run), **validate(run), **run.constants}
        run.epoch += 1
        for group in run.optimiser.param_groups:
            group["lr"] *= run.config.TRAIN.LR_DECAY
        run.history.append(scalars)
        value = scalars[run.criterion]
        _check_validation(run, value)
        is_best = value < run.best
        if is_best:
            run.best, run.best_epoch = value, run.epoch
        state = run.state()
        if is_best:
            checkpoints.save(run.checkpoint_dir / checkpoints.BEST, state)
        checkpoints.save(run.checkpoint_dir / checkpoints.LAST, state)
        log.scalars(scalars, run.epoch)
        if run.pace.is_due() or run.epoch == epochs:
            logger.info(
                "epoch %d/%d  loss %.3f  %s %.3f (best %.3f at %d)  %.0f windows/s",
                run.epoch,
                epochs,
                scalars["train/loss"],
                run.criterion,
                value,
                run.best,
                run.best_epoch,
                scalars["time/windows_per_s"],
            )
        if 0 < patience <= run.epoch - run.best_epoch and run.epoch < epochs:
            logger.info(
                "stopped after epoch %d: no better %s since epoch %d",
                run.epoch,
                run.criterion,
                run.best_epoch,
            )
            break


def calibrate_best(run: Run) -> None:
    """Take the best epoch's weights and fit their claims of certainty to all measurements but the test's.

    How a track's error compares with that of a frame takes many frames to tell; the weights are too
    few to know the training examples' noise by heart. No truth is read.
    """
    path = run.checkpoint_dir / checkpoints.BEST
    state = checkpoints.load(path)
    run.model.load_state_dict(state["model"])
    run.model.calibrate([run.train, run.val], run.rig32, run.config.TEST.BATCH_SIZE)
    checkpoints.save(path, {**state, "model": run.model.state_dict()})
