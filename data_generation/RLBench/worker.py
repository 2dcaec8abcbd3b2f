"""What runs in a worker process: one demo source, one episode after the other."""

import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import cv2

from data_generation.RLBench.dataset_config import DatasetConfig
from data_generation.RLBench.demo_source import DemoSource, OpenSource
from data_generation.RLBench.episode import Episode, EpisodeKey
from data_generation.RLBench.errors import DemoFailedError, TaskBrokenError
from data_generation.RLBench.raw_store import RawStore

# Test episodes have their own seeds: example e of a test set is not example e of a training set.
TEST_SEED_OFFSET = 1_000_000


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker is told at its start."""

    open_source: OpenSource
    config: DatasetConfig
    store: RawStore
    seed: int
    max_attempts: int


@dataclass(frozen=True)
class Catalogue:
    """What a source offers for the requested tasks.

    Attributes:
        all_tasks: names by id.
        available: id -> name of what runs.
        n_variations: id -> variations, of the requested tasks that work.
        sources: id -> where the task comes from, of the same.
        broken: id -> why a requested task cannot run after all.
        incomplete: id -> name of what would run if it had all its files.
    """

    all_tasks: tuple[str, ...]
    available: dict[int, str]
    n_variations: dict[int, int]
    sources: dict[int, str]
    broken: dict[int, str]
    incomplete: dict[int, str]

    def names(self) -> dict[int, str]:
        """Give id -> name of what runs, or would if it were whole."""
        return {**self.incomplete, **self.available}

    def resolve(self, task: int | str) -> int:
        """Turn a name into an id; one that is not available becomes -1."""
        if isinstance(task, int):
            return task
        return next((i for i, name in self.names().items() if name == task), -1)


@dataclass
class Outcome:
    """What became of one episode."""

    key: EpisodeKey
    is_done: bool = False
    attempts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    broken: str = ""  # why no episode of the task can be made
    n_frames: int = 0
    demo_seconds: float = 0.0  # planning, stepping and rendering, failed attempts included
    write_seconds: float = 0.0
    peak_memory_mib: float = 0.0


class _Process:
    """The state of this worker process; filled by `start`."""

    settings: WorkerSettings
    source: DemoSource | None = None


def start(settings: WorkerSettings) -> None:
    """Prepare this process; the simulator opens at the first use, so that its errors are reported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's business
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _Process.settings = settings


def _end_with_parent() -> None:
    """End this process when its parent is killed; a pool's worker would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _source() -> DemoSource:
    if _Process.source is None:
        settings = _Process.settings
        _Process.source = settings.open_source(settings.config, settings.seed)
    return _Process.source


def describe(tasks: tuple[int | str, ...] | str) -> Catalogue:
    """List tasks and the variations of those requested, by id or name ("*": all available)."""
    source = _source()
    incomplete = {task_id: name for task_id, (name, _) in source.incomplete.items()}
    catalogue = Catalogue(source.all_tasks, dict(source.available), {}, {}, {}, incomplete)
    wanted = source.available if isinstance(tasks, str) else map(catalogue.resolve, tasks)
    for task_id in wanted:
        if task_id in source.incomplete:
            name, why = source.incomplete[task_id]
            catalogue.broken[task_id] = f"task {task_id} ({name}): {why}"
        if task_id not in source.available:
            continue
        try:
            catalogue.n_variations[task_id] = source.n_variations(task_id)
            catalogue.sources[task_id] = source.task_source(task_id)
        except TaskBrokenError as error:
            catalogue.broken[task_id] = str(error)
    return catalogue


def make_episode(key: EpisodeKey) -> Outcome:
    """Make and write one episode, in at most `max_attempts` attempts."""
    settings, outcome = _Process.settings, Outcome(key)
    seed_example = key.example + (TEST_SEED_OFFSET if settings.store.mode == "test" else 0)
    started = time.perf_counter()
    for attempt in range(settings.max_attempts):
        outcome.attempts += 1
        try:
            episode = _source().attempt(key, seed_example, attempt)
            _check_length(episode, settings.config.max_seq_len)
        except DemoFailedError as failure:
            outcome.failures[failure.cause] += 1
            continue
        except TaskBrokenError as error:
            outcome.broken = str(error)
            outcome.failures["task cannot run"] += 1
            break
        outcome.demo_seconds = time.perf_counter() - started
        settings.store.write(key, episode)
        outcome.write_seconds = time.perf_counter() - started - outcome.demo_seconds
        outcome.is_done, outcome.n_frames = True, episode.n_frames
        break
    if not outcome.is_done:
        outcome.demo_seconds = time.perf_counter() - started
    outcome.peak_memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return outcome


def _check_length(episode: Episode, limit: int | None) -> None:
    if limit is not None and episode.n_frames > limit:
        raise DemoFailedError(f"longer than max_seq_len {limit}")
