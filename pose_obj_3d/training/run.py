"""The state of one training, and what of it a checkpoint holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.common.progress import Pace
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.tracks.portions.blocks import Blocks
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training import processes
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import Config, to_dict
from pose_obj_3d.training.device import uses_bfloat16

HELD_OUT = "val/held_out_px"
# What a model remembers of the windows of training or validation: at most MEMORY_GB over this.
SHARE_OF_MEMORY = 4


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
        blocks: Where not all training examples fit into memory: those that come one after the
            other. `train` then holds some of them; before the first epoch, some that stand for all.
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
    blocks: Blocks | None = None

    def __post_init__(self) -> None:
        """Make optimiser, generators, float32 cameras and the pace of the lines on the terminal."""
        train = self.config.TRAIN
        self.detected: tuple[Tracks, ...] = ()
        self.model.uses_bfloat16 = uses_bfloat16(train.AUTOCAST, self.rig.intrinsics.device)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=train.LEARNING_RATE, amsgrad=True, fused=True
        )
        self.shuffle = torch.Generator().manual_seed(train.SEED)
        self.rig32 = self.rig.float()
        self.pace = Pace()
        self.objective: nn.Module | None = None  # made for the first epoch
        # What came before the next step: epoch, number of the batch, and its frames (n, 3).
        self.last_batch: tuple[int, int, Tensor] | None = None
        self.part_name = ""  # of the block that `train` holds
        self.share: processes.Share | None = None  # what this process has of the batch in work

    def get_ready(self) -> None:
        """Let the model learn what precedes training, and prepare the examples for it. Once."""
        if self.detected:
            return
        if self.epoch == 0:  # else a checkpoint has brought it
            self.model.learn(self.train, self.rig)
        self.detected = self.train, self.val
        self.val = self.model.for_training(self.val, self.rig, self.unsupervised)
        if self.blocks is not None:  # each block is prepared when it comes
            return
        self.train = self.model.for_training(self.train, self.rig, self.unsupervised)
        limit = int(self.config.OBJ_POSE_DATA.MEMORY_GB * 2**30 / SHARE_OF_MEMORY)
        self.train, self.val = (self.model.remember(x, limit) for x in (self.train, self.val))

    def parts(self) -> Iterator[None]:
        """Put all training examples into `train`, block after block; once, where they fit."""
        if self.blocks is None:
            yield
            return
        device = self.rig.intrinsics.device
        for number, tracks in enumerate(self.blocks.epoch(self.shuffle), 1):
            self.part_name = f"block {number} of {self.blocks.count}"
            self.train = self.model.for_training(tracks.to(device), self.rig, self.unsupervised)
            del tracks
            yield
        self.train = self.detected[0]  # the last block need not stay

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
