"""Training loop: epochs, validation, model choice, checkpoints. Resuming equals an unbroken run.

Supervised runs choose the epoch by the validation MPJPE. Unsupervised runs read no 3D truth: their
training and validation tracks carry none, and the epoch is chosen by validation measurements that
the prediction has not seen: their likelihood, or, for models without a blind prediction, the
reprojection error in a view held out of the input.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pose_obj_3d.tracks.gathering import gather_for
from pose_obj_3d.training import processes
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.curve import curve_figure
from pose_obj_3d.training.divergence import check_losses, check_validation
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.objective import Objective
from pose_obj_3d.training.run import Run
from pose_obj_3d.training.validation import validate

logger = logging.getLogger(__name__)
MAX_GRAD_NORM = 10.0
# Batches between looks at the loss. Devices other than the CPU would have to wait for each look.
CHECK_EVERY = {"cpu": 1}
CHECK_EVERY_ELSE = 50


def train_epoch(run: Run) -> dict[str, float]:
    """Run one epoch; scalars with units in their names.

    Raises:
        TrainingError: The loss of a batch is not finite.
    """
    run.model.train()
    run.objective = run.objective or processes.parallel(Objective(run))
    done = _Done(time.perf_counter())
    begin = done.start
    for _ in run.parts():
        done.loading += time.perf_counter() - begin
        _train_part(run, run.objective, done)
        begin = time.perf_counter()
    seconds = time.perf_counter() - done.start
    return {
        "train/loss": done.total / done.windows,
        "lr": run.optimiser.param_groups[0]["lr"],
        "time/windows_per_s": done.windows / seconds,
        "time/loading_percent": 100 * done.loading / seconds,
    }


@dataclass
class _Done:
    """What an epoch has done so far.

    Attributes:
        start: When it began [s].
        loading: Time to get windows [s].
        windows: Their number.
        total: Sum of their losses.
    """

    start: float
    loading: float = 0.0
    windows: int = 0
    total: float = 0.0


def _train_part(run: Run, objective: nn.Module, done: _Done) -> None:
    """Train on the examples that are in memory, each of their windows once."""
    device = run.train.uv.device
    seen: list[Tensor] = []  # losses of the batches
    length = run.config.NETWORK.TEMPORAL_LENGTH
    order = torch.randperm(len(run.train), generator=run.shuffle).to(run.train.uv.device)
    batches = torch.split(order, run.config.TRAIN.BATCH_SIZE)
    every = CHECK_EVERY.get(device.type, CHECK_EVERY_ELSE)
    for n, centres in enumerate(batches, 1):
        begin = time.perf_counter()
        run.share = processes.share_of(len(centres))
        has_any = len(run.share.numbers()) > 0
        if not has_any:  # it computes one window all the same, of weight 0
            run.share = processes.Share(slice(1), len(centres))
        windows = gather_for(run.model, run.train, centres[run.share.rows], length)
        done.loading += time.perf_counter() - begin
        run.model.take_part(run.share.rows, run.share.total)
        terms, points = objective(windows)
        loss = terms.sum()
        mean = loss.detach()
        if processes.count() > 1:
            loss, mean = _of_all(terms, points * has_any)
        seen.append(mean)
        if n % every == 0 or n == len(batches):
            check_losses(run, seen[-every:], batches, n)
        _step(run, loss)
        if run.pace.is_due():
            count = done.windows + sum(map(len, batches[:n]))
            rate = count / (time.perf_counter() - done.start)
            logger.info(
                "epoch %d/%d  %sbatch %d/%d  loss %.3f  %.0f windows/s",
                run.epoch + 1,
                run.config.TRAIN.NUM_EPOCHES,
                f"{run.part_name}  " if run.part_name else "",
                n,
                len(batches),
                float(torch.stack(seen).mean()),
                rate,
            )
    run.last_batch = run.epoch + 1, len(batches), run.train.source[batches[-1]]
    sizes = torch.tensor([len(centres) for centres in batches], device=device)
    done.total += float((torch.stack(seen) * sizes).sum())
    done.windows += len(run.train)


def _step(run: Run, loss: Tensor) -> None:
    """Change the weights by the gradient of a loss."""
    weights: list[Tensor] = [w for group in run.optimiser.param_groups for w in group["params"]]
    for weight in weights:
        weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    clip(weights)
    run.optimiser.step()


def clip(weights: Sequence[Tensor]) -> None:
    """Shorten the gradient of weights where it is longer than `MAX_GRAD_NORM`.

    Most are not. That is seen from one row of all numbers, many times faster than with
    `clip_grad_norm_`, which takes two small steps for each weight. Another device than the CPU
    would have to wait for the comparison.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if all(gradient.device.type == "cpu" for gradient in gradients):
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        if float(norm) <= MAX_GRAD_NORM:
            return
    nn.utils.clip_grad_norm_(weights, MAX_GRAD_NORM)


def _of_all(terms: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Weigh the terms of this process's loss, of so many points each, against the others'.

    Returns:
        The loss whose gradient, averaged over the processes, is that of the whole batch; and the
        loss of the whole batch, without a gradient.
    """
    both = processes.summed(torch.stack([points, points * terms.detach()]))
    total = both[0].clamp_min(1)
    weight = (processes.count() * points / total).to(terms.dtype)
    return (weight * terms).sum(), (both[1] / total).sum().to(terms.dtype)


def fit(run: Run, log: RunLog, patience: int = 0) -> None:
    """Train until the config's number of epochs, with a checkpoint after each.

    Args:
        run: The run.
        log: Where its scalars go.
        patience: Stop after so many epochs without a better validation value; 0 = never.
    """
    epochs = run.config.TRAIN.NUM_EPOCHES
    run.get_ready()
    if run.epoch == 0 and run.model.leaves_out_views:
        _begin(run)
    while run.epoch < epochs:
        scalars = {**train_epoch(run), **validate(run), **run.constants}
        run.epoch += 1
        for group in run.optimiser.param_groups:
            group["lr"] *= run.config.TRAIN.LR_DECAY
        run.history.append(scalars)
        value = scalars[run.criterion]
        check_validation(run, value)
        is_best = value < run.best
        if is_best:
            run.best, run.best_epoch = value, run.epoch
        if processes.is_first():
            state = run.state()
            if is_best:
                checkpoints.save(run.checkpoint_dir / checkpoints.BEST, state)
            checkpoints.save(run.checkpoint_dir / checkpoints.LAST, state)
        log.scalars(scalars, run.epoch)
        if run.pace.is_due() or run.epoch == epochs:
            figure = curve_figure(run.history, run.criterion, run.best_epoch)
            log.figure("training_curve", figure, run.epoch)
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


def _begin(run: Run) -> None:
    """Keep what the model can do before the first step: no epoch may be worse."""
    run.best = validate(run)[run.criterion]
    if processes.is_first():
        checkpoints.save(run.checkpoint_dir / checkpoints.BEST, run.state())
    logger.info("before training: %s %.3f", run.criterion, run.best)


def calibrate_best(run: Run) -> None:
    """Take the best epoch's weights; fit their claims of certainty to all but the test examples.

    How a track's error compares with that of a frame takes many frames to tell; the weights are too
    few to know the training examples' noise by heart. No truth is read.
    """
    path = run.checkpoint_dir / checkpoints.BEST
    state = checkpoints.load(path)
    checkpoints.load_model(path, run.model, state)
    run.model.calibrate(run.detected, run.rig, run.config.TEST.BATCH_SIZE)
    checkpoints.save(path, {**state, "model": run.model.state_dict()})
