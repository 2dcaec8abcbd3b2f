"""Training examples that do not fit into memory: block after block of them.

In each epoch the examples are put into a new order and divided into blocks that fit. A block holds
examples of the whole data set, and its windows are shuffled. So a batch is drawn from a block, not
from all examples; two batches of an epoch may come from other blocks than in the next epoch.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from pose_obj_3d.common.archive.shards import parts_of
from pose_obj_3d.tracks.portions.fitting import Example
from pose_obj_3d.tracks.types import Tracks


@dataclass(frozen=True)
class Blocks:
    """The training examples, in blocks.

    Attributes:
        examples: All of them.
        count: Number of blocks.
        frames: Frames of all examples, about.
        load: Loads some examples; may run in a thread of its own.
    """

    examples: Sequence[Example]
    count: int
    frames: int
    load: Callable[[Sequence[Example]], Tracks]

    def epoch(self, generator: torch.Generator) -> Iterator[Tracks]:
        """Give the blocks of an epoch; while one is used, the next one is loaded.

        Args:
            generator: Decides the order of the examples.
        """
        order = torch.randperm(len(self.examples), generator=generator).tolist()
        parts = [
            [self.examples[order[i]] for i in part] for part in parts_of(len(order), self.count)
        ]
        with ThreadPoolExecutor(1, "blocks") as pool:
            coming = pool.submit(self.load, parts[0])
            try:
                for part in parts[1:]:
                    tracks, coming = coming.result(), pool.submit(self.load, part)
                    yield tracks
                    del tracks  # before the one after the next is there
                yield coming.result()
            finally:
                coming.cancel()
