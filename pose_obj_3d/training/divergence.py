"""Stop a training whose numbers are no longer finite, and say where that began."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pose_obj_3d.common.errors import TrainingError
from pose_obj_3d.tracks.gathering import gather_for
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training import processes
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.objective import loss_of
from pose_obj_3d.training.run import Run

SHOWN = 3  # examples that an error names


def check_losses(run: Run, seen: list[Tensor], batches: Sequence[Tensor], n: int) -> None:
    """Stop where one of the last losses, up to batch n, is not finite."""
    bad = (~torch.stack(seen).isfinite()).nonzero().flatten().tolist()
    if not bad:
        return
    number = n - len(seen) + bad[0] + 1
    value, centres = float(seen[bad[0]]), batches[number - 1]
    if number > 1:
        before = run.train.source[batches[number - 2]]
        diverged = _diverged((run.epoch + 1, number - 1, before))
    else:
        diverged = _diverged(run.last_batch)
    if number < n:  # looked at late: this batch has made its own step since
        diverged += ", or the step of this batch"
    diverged += f"; this batch has {_examples(run.train.source[centres])}"
    where = f"{run.part_name}, " if run.part_name else ""
    raise TrainingError(
        f"epoch {run.epoch + 1}, {where}batch {number} of {len(batches)}: the training loss is"
        f" {value}; {_suspects(run, run.train, centres, diverged)}; {_kept(run, run.epoch)}; lower"
        " TRAIN.LEARNING_RATE or repair the data"
    )


def check_validation(run: Run, value: float) -> None:
    """Stop, before anything is saved, where the value that chooses the epoch is not finite."""
    if math.isfinite(value):
        return
    rows = torch.arange(len(run.val), device=run.val.uv.device)
    diverged = _diverged(run.last_batch)
    raise TrainingError(
        f"epoch {run.epoch}: the validation value {run.criterion} is {value};"
        f" {_suspects(run, run.val, rows, diverged)}; {_kept(run, run.epoch - 1)}; lower"
        " TRAIN.LEARNING_RATE or repair the data"
    )


def _diverged(step: tuple[int, int, Tensor] | None) -> str:
    """Name the step after which the weights were not finite: epoch, batch, frames (n, 3)."""
    if step is None:
        return "the weights are not finite, before the first step"
    epoch, batch, source = step
    return (
        f"the weights are not finite: the step of epoch {epoch}, batch {batch} has diverged, on"
        f" {_examples(source)}"
    )


def _suspects(run: Run, tracks: Tracks, centres: Tensor, diverged: str) -> str:
    """Say what is not finite: the data, else the weights (`diverged`), else the loss of windows."""
    inputs = [tracks.uv, tracks.weights, tracks.robust, tracks.xyz, tracks.info]
    inputs += [] if tracks.truth is None else [tracks.truth]
    # All frames: a window of the track context averages more than its own.
    is_bad = torch.stack([~x.isfinite().flatten(1).all(1) for x in inputs]).any(0)
    if is_bad.any():
        return f"the data are not finite in {_named(tracks.source[is_bad])}"
    if not all(p.isfinite().all() for p in run.model.parameters()):
        return diverged
    run.share = processes.Share(slice(None), 1)
    run.model.take_part(run.share.rows, run.share.total)
    with torch.no_grad():
        parts = [
            gather_for(run.model, tracks, c, run.config.NETWORK.TEMPORAL_LENGTH)
            for c in torch.split(centres, 1)
        ]
        alone = torch.stack([loss_of(run, x, run.model(x, run.rig32)) for x in parts])
    if alone.isfinite().all():
        return "the loss of each window alone is finite"
    return (
        "the loss is not finite in the windows around"
        f" {_named(tracks.source[centres[~alone.isfinite()]])}"
    )


def _examples(source: Tensor) -> str:
    """Name the examples of some frames (n, 3)."""
    return _named(torch.unique(source[:, :2], dim=0))


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
