"""What runs on a machine of a cluster: one episode after the other, in a process of its own.

The simulator runs in a child of the cluster's worker process, as it does without a cluster: a task
that crashes, hangs or eats memory ends the child alone, and the answer says so. Child and simulator
are kept for the next episode.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_generation.RLBench.errors import DataGenerationError, StoreError
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.versions import versions
from data_generation.RLBench.generation.worker import Outcome, WorkerSettings
from data_generation.RLBench.generation.worker_pool import WorkerDiedError, WorkerPool
from data_generation.RLBench.raw.episode import Episode
from data_generation.RLBench.raw.folder import StoreFolder

SHARED, SENT, AUTO = "shared", "sent", "auto"
RESULTS = (AUTO, SHARED, SENT)
NEEDED = ("rlbench", "mujoco", "ompl", "cv2")


@dataclass(frozen=True)
class Work:
    """What all jobs of a run have in common."""

    settings: WorkerSettings
    silence_s: float


@dataclass(frozen=True)
class Task:
    """One job.

    Attributes:
        outcome: Of the attempts before.
        token: What the data set's lock file says, where the folder is the right one.
        results: `shared`: written there, `sent`: sent back, `auto`: written if the folder is seen.
    """

    outcome: Outcome
    token: str
    results: str


@dataclass(frozen=True)
class MadeThere:
    """What became of a job.

    Attributes:
        outcome: The result; None where there is none.
        episode: What is still to be written.
        told: How far a process that died had come.
        died: How it died.
        raised: An error that ends the run.
    """

    outcome: Outcome | None = None
    episode: Episode | None = None
    told: Outcome | None = None
    died: WorkerDiedError | None = None
    raised: DataGenerationError | None = None


@dataclass(frozen=True)
class Machine:
    """What a machine is like.

    Attributes:
        versions: Of packages and code.
        lacks: Packages that are not installed.
        sees: It sees the file that it was asked for.
    """

    versions: dict[str, str]
    lacks: tuple[str, ...]
    sees: bool


def look(path: str) -> Machine:
    """Describe this machine; `path` is a file that a shared folder holds."""
    lacks = tuple(name for name in NEEDED if not _is_installed(name))
    return Machine(versions(), lacks, Path(path).is_file())


def _is_installed(package: str) -> bool:
    """Tell whether a package is there; an empty folder of its name, as left over, is none."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


class _Here:
    """The state of this process."""

    pool: WorkerPool | None = None
    folder: StoreFolder | None = None


class _One:
    """One job for a pool of one worker."""

    def __init__(self, job: tuple[Any, ...]) -> None:
        self._job: tuple[Any, ...] | None = job
        self.latest: Outcome | None = None

    def take(self) -> tuple[Any, ...] | None:
        """Give the job once."""
        job, self._job = self._job, None
        return job

    def told(self, job: Any, value: Outcome) -> None:
        """Remember how far the worker has come."""
        self.latest = value


def make(work: Work, task: Task) -> MadeThere:
    """Make an episode, and write it where the folder is seen."""
    try:
        return _make(work, task)
    except DataGenerationError as error:
        return MadeThere(raised=error)


def _make(work: Work, task: Task) -> MadeThere:
    if _Here.pool is None:
        _Here.pool = WorkerPool(1, work.settings, work.silence_s)
    identity = None
    if task.results != SENT:
        identity = _folder(work.settings.store.root).meet(task.token)
    if identity is None and task.results == SHARED:
        raise StoreError(f"{work.settings.store.root} is not the same folder on all machines")
    function = worker.make_unwritten if identity is None else worker.make_episode
    job = _One((task.outcome, identity))
    (answer,) = _Here.pool.run(job, function)
    if answer.died is not None:
        return MadeThere(told=job.latest, died=answer.died)
    if identity is None:
        outcome, episode = answer.result
        return MadeThere(outcome, episode)
    return MadeThere(answer.result)


def _folder(root: Path) -> StoreFolder:
    if _Here.folder is None or _Here.folder.root != root:
        _Here.folder = StoreFolder(root)
    return _Here.folder
