"""Workers on other machines: gives out episodes, and takes back what became of them.

It knows no cluster: an executor runs jobs somewhere, and tells of those that were lost.
"""

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Protocol

from data_generation.RLBench.errors import DataGenerationError
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.cluster.remote_jobs import MadeThere, Task
from data_generation.RLBench.generation.worker_pool import (
    Answer,
    Jobs,
    WorkerDiedError,
    WorkerPool,
)
from data_generation.RLBench.raw.store import RawStore

logger = logging.getLogger("generate_data")

TICK_S = 1.0
LOST_S = 300.0  # how long a cluster may have no machine for a worker


class Executor(Protocol):
    """Runs jobs on some machines."""

    def capacity(self) -> int:
        """Give how many jobs may be given out at once: 0 where no machine is left."""

    def submit(self, task: Task) -> Hashable:
        """Begin a job, or let it wait; returns at once."""

    def ready(self, handles: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Wait until at least one job has ended or the time is over; give those that have."""

    def result(self, handle: Any) -> MadeThere:
        """Give what a job that has ended returned.

        Raises:
            WorkerDiedError: Its process or its machine was lost.
            DataGenerationError: Its machine cannot do such jobs.
        """


class RemotePool:
    """Makes episodes on an executor's machines; asks about tasks here.

    Args:
        executor: Runs the jobs.
        local: Answers what is asked before the work.
        store: Where episodes are written that come back because their machine does not see it.
        results: Where episodes are written; see `Task`.
    """

    def __init__(
        self, executor: Executor, local: WorkerPool, store: RawStore, results: str
    ) -> None:
        self._executor, self._local, self._store = executor, local, store
        self._results = results

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Let a worker on this machine do something and give its result."""
        return self._local.call(function, *args)

    def run(self, jobs: Jobs, function: Callable[..., Any]) -> Iterator[Answer]:
        """Work until there are no jobs; yield the answers as they come.

        Args:
            jobs: Of `worker.make_episode`.
            function: `worker.make_episode`.

        Raises:
            DataGenerationError: A machine cannot do the work, or none is left.
        """
        assert function is worker.make_episode
        self._local.close()
        token = self._store.folder.show_token()
        given: dict[Hashable, Any] = {}
        seen = time.monotonic()
        while True:
            capacity = self._executor.capacity()
            seen = time.monotonic() if capacity or not given else seen
            while len(given) < max(capacity, 1) and (job := jobs.take()) is not None:
                task = Task(job[0], token, self._results)
                given[self._executor.submit(task)] = job
            if not given:
                return
            if time.monotonic() - seen > LOST_S:
                raise DataGenerationError(
                    f"no machine of the cluster has had room for a worker for {LOST_S:g} s; run the"
                    " same command again to continue"
                )
            for handle in self._executor.ready(list(given), TICK_S):
                yield self._answer(jobs, given.pop(handle), handle)

    def _answer(self, jobs: Jobs, job: Any, handle: Any) -> Answer:
        try:
            made = self._executor.result(handle)
        except WorkerDiedError as error:
            return Answer(job, died=error)
        if made.told is not None:
            jobs.told(job, made.told)
        if made.died is not None:
            return Answer(job, died=made.died)
        if made.raised is not None:
            raise made.raised
        if made.outcome is not None and made.episode is not None:
            label = f"task {made.outcome.key.task_id} ({made.episode.info.get('task_name', '?')})"
            worker.write(self._store, made.outcome, made.episode, label)
        return Answer(job, made.outcome)
