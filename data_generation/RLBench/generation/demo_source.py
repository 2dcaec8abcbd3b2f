"""What generation needs of a simulator. Workers open one source each and use nothing else."""

from collections.abc import Callable, Mapping
from typing import Protocol

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.raw.episode import Episode
from data_generation.RLBench.raw.episode_key import EpisodeKey


class DemoSource(Protocol):
    """Makes demos of tasks, one attempt at a time."""

    all_tasks: tuple[str, ...]  # names by task id
    available: Mapping[int, str]  # what this engine runs: task id -> name
    incomplete: Mapping[int, tuple[str, str]]  # what lacks a file: task id -> name, which

    def n_variations(self, task_id: int) -> int:
        """Count a task's variations.

        Raises:
            TaskBrokenError: The task cannot run.
        """

    def task_source(self, task_id: int) -> str:
        """Say which version of the task this is: episodes of two versions must not be mixed."""

    def attempt(self, key: EpisodeKey, seed_example: int, attempt: int) -> Episode:
        """Make one attempt, a function of the seed and these numbers.

        Args:
            key: Which task, variation, example.
            seed_example: The example number that enters the seed.
            attempt: Number of the attempt, from 0.

        Raises:
            DemoFailedError: This attempt failed; another may succeed.
            TaskBrokenError: No attempt at this task can succeed.
            DataGenerationError: No attempt at any task can.
        """

    def close(self) -> None:
        """Free the simulator."""


OpenSource = Callable[[DatasetConfig, int], DemoSource]  # config, seed
