"""What is still to be made, and what becomes of episodes whose worker process dies."""

import copy
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping

from data_generation.RLBench.generation.episode_plan import Plan
from data_generation.RLBench.generation.worker import Outcome
from data_generation.RLBench.generation.worker_pool import (
    WorkerDiedError,
    WorkerKilledError,
    WorkerLostError,
    WorkerStuckError,
)
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.folder import Identity

logger = logging.getLogger("generate_data")

SAME_ATTEMPT = 2  # deaths at one attempt after which it counts as failed
KILLS = 3  # of the process, by force, at one episode; its attempts are not to blame: all are made
LOSSES = 10  # of the machine; with so many at one episode it is to blame, maybe by its memory
DEATHS_OF_A_TASK = 2  # attempts and episodes lost so, after which the task is given up

Job = tuple[Outcome, Identity | None]


class EpisodeJobs:
    """The episodes to be made, task by task; the list is made while it is used.

    Attributes:
        total: How many there are, without those skipped.
    """

    def __init__(
        self,
        plan: Plan,
        there: Mapping[int, set[EpisodeKey]],
        identity: Identity | None,
        max_attempts: int,
        label: Callable[[int], str],
    ) -> None:
        """Take the episodes of `plan` without those `there`; `label` names a task."""
        self._identity, self._max_attempts, self._label = identity, max_attempts, label
        self._left = {t: len(p) - len(there.get(t, ())) for t, p in plan.items()}
        self.total = sum(self._left.values())
        self._skipped: set[int] = set()
        self._keys = self._walk(plan, there)
        self._again: deque[Outcome] = deque()
        self._latest: dict[EpisodeKey, Outcome] = {}
        self._deaths: Counter[tuple[EpisodeKey, int | str]] = Counter()
        self._deaths_of_task: Counter[int] = Counter()

    def _walk(self, plan: Plan, there: Mapping[int, set[EpisodeKey]]) -> Iterator[EpisodeKey]:
        for task_id, keys in plan.items():
            known = there.get(task_id, set())
            for key in keys:
                if task_id in self._skipped:
                    break
                if key not in known:
                    self._left[task_id] -= 1
                    yield key

    def take(self) -> Job | None:
        """Give the next job; None where there is none."""
        if self._again:
            return self._again.popleft(), self._identity
        key = next(self._keys, None)
        return None if key is None else (Outcome(key), self._identity)

    def told(self, job: Job, value: Outcome) -> None:
        """Remember how far a worker has come."""
        self._latest[job[0].key] = value

    def skip(self, task_id: int) -> int:
        """Drop the episodes of a task that were not begun; return how many they are."""
        waiting = [o for o in self._again if o.key.task_id == task_id]
        self._again = deque(o for o in self._again if o.key.task_id != task_id)
        count = len(waiting) + self._left[task_id]
        self._skipped.add(task_id)
        self._left[task_id] = 0
        self.total -= count
        return count

    def done(self, key: EpisodeKey) -> None:
        """Forget how far an episode has come: it is finished."""
        self._latest.pop(key, None)

    def died(self, job: Job, error: WorkerDiedError) -> Outcome | None:
        """Decide what becomes of an episode whose worker died: None where it is tried again.

        A death that a repetition does not show is an accident, and the attempt stands: the episode
        is the one that a run without accidents makes. One that it shows is a failed attempt.
        """
        key = job[0].key
        outcome = copy.deepcopy(self._latest.pop(key, job[0]))
        attempt = max(outcome.attempts, 1)
        if isinstance(error, WorkerStuckError):
            outcome.failures["no end"] += 1
            outcome.broken = f"{self._label(key.task_id)}: attempt {attempt} at {key}: {error}"
            return outcome
        is_killed = isinstance(error, WorkerKilledError)
        place = (key, type(error).__name__ if is_killed else attempt)
        most = LOSSES if isinstance(error, WorkerLostError) else KILLS
        self._deaths[place] += 1
        if key.task_id in self._skipped:
            return outcome
        if self._deaths[place] < (most if is_killed else SAME_ATTEMPT):
            logger.warning("%s, attempt %d: %s; it is tried again", key, attempt, error)
            outcome.attempts = attempt - 1
            self._again.append(outcome)
            return None
        outcome.failures[str(error)] += 1
        self._deaths_of_task[key.task_id] += 1
        if self._deaths_of_task[key.task_id] >= DEATHS_OF_A_TASK:
            outcome.broken = f"{self._label(key.task_id)}: {error}, at several attempts"
        elif not is_killed and attempt < self._max_attempts:
            outcome.attempts = attempt
            self._again.append(outcome)
            return None
        return outcome
