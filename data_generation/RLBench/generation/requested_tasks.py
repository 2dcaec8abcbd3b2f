"""The requested tasks: which of them run here, and how many variations they have."""

import logging

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.episode_plan import Plan
from data_generation.RLBench.generation.worker_pool import Pool, WorkerDiedError
from pose_obj_3d.common.names import some_names

logger = logging.getLogger("generate_data")


def describe_tasks(
    config: DatasetConfig, mode: str, pool: Pool, places: str = ""
) -> worker.OfferedTasks:
    """Ask for the variations of the requested tasks; those that cannot run are named.

    Args:
        config: What is requested.
        mode: Of `MODES`.
        pool: Answers.
        places: Where tasks are looked for, for messages.

    Raises:
        ConfigError: A task id is out of range, or its task is not available here.
    """
    tasks, field = config.task_ids(mode), f"{mode}_task_ids"
    if not tasks:
        raise ConfigError(
            f"{config.source}: {field} is missing or empty; name the tasks to generate"
        )
    offered: worker.OfferedTasks
    try:
        offered, wanted = pool.call(worker.list_tasks, tasks)
    except WorkerDiedError as error:
        raise DataGenerationError(f"the simulator cannot be opened: {error}") from None
    if isinstance(tasks, str):
        runs = ", ".join(f"{t} {name}" for t, name in sorted(offered.available.items()))
        logger.info(
            '%s "*": %d of %d tasks run here: %s',
            field,
            len(offered.available),
            len(offered.all_tasks),
            runs,
        )
    else:
        resolved = [offered.resolve(task) for task in tasks]
        for task, task_id in zip(tasks, resolved, strict=True):
            if task_id not in offered.available and task_id not in offered.incomplete:
                raise _unavailable(f"{config.source}: {field} holds {task}", task, offered, places)
            if resolved.count(task_id) > 1:
                raise ConfigError(f"{config.source}: {field} holds task {task_id} twice; keep one")
    for task_id in wanted:
        _describe(pool, offered, task_id)
    for why in offered.broken.values():
        logger.warning("skipped: %s", why)
    return offered


def _describe(pool: Pool, offered: worker.OfferedTasks, task_id: int) -> None:
    try:
        variations, source, fault = pool.call(worker.describe, task_id)
    except WorkerDiedError as error:
        fault = f"task {task_id} ({offered.available[task_id]}): {error}"
    if fault:
        offered.broken[task_id] = fault
        return
    offered.n_variations[task_id], offered.sources[task_id] = variations, source


def _unavailable(
    place: str, task: int | str, offered: worker.OfferedTasks, places: str
) -> ConfigError:
    if isinstance(task, int) and task >= len(offered.all_tasks):
        return ConfigError(
            f"{place}; ids go from 0 to {len(offered.all_tasks) - 1} (tasks_ids.txt), of which "
            f"{sum(t < len(offered.all_tasks) for t in offered.available)} run here; tasks "
            "without one are asked for by name"
        )
    name = task if isinstance(task, str) else offered.all_tasks[task]
    named = "" if isinstance(task, str) else f" ({name})"
    there = some_names(name, offered.available.values())
    return ConfigError(f"{place}{named}, which this engine cannot run; {there}; {places}")


def plan_episodes(config: DatasetConfig, offered: worker.OfferedTasks) -> Plan:
    """Give the requested episodes of each task that works."""
    return {t: config.plan(t, n) for t, n in offered.n_variations.items()}
