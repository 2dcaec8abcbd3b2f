"""What runs in a worker process: one demo source, one episode after the other."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import DataGenerationError, DemoFailedError, TaskBrokenError
from data_generation.RLBench.generation.demo_source import DemoSource, OpenSource
from data_generation.RLBench.raw.episode import Episode
from data_generation.RLBench.raw.episode_key import EpisodeKey, seed_example
from data_generation.RLBench.raw.folder import Identity
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.common import process_start

MAX_TOLD = 200  # characters of an error that is not ours


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker is told at its start."""

    open_source: OpenSource
    config: DatasetConfig
    store: RawStore
    seed: int
    max_attempts: int


@dataclass(frozen=True)
class OfferedTasks:
    """What a source offers for the requested tasks.

    Attributes:
        all_tasks: Names by id.
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
        """Give id -> name of all tasks, those that lack a file included."""
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
    """Prepare this process.

    The simulator opens at its first use, so that its errors are reported.
    """
    prepare_process()
    _Process.settings = settings


def prepare_process() -> None:
    """Let a worker process end with its parent, not with Ctrl-C, and use one thread."""
    process_start.open_streams()  # what a task prints to nobody must not end it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's business
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """End this process when its parent is killed; otherwise it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _source() -> DemoSource:
    if _Process.source is None:
        settings = _Process.settings
        _Process.source = settings.open_source(settings.config, settings.seed)
    return _Process.source


def list_tasks(tasks: tuple[int | str, ...] | str) -> tuple[OfferedTasks, list[int]]:
    """List what the source offers, and which of its tasks are requested.

    Args:
        tasks: Ids and names, or "*" for all.
    """
    source = _source()
    incomplete = {task_id: name for task_id, (name, _) in source.incomplete.items()}
    offered = OfferedTasks(source.all_tasks, dict(source.available), {}, {}, {}, incomplete)
    wanted = (
        list(source.available) if isinstance(tasks, str) else [offered.resolve(t) for t in tasks]
    )
    for task_id in wanted:
        if task_id in source.incomplete:
            name, why = source.incomplete[task_id]
            offered.broken[task_id] = f"task {task_id} ({name}): {why}"
    return offered, [t for t in wanted if t in source.available]


def describe(task_id: int) -> tuple[int, str, str]:
    """Give a task's number of variations, where it comes from, and why it cannot run."""
    source = _source()
    try:
        return _n_variations(source, task_id), source.task_source(task_id), ""
    except DataGenerationError as error:
        if not isinstance(error, TaskBrokenError):
            raise
        return 0, "", str(error)
    except BaseException as error:  # noqa: BLE001 - a user's task file may raise anything
        return 0, "", f"{_label(source, task_id)}: {told(error)}"


def _n_variations(source: DemoSource, task_id: int) -> int:
    number = source.n_variations(task_id)
    if number < 1:
        raise TaskBrokenError(
            f"{_label(source, task_id)}: it has {number} variations; at least 1 is needed"
        )
    return number


def _label(source: DemoSource, task_id: int) -> str:
    return f"task {task_id} ({source.available.get(task_id, '?')})"


def told(error: BaseException) -> str:
    """Describe any error in one line, with the place that raised it."""
    text = " ".join(str(error).split())[:MAX_TOLD]
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    place = f" ({frames[0].filename}:{frames[0].lineno})" if frames else ""
    return f"{type(error).__name__}: {text or 'no message'}{place}"


def make_episode(
    outcome: Outcome, identity: Identity | None, tell: Callable[[Outcome], None]
) -> Outcome:
    """Make and write one episode, in at most `max_attempts` attempts.

    Args:
        outcome: Of the attempts before, made by a process that has died; else a new one.
        identity: Of the data set's folder.
        tell: Is called before each attempt, which the outcome counts then.
    """
    store = _Process.settings.store
    store.folder.identity = identity
    episode = _make(outcome, tell)
    if episode is not None:
        write(store, outcome, episode, _label(_source(), outcome.key.task_id))
    outcome.peak_memory_mib = _peak_memory_mib()
    return outcome


def make_unwritten(
    outcome: Outcome, identity: None, tell: Callable[[Outcome], None]
) -> tuple[Outcome, Episode | None]:
    """Make one episode, as `make_episode` does, for `write` in another process."""
    episode = _make(outcome, tell)
    outcome.peak_memory_mib = _peak_memory_mib()
    return outcome, episode


def _peak_memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _make(outcome: Outcome, tell: Callable[[Outcome], None]) -> Episode | None:
    settings, key = _Process.settings, outcome.key
    number = seed_example(settings.store.mode, key.example)
    started, before = time.perf_counter(), outcome.demo_seconds
    faults: list[str] = []
    made: Episode | None = None
    for attempt in range(outcome.attempts, settings.max_attempts):
        outcome.attempts += 1
        tell(outcome)
        try:
            made = _attempt(key, number, attempt)
        except DemoFailedError as failure:
            outcome.failures[failure.cause] += 1
            faults += [failure.fault] * bool(failure.fault)
            continue
        except TaskBrokenError as error:
            outcome.broken = str(error)
            outcome.failures["task cannot run"] += 1
        break
    outcome.demo_seconds = before + time.perf_counter() - started
    if made is None and faults and len(faults) == outcome.attempts:  # its own code fails every time
        outcome.broken = f"{_label(_source(), key.task_id)}: {faults[0]}"
    return made


def write(store: RawStore, outcome: Outcome, episode: Episode, label: str) -> None:
    """Write an episode, and note in its outcome what became of it; `label` names its task.

    Raises:
        DataGenerationError: The data set cannot be written.
    """
    started, key = time.perf_counter(), outcome.key
    try:
        store.write(key, episode)
    except DataGenerationError:
        raise
    except Exception as error:  # noqa: BLE001 - such as a pose that is not finite, or no number at all
        outcome.broken = f"{label}: {told(error)}"
        outcome.failures["cannot be written"] += 1
        return
    outcome.write_seconds = time.perf_counter() - started
    outcome.is_done, outcome.n_frames = True, episode.n_frames


def _attempt(key: EpisodeKey, number: int, attempt: int) -> Episode:
    source, limit = _source(), _Process.settings.config.max_seq_len
    try:
        episode = source.attempt(key, number, attempt)
    except (DemoFailedError, DataGenerationError):
        raise
    except BaseException as error:  # a user's task file may raise anything
        _Process.source = None  # who knows what it left behind
        with contextlib.suppress(Exception):
            source.close()
        raise TaskBrokenError(f"{_label(source, key.task_id)}: {told(error)}") from error
    if limit is not None and episode.n_frames > limit:
        raise DemoFailedError(f"longer than max_seq_len {limit}")
    return episode
