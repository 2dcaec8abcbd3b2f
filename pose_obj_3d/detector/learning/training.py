"""Training of one detector: steps, checks, checkpoints. Resuming equals an unbroken run.

What a step draws depends on the seed and the step's number alone, so that a resumed run draws what
an unbroken one would.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pose_obj_3d.common.errors import CheckpointError, TrainingError
from pose_obj_3d.common.progress import Pace
from pose_obj_3d.detector.config import ChangesConfig, DetectorConfig
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning.batches import BatchMaker, Changes, Targets
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.finding import run_network
from pose_obj_3d.detector.learning.losses import detector_loss
from pose_obj_3d.detector.learning.network import (
    COARSE,
    Candidates,
    DetectorNetwork,
    Inputs,
)
from pose_obj_3d.detector.types import Clip
from pose_obj_3d.training.checkpoints.state import load_optimiser
from pose_obj_3d.training.config import to_dict
from pose_obj_3d.training.device import uses_bfloat16
from pose_obj_3d.training.logs import RunLog

logger = logging.getLogger(__name__)
CPU = torch.device("cpu")
CANDIDATES = 2  # in training
WARM_UP = 50  # steps
LAST_SHARE = 0.003  # of the learning rate, at the end
MAX_GRAD_NORM = 5.0
CHECKS = 8  # of the held-out demos during a training
CHECK_PICTURES = 192  # in each of them
SAVE_EVERY_S = 60.0
SMOOTHING = 0.98  # of the logged losses


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        step: Steps done.
        seconds: Time that they took [s].
        best: Lowest loss of the held-out pictures so far.
        checks: Checks done.
        uses_bfloat16: Whether the network computes with bfloat16.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    checks: int = 0
    uses_bfloat16: bool = False


@dataclass
class Training:
    """One training of a network on labelled clips.

    Attributes:
        config: The resolved config.
        subject: What the detector will know.
        clips: What it learns from, with labels.
        held_out: Clips of other demos, with labels.
        folder: Where checkpoints go.
        device: Where tensors live.
        progress: Where it stands.
        means: Smoothed parts of the loss.
    """

    config: DetectorConfig
    subject: Subject
    clips: Sequence[Clip]
    held_out: Sequence[Clip]
    folder: Path
    device: torch.device = CPU
    progress: Progress = field(default_factory=Progress)
    means: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Build the network, seeded; what draws from the clips; the optimiser."""
        train, network = self.config.TRAIN, self.config.NETWORK
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(train.SEED)
            size = self.subject.size(network.WIDTH, network.DEPTH)
            built: nn.Module = DetectorNetwork(size)
        self.network = built.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=train.LEARNING_RATE, weight_decay=train.WEIGHT_DECAY
        )
        self.progress.uses_bfloat16 = uses_bfloat16(train.AUTOCAST, self.device)
        views = range(len(self.subject.cameras))
        self.maker = BatchMaker(self.clips, views)
        self.checker = BatchMaker(self.held_out, views)
        self.changes = changes_of(train.CHANGES)
        self._usable = [labelled_rows(clip) for clip in self.clips]
        self._pairs = self.subject.pair_numbers()
        self._labelled = [n for n, rows in enumerate(self._usable) if len(rows)]

    @property
    def share_done(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        train = self.config.TRAIN
        if train.STEPS is not None:
            return self.progress.step / train.STEPS
        return min(1.0, self.progress.seconds / (60 * train.MINUTES))

    def fit(self, log: RunLog) -> None:
        """Train until the budget is spent; `last.pt` and `best.pt` lie in the folder then.

        Raises:
            TrainingError: The loss is not finite.
        """
        pace, saved = Pace(), time.monotonic()
        self.network.train()
        while self.share_done < 1:
            start = time.perf_counter()
            self._step()
            self.progress.seconds += time.perf_counter() - start
            if self.share_done >= (self.progress.checks + 1) / CHECKS:
                self._check(log)
            if time.monotonic() - saved > SAVE_EVERY_S:
                checkpoints.save(self.folder / checkpoints.LAST, self.state())
                saved = time.monotonic()
            if pace.is_due():
                self._tell(log)
        checkpoints.save(self.folder / checkpoints.LAST, self.state())

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint holds."""
        progress = self.progress
        return {
            "kind": checkpoints.KIND,
            "detector_version": checkpoints.VERSION,
            "config": to_dict(self.config),
            **self.subject.state(),
            "step": progress.step,
            "seconds": progress.seconds,
            "best": progress.best,
            "checks": progress.checks,
            "uses_bfloat16": progress.uses_bfloat16,
            "means": dict(self.means),
            "model": {name: value.cpu() for name, value in self.network.state_dict().items()},
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, path: Path) -> None:
        """Continue from a `last.pt`.

        Raises:
            CheckpointError: It belongs to another training.
        """
        state = checkpoints.load(path)
        faults = _differences(state, self.state())
        if faults:
            raise CheckpointError(
                f"{path}: cannot be resumed: {'; '.join(faults)[:300]}; start a new run instead"
            )
        checkpoints.put_weights(path, self.network, state)
        try:
            load_optimiser(self.optimiser, state["optimiser"])
            self.progress = Progress(
                int(state["step"]),
                float(state["seconds"]),
                float(state["best"]),
                int(state["checks"]),
                bool(state["uses_bfloat16"]),
            )
            self.means = {str(key): float(value) for key, value in state["means"].items()}
        except (CheckpointError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: cannot be resumed: {error}; start a new run instead"
            ) from error

    def _step(self) -> None:
        train, step = self.config.TRAIN, self.progress.step
        rng = np.random.default_rng((train.SEED, step))
        inputs, targets = self.maker.drawn(self._picks(rng), rng, self.changes)
        rate = train.LEARNING_RATE * _schedule(step, self.share_done)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, parts = self._loss(inputs, targets)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss of step {step + 1} is {float(loss.detach())}; lower TRAIN.LEARNING_RATE"
                f" ({train.LEARNING_RATE:g}) or set TRAIN.AUTOCAST: off"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRAD_NORM)
        self.optimiser.step()
        self.progress.step += 1
        for name, part in {"loss": loss.detach(), **parts}.items():
            value = float(part)
            self.means[name] = SMOOTHING * self.means.get(name, value) + (1 - SMOOTHING) * value

    def _picks(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Draw (clip, row) pairs: different clips first, since neighbouring frames say the same."""
        clips = self._labelled
        count = self.config.TRAIN.BATCH_SIZE
        drawn = [rng.permutation(clips) for _ in range(-(-count // len(clips)))]
        chosen = np.concatenate(drawn)[:count]
        return [(int(n), int(rng.choice(self._usable[n]))) for n in chosen]

    def _loss(
        self, inputs: Inputs, targets: Targets
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        size = inputs.picture.shape[2] // COARSE, inputs.picture.shape[3] // COARSE
        moved = Targets(*(part.to(self.device) for part in targets))
        return detector_loss(self.found(inputs, CANDIDATES), moved, size, self._pairs)

    def found(self, inputs: Inputs, count: int) -> Candidates:
        """Run the network on a batch."""
        return run_network(self.network, inputs, count, self.progress.uses_bfloat16)

    def _check(self, log: RunLog) -> None:
        """Compute the loss of held-out pictures; keep the best weights."""
        rows = [
            (number, int(row))
            for number, clip in enumerate(self.held_out)
            for row in labelled_rows(clip)
        ]
        rng = np.random.default_rng(self.config.TRAIN.SEED)
        chosen = [rows[n] for n in rng.permutation(len(rows))[:CHECK_PICTURES]]
        size = self.config.TRAIN.BATCH_SIZE
        total = 0.0
        self.network.eval()
        with torch.no_grad():
            for start in range(0, len(chosen), size):
                part = chosen[start : start + size]
                loss, _ = self._loss(*self.checker.drawn(part, rng, UNCHANGED))
                total += float(loss) * len(part)
        self.network.train()
        value = total / len(chosen)
        self.progress.checks = int(self.share_done * CHECKS)
        log.scalars({"val/loss": value}, self.progress.step)
        if value < self.progress.best:
            self.progress.best = value
            checkpoints.save(self.folder / checkpoints.BEST, self.state())
        step, best = self.progress.step, self.progress.best
        logger.info("step %d  held-out loss %.3f (best %.3f)", step, value, best)

    def _tell(self, log: RunLog) -> None:
        done, progress = self.share_done, self.progress
        rate = progress.step * self.config.TRAIN.BATCH_SIZE / progress.seconds
        left = progress.seconds * (1 / done - 1) if done else math.nan
        logger.info(
            "step %d  %.0f%%  loss %.3f  %.0f pictures/s  %.0f s left",
            progress.step,
            100 * done,
            self.means.get("loss", math.nan),
            rate,
            left,
        )
        scalars = {f"train/{name}": value for name, value in self.means.items()}
        log.scalars({**scalars, "time/pictures_per_s": rate}, progress.step)


UNCHANGED = Changes(light=0, colour=0, shift=0, scale=0, turn=0, noise=0, pieces=0, prompts=0)


def labelled_rows(clip: Clip) -> npt.NDArray[np.int64]:
    """Return the numbers of the pictures of a clip that have labels."""
    if clip.labels is None:
        return np.zeros(0, np.int64)
    return np.flatnonzero(~np.isnan(clip.labels.uv).all((1, 2)))


def changes_of(config: ChangesConfig) -> Changes:
    """Return the changes that a config asks for."""
    return Changes(
        config.LIGHT,
        config.COLOUR,
        config.SHIFT,
        config.SCALE,
        config.TURN,
        config.NOISE,
        config.PIECES,
        config.PROMPTS,
    )


def _schedule(step: int, done: float) -> float:
    """Return the factor of the learning rate."""
    return min(1.0, (step + 1) / WARM_UP) * max(
        LAST_SHARE, 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    )


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """List what keeps a training from being continued; a larger budget does not."""
    faults = []
    for key in ("task", "keypoints", "cameras", "image_size", "prompts", "fold", "demos"):
        if there[key] != here[key]:
            faults.append(f"{key} differ")
    for section in ("DATA", "NETWORK", "TRAIN"):
        old, new = (dict(state["config"].get(section, {})) for state in (there, here))
        for key in ("ARCHIVE", "MINUTES", "KEYPOINTS"):  # the keypoints themselves are compared
            old.pop(key, None)
            new.pop(key, None)
        faults += [
            f"{section}.{key}: {old.get(key)} there, {new.get(key)} here"
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        ]
    return faults
