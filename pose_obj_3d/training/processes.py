"""Several processes that train one model together, as `torchrun` starts them.

Each takes its share of every batch. Without `torchrun` there is one, and nothing happens here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pose_obj_3d.common.errors import TrainingError

T = TypeVar("T")
_LOST = ("gloo", "nccl", "connection", "peer", "store")  # what a lost process is told by


def count() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Tell whether this process writes and prints: the first one, also before they have met."""
    return int(os.environ.get("RANK", "0")) == 0


def local_device() -> int | None:
    """Return the number of the CUDA device for this process; None without `torchrun`."""
    return int(os.environ["LOCAL_RANK"]) if "WORLD_SIZE" in os.environ else None


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Let the processes that `torchrun` has started meet, and part at the end.

    Raises:
        TrainingError: One of them has ended.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in _LOST):
            raise
        raise TrainingError(
            "another process of this training has ended; look for its message above, and go on with"
            " --resume_checkpoint auto"
        ) from error
    finally:
        dist.destroy_process_group()


def parallel(model: nn.Module) -> nn.Module:
    """Let the gradients of a model be averaged over the processes."""
    if count() == 1:
        return model
    return nn.parallel.DistributedDataParallel(model, static_graph=True)


@dataclass(frozen=True)
class Share:
    """What of a batch a process has.

    Attributes:
        rows: Its windows.
        total: Number of windows of the batch.
    """

    rows: slice
    total: int

    def numbers(self) -> Tensor:
        """Return the numbers of its windows in the batch; empty where there are too few for all."""
        return torch.arange(self.total)[self.rows]


def share_of(total: int) -> Share:
    """Return what this process has of a batch of so many windows."""
    return Share(slice(rank(), None, count()), total)


def summed(values: Tensor) -> Tensor:
    """Sum a tensor over the processes."""
    if count() > 1:
        dist.all_reduce(values)
    return values


def merged(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add up the named sums of all processes, in the order of the processes."""
    if count() == 1:
        return sums
    parts: list[dict[str, Tensor]] = [{} for _ in range(count())]
    dist.all_gather_object(parts, {name: x.cpu() for name, x in sums.items()})
    total: dict[str, Tensor] = {}
    for part in parts:
        for name, x in part.items():
            total[name] = total[name] + x if name in total else x
    return total


def from_first(value: T) -> T:
    """Return the value that the first process has; waits for it."""
    if count() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
