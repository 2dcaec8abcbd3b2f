"""Which episodes are asked for, by arithmetic: a plan of 100 million episodes takes a few bytes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from data_generation.RLBench.raw.episode_key import EpisodeKey


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of the work.

    Attributes:
        index: Which part, from 0.
        of: How many parts there are.
    """

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


@dataclass(frozen=True)
class TaskPlan:
    """The episodes of one task, in order: variation fastest.

    Attributes:
        task_id: The task.
        variations: How many of its variations are used, from 0.
        count: How many episodes there are, of all shards.
        first: Number of the first episode of this shard.
        step: How many shards there are: from one episode of this shard to its next.
    """

    task_id: int
    variations: int
    count: int
    first: int = 0
    step: int = 1

    @property
    def _numbers(self) -> range:
        return range(self.first, self.count, self.step)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[EpisodeKey]:
        return (EpisodeKey(self.task_id, *divmod(n, self.variations)) for n in self._numbers)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, EpisodeKey) or key.task_id != self.task_id:
            return False
        is_used = 0 <= key.variation < self.variations and key.example >= 0
        return is_used and key.example * self.variations + key.variation in self._numbers

    def used_variations(self) -> range:
        """Give the variations that occur, in all shards."""
        return range(min(self.variations, self.count))

    def whole(self) -> Self:
        """Give the episodes of all shards."""
        return replace(self, first=0, step=1)


def part_of(plan: "Plan", shard: Shard) -> "Plan":
    """Give a shard's episodes: every `shard.of`-th one, counted through all tasks.

    Each shard has episodes of each task, so shards take about equally long.
    """
    parts, before = {}, 0
    for task_id, keys in plan.items():
        first = (shard.index - before) % shard.of
        parts[task_id] = replace(keys, first=first, step=shard.of)
        before += keys.count
    return parts


def owner(plan: "Plan", key: EpisodeKey, of: int) -> int:
    """Give the index of the shard that makes an episode of a plan of all shards."""
    before = 0
    for task_id, keys in plan.items():
        if task_id == key.task_id:
            return (before + key.example * keys.variations + key.variation) % of
        before += keys.count
    raise KeyError(key)


Plan = dict[int, TaskPlan]  # by task id
