"""Seeds of the episodes of one task: what the user chose, and what follows from it."""

import logging

import numpy as np

from rlbench.backend.episodes.global_random import fresh_seed
from rlbench.backend.exceptions import TaskEnvironmentError

logger = logging.getLogger(__name__)


class EpisodeSeeds:
    """Counts episodes and gives each its seed."""

    def __init__(self, task: str, task_id: int) -> None:
        """Begin unseeded; `task` is the name, for messages."""
        self._task, self._task_id = task, task_id
        self._seed: int | None = None
        self._episode = 0

    def choose(self, seed: int | None) -> None:
        """Choose the seed of the next episodes and count them anew.

        Raises:
            TaskEnvironmentError: it is no whole number of at least 0, nor None.
        """
        is_whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not (is_whole and seed >= 0):
            raise TaskEnvironmentError(
                f"{self._task}: a seed is a whole number of at least 0, or None, got {seed!r}"
            )
        self._seed, self._episode = None if seed is None else int(seed), 0

    def next(self) -> tuple[int, int]:
        """Return the seed of the next episode, and its number."""
        if self._seed is not None:
            return self._seed, self._episode
        seed = fresh_seed()
        logger.info("%s is not seeded; seed(%d) repeats what follows", self._task, seed)
        return seed, 0

    def count(self) -> None:
        """Go on to the next episode."""
        self._episode += 1

    def sequence(
        self, seed: int, variation: int, example: int, attempt: int
    ) -> np.random.SeedSequence:
        """Return the source of all random numbers of one attempt at an episode."""
        return np.random.SeedSequence(seed, spawn_key=(self._task_id, variation, example, attempt))
