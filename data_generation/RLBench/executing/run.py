"""All scenes: which there are, which are missing, and the processes that execute them.

Worker processes alone load PyTorch and the simulator, so that this one begins at once.
"""

import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.executing.jobs import Job, Outcome
from data_generation.RLBench.executing.results import ResultFolder
from data_generation.RLBench.executing.settings import Condition, Settings
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.episode_plan import TaskPlan
from data_generation.RLBench.raw.episode_key import EpisodeKey
from pose_obj_3d.common.progress import Pace

if TYPE_CHECKING:
    from data_generation.RLBench.executing.scene import Executor

logger = logging.getLogger("execute_keypoints")
WORKER_ENVIRONMENT = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class _Process:
    """The state of a worker process."""

    settings: Settings
    executor: "Executor | None" = None


def start(settings: Settings) -> None:
    """Prepare a worker process; the simulator opens at its first use."""
    import torch  # noqa: PLC0415 - as said above

    worker.prepare_process()
    torch.set_num_threads(1)
    _Process.settings, _Process.executor = settings, None


def _executor() -> "Executor":
    from data_generation.RLBench.executing.scene import Executor  # noqa: PLC0415

    if _Process.executor is None:
        _Process.executor = Executor(_Process.settings)
    return _Process.executor


def describe(tasks: Sequence[int | str] | str) -> dict[int, int]:
    """Return task id -> number of its variations; in a worker process.

    Raises:
        ConfigError: A task is not known.
        DataGenerationError: It cannot be loaded, or a checkpoint does not know it.
    """
    executor = _executor()
    there = executor.tasks
    ids = list(there) if isinstance(tasks, str) else []
    for task in () if isinstance(tasks, str) else tasks:
        found = [i for i, name in there.items() if task in (i, name)]
        if not found:
            shown = ", ".join(f"{i} {name}" for i, name in list(there.items())[:12])
            raise ConfigError(f"task {task}: not available; there are {shown} ...")
        ids += found
    return {i: executor.variations(i) for i in dict.fromkeys(ids)}


def execute(job: Job) -> dict[str, Outcome]:
    """Execute a scene; in a worker process."""
    return _executor().run(job)


def film_first(tasks: Sequence[int | str] | str, path: Path) -> Outcome:
    """Film the first scene of the first task, in the last condition; in a worker process."""
    from data_generation.RLBench.executing.film import film  # noqa: PLC0415

    executor = _executor()
    key = EpisodeKey(next(iter(describe(tasks))), 0, 0)
    return film(executor, Job(key, 0, (executor.settings.conditions()[-1],)), path)


def run(
    settings: Settings,
    folder: ResultFolder,
    tasks: Sequence[int | str] | str,
    scenes: int,
    processes: int,
    film_path: Path | None = None,
) -> None:
    """Execute what is missing, and keep each scene's outcomes as soon as they are known.

    Raises:
        DataGenerationError: Something cannot be used, or a process died.
    """
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    context = multiprocessing.get_context("spawn")  # OpenGL does not survive a fork
    try:
        with ProcessPoolExecutor(processes, context, start, (settings,)) as pool:
            variations = pool.submit(describe, tasks).result()
            folder.claim(settings)
            jobs = [
                job
                for task, count in variations.items()
                for job in missing(settings, folder, task, count, scenes)
            ]
            logger.info(
                "%d scenes of %d tasks, %d to execute",
                scenes * len(variations),
                len(variations),
                len(jobs),
            )
            _work(pool, folder, jobs)
            if film_path is not None:
                outcome = pool.submit(film_first, tasks, film_path).result()
                logger.info("%s: %s", film_path, outcome["cause"] or "success")
    except BrokenProcessPool:
        raise DataGenerationError(
            "a worker process was killed, or is out of memory; run the same command again to"
            " continue, with fewer --n_processes"
        ) from None


def _work(pool: ProcessPoolExecutor, folder: ResultFolder, jobs: Sequence[Job]) -> None:
    waiting, pace = {pool.submit(execute, job): job for job in jobs}, Pace()
    try:
        for done, future in enumerate(as_completed(waiting), 1):
            folder.add(waiting[future].key, future.result())
            if pace.is_due():
                logger.info("%d/%d scenes", done, len(jobs))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def missing(
    settings: Settings, folder: ResultFolder, task: int, variations: int, scenes: int
) -> Iterator[Job]:
    """Return the scenes of a task that lack a condition; variations take turns."""
    used = min(settings.config.n_variation_per_task, variations)
    for number, key in enumerate(TaskPlan(task, used, scenes)):
        there = folder.outcomes(key)
        lacking: list[Condition] = [c for c in settings.conditions() if str(c) not in there]
        if lacking:
            yield Job(key, number, tuple(lacking))
