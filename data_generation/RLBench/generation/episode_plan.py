"""Which episodes are asked for, by arithmetic: a plan of 100 million episodes takes a few bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

from data_generation.RLBench.raw.episode_key import EpisodeKey


@dataclass(frozen=True)
class TaskPlan:
    """The episodes of one task, in order: variation fastest.

    Attributes:
        task_id: The task.
        variations: How many of its variations are used, from 0.
        count: How many episodes there are.
    """

    task_id: int
    variations: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[EpisodeKey]:
        return (EpisodeKey(self.task_id, *divmod(n, self.variations)) for n in range(self.count))

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, EpisodeKey) or key.task_id != self.task_id:
            return False
        is_used = 0 <= key.variation < self.variations and key.example >= 0
        return is_used and key.example * self.variations + key.variation < self.count

    def used_variations(self) -> range:
        """Give the variations that occur."""
        return range(min(self.variations, self.count))


Plan = dict[int, TaskPlan]  # by task id
