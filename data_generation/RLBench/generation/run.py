"""A run: make the requested episodes that are missing, and write the report."""

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tqdm import tqdm

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import ConfigError, DamagedEpisodeError
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.episode_jobs import EpisodeJobs
from data_generation.RLBench.generation.episode_plan import Plan, Shard, owner, part_of
from data_generation.RLBench.generation.report import Report
from data_generation.RLBench.generation.requested_tasks import plan_episodes
from data_generation.RLBench.generation.shards import ShardSet
from data_generation.RLBench.generation.worker_pool import Pool
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.folder import DEFAULTS
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.formal import MIN_EXAMPLES

logger = logging.getLogger("generate_data")

LOG_PERIOD = 10.0  # [s]


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    Attributes:
        seed: Of the data set.
        n_processes: Worker processes, for the report.
        max_attempts: Attempts at an episode before it is given up.
        made_with: What else an episode depends on: `engine` and `robot_setup`.
        overwrite: Make episodes anew that are there.
        skip_tasks: Give a task up after an episode whose attempts all failed.
        shard: Make this part alone, while other processes make the others.
        only_report: Make nothing: count what is there, and end the shards.
    """

    seed: int
    n_processes: int
    max_attempts: int
    made_with: Mapping[str, str]
    overwrite: bool = False
    skip_tasks: bool = False
    shard: Shard | None = None
    only_report: bool = False


def run(
    pool: Pool,
    store: RawStore,
    offered: worker.OfferedTasks,
    options: RunOptions,
    config: DatasetConfig,
) -> Report:
    """Make the requested episodes that are missing, and write `report.json`.

    A shard makes those of its part, and leaves an account for the report.
    """
    whole = plan_episodes(config, offered)
    plan = part_of(whole, options.shard) if options.shard else whole
    shards = ShardSet(store, whole, options.max_attempts, offered.sources)
    try:
        _open(store, options, config)
        if options.shard:
            shards.enter(options.shard)
        number = shards.check_same() if options.only_report else 0
        for key in store.clean(plan if options.shard else None):
            logger.info("removed what an interrupted run left of %s", key)
        report = Report(
            store, config.name, plan, options.seed, options.n_processes, offered.names()
        )
        report.broken.update(offered.broken)
        there = _see(store, plan, report, offered, options)
        if not options.only_report:
            jobs = EpisodeJobs(
                plan, there, store.folder.identity, options.max_attempts, report.task_label
            )
            _make(pool, jobs, report, skip_tasks=options.skip_tasks)
        lost = report.count()
        if lost:
            logger.warning(
                "%d episodes that were there are gone or damaged, first %s: something else changes "
                "files in %s",
                len(lost),
                lost[0],
                store.root,
            )
        if options.shard:
            report.part = f"shard {options.shard}"
            shards.leave(report.account())
            return report
        _end_shards(shards, number, whole, report)
        report.write()
        if report.is_complete or not options.only_report:
            shards.remove()
    finally:
        shards.close()
        store.close()
    return report


def _open(store: RawStore, options: RunOptions, config: DatasetConfig) -> None:
    """Make the folder or continue it, alone or beside other shards.

    Raises:
        StoreError: It was made with other settings, another process writes, or it cannot be made.
    """
    chosen = {k: v for k, v in options.made_with.items() if v != DEFAULTS[k]}
    settings = {**config.fingerprint(), **chosen}
    if options.shard:
        store.join(options.seed, settings)
        return
    if options.only_report:
        store.marker()  # there must be a data set
    store.create(options.seed, settings, overwrite=options.overwrite)


def _see(
    store: RawStore,
    plan: Plan,
    report: Report,
    offered: worker.OfferedTasks,
    options: RunOptions,
) -> dict[int, set[EpisodeKey]]:
    """Note the episodes that are there; remove them first if all are made anew."""
    there = {}
    for task_id, keys in plan.items():
        on_disk = store.episodes(task_id, keys if options.shard else None)
        there[task_id] = {key for key in on_disk if key in keys}
        of_all = keys.whole()
        _tell_few(report.task(task_id), sum(k not in of_all for k in on_disk) + len(of_all))
        if not options.only_report:
            store.write_variations(task_id, keys.used_variations())
        if options.overwrite:
            for key in there.pop(task_id):
                store.remove(key)
        else:
            _look_at(store, there[task_id], report, offered.sources[task_id])
    return there


def _end_shards(shards: ShardSet, number: int, plan: Plan, report: Report) -> None:
    """Add the shards' accounts to the report; note which of them are to run again."""
    if not number:
        return
    missing = {owner(plan, key, number) for key in report.missing()}
    report.n_processes = 0  # those of the shards count
    for index, account in shards.accounts(number):
        if account is not None:
            report.absorb(account)
        if account is None or index in missing:
            report.unfinished.append(Shard(index, number))


def _tell_few(task: str, count: int) -> None:
    """Warn, before the work begins, of too few examples of a task."""
    if count < MIN_EXAMPLES:
        logger.warning(
            "task %s: %d example(s) are asked for; the conversion needs at least %d, for training, "
            "validation and test",
            task,
            count,
            MIN_EXAMPLES,
        )


def _look_at(store: RawStore, there: set[EpisodeKey], report: Report, source: str) -> None:
    """Note the episodes that exist; damaged ones are named and left as they are.

    Raises:
        ConfigError: An episode was made from another version of the task.
    """
    for key in sorted(there):
        try:
            record = store.check(key, deep=False)
        except DamagedEpisodeError as error:
            logger.warning("skipped: %s", error)
            report.damaged.append(key)
        else:
            _check_source(store, key, str(record.get("task_source", "builtin")), source)
            report.found(key)


def _check_source(store: RawStore, key: EpisodeKey, before: str, now: str) -> None:
    if before != now:
        raise ConfigError(
            f"{store.root}: {key} was made from the {before} version of the task, now it is the"
            f" {now} one; give --rlbench_root and --tasks_from as before, name another"
            " --path_dataset, or make all anew with --overwrite"
        )


def _make(pool: Pool, jobs: EpisodeJobs, report: Report, skip_tasks: bool) -> None:
    """Run the jobs in the pool and collect their outcomes."""
    last_line = time.monotonic()
    bar = tqdm(total=jobs.total, unit="episode", disable=not (jobs.total and sys.stderr.isatty()))
    with bar:
        for answer in pool.run(jobs, worker.make_episode):
            outcome = jobs.died(answer.job, answer.died) if answer.died else answer.result
            if outcome is None:
                continue
            bar.update()
            jobs.done(outcome.key)
            report.add(outcome)
            bar.set_postfix_str(report.rate())
            if not outcome.is_done:
                _give_up(outcome, jobs, report, skip_tasks)
                bar.total = jobs.total
            if bar.disable and time.monotonic() - last_line > LOG_PERIOD:
                last_line = time.monotonic()
                logger.info("%d of %d episodes, %s", report.finished, jobs.total, report.rate())


def _give_up(outcome: worker.Outcome, jobs: EpisodeJobs, report: Report, skip_tasks: bool) -> None:
    """Say that an episode cannot be made, and what that means for its task."""
    task_id = outcome.key.task_id
    if outcome.broken:
        jobs.skip(task_id)
        if report.set_broken(task_id, outcome.broken):
            logger.warning("skipped: %s", outcome.broken)
    elif task_id not in report.broken:
        _tell_failure(outcome)
        if skip_tasks:
            logger.warning("task %s skipped: %d episodes", report.task(task_id), jobs.skip(task_id))


def _tell_failure(outcome: worker.Outcome) -> None:
    causes = ", ".join(f"{n} x {cause}" for cause, n in outcome.failures.most_common())
    logger.warning("%s: all %d attempts failed: %s", outcome.key, outcome.attempts, causes)
