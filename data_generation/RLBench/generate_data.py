"""Generate RLBench demos with images and 3D keypoint tracks.

python generate_data.py --path_dataset data/my_expe --path_dataset_config dataset_config.json

Exit code: 0 all requested episodes are there; 1 some are missing; 2 a user's error.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("generate_data.py", 640, simulates=True)

import argparse
import importlib
import logging
import os
import time
from collections.abc import Sequence
from functools import partial

from tqdm import tqdm

from data_generation.RLBench import command_line
from data_generation.RLBench.config import (
    DatasetConfig,
    find_config,
    load_config,
)
from data_generation.RLBench.errors import (
    ConfigError,
    DamagedEpisodeError,
    DataGenerationError,
)
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.demo_source import DemoSource, OpenSource
from data_generation.RLBench.generation.episode_jobs import EpisodeJobs
from data_generation.RLBench.generation.episode_plan import Plan
from data_generation.RLBench.generation.report import Report
from data_generation.RLBench.generation.worker_pool import WorkerDiedError, WorkerPool
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.folder import DEFAULTS
from data_generation.RLBench.raw.layout import MODES
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.formal import MIN_EXAMPLES

logger = logging.getLogger("generate_data")

SIMULATOR = "data_generation.RLBench.generation.simulator"  # module with `open_source`
# One thread a worker: Mesa's and NumPy's own threads would fight over the cores of the pool.
WORKER_ENVIRONMENT = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LOG_PERIOD = 10.0  # [s]


def open_mujoco(config: DatasetConfig, seed: int, **options: str | None) -> DemoSource:
    """Open the MuJoCo simulator; imported here so that only workers load it.

    Args:
        config: What episodes hold.
        seed: Of the data set.
        options: `rlbench_root`, `tasks_from`, `robot_setup` of `rlbench.Environment`.
    """
    return _open(config, seed, engine="mujoco", **options)


def open_coppeliasim(config: DatasetConfig, seed: int, **options: str | None) -> DemoSource:
    """Open CoppeliaSim through PyRep, one in each worker; arguments as of `open_mujoco`."""
    return _open(config, seed, engine="coppeliasim", **options)


def _open(config: DatasetConfig, seed: int, **options: str | None) -> DemoSource:
    try:
        module = importlib.import_module(SIMULATOR)
    except ModuleNotFoundError as error:
        if error.name not in ("rlbench", "mujoco", "ompl"):
            raise
        raise DataGenerationError(
            f"package {error.name} is not installed; pip install -r RLBench/requirements.txt"
            " ./RLBench"
        ) from None
    return module.open_source(config, seed, **options)


ENGINES = {"mujoco": open_mujoco, "coppeliasim": open_coppeliasim}
BUILT_IN = "RLBench/rlbench/tasks"
ROBOTS = ("panda", "sawyer", "jaco", "mico", "ur5")


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    at_least, boolean = command_line.at_least, command_line.boolean
    parser = command_line.Parser(
        prog="generate_data.py", description=__doc__.split("\n", maxsplit=1)[0]
    )
    add = parser.add_argument
    add("--path_dataset", required=True, help="folder of the data set; new, empty, or to continue")
    add(
        "--path_dataset_config",
        default="dataset_config.json",
        help="dataset config; looked for here, then in configs/",
    )
    add("--n_processes", type=at_least(1), default=1, help="worker processes (default 1)")
    add(
        "--skip_task_on_multi_fails",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="give up a task after an episode whose attempts all failed",
    )
    add(
        "--max_traj_trials_bef_skip",
        type=at_least(1),
        default=10,
        help="attempts at an episode before it is given up (default 10)",
    )
    add(
        "--max_seconds",
        type=at_least(1),
        default=3600,
        help="give a task up whose attempt takes longer [s] (default 3600)",
    )
    add("--seed", type=at_least(0), default=0, help="seed of the data set (default 0)")
    add("--overwrite", action="store_true", help="make the requested episodes anew")
    add("--mode", choices=MODES, default="train", help="which task ids and folder (default train)")
    add("--engine", choices=sorted(ENGINES), default="mujoco", help="simulator (default mujoco)")
    add(
        "--rlbench_root",
        help="checkout of RLBench whose own tasks run too (default $RLBENCH_ROOT, else none); its task "
        "files are Python and run as such: name only one that you trust",
    )
    add(
        "--tasks_from",
        choices=("auto", "builtin", "rlbench"),
        help="which version of a task: the checkout's where it has one (auto), or only one kind "
        "(default $RLBENCH_TASKS_FROM, else auto)",
    )
    add(
        "--robot_setup",
        choices=ROBOTS,
        default=ROBOTS[0],
        help="the robot; all but panda come from the checkout (default panda)",
    )
    return parser


def main(argv: Sequence[str] | None = None, open_source: OpenSource | None = None) -> int:
    """Run the command; `open_source` is another simulator than `--engine`, for tests."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        config = load_config(find_config(args.path_dataset_config))
        store = RawStore(Path(args.path_dataset).expanduser().absolute(), args.mode)
        store.folder.check_target()
        if config.is_headless() and not config.headless_generation:
            logger.warning("headless_generation is false, but there is no display: no viewer opens")
        settings = worker.WorkerSettings(
            open_source or _chosen_source(args),
            config,
            RawStore(store.root, args.mode),
            args.seed,
            args.max_traj_trials_bef_skip,
        )
        for name, value in WORKER_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with WorkerPool(args.n_processes, settings, args.max_seconds) as pool:
            catalogue = describe_tasks(config, args.mode, pool, _places(args))
            report = run(pool, store, catalogue, args, config)
    except DataGenerationError as error:
        return command_line.report_error("generate_data.py", error)
    except KeyboardInterrupt:
        print(
            "generate_data.py: interrupted; run the same command again to continue", file=sys.stderr
        )
        return command_line.INTERRUPTED
    print(report.summary())
    return 0 if report.is_complete else command_line.INCOMPLETE


def _root(args: argparse.Namespace) -> str | None:
    """Give the checkout of RLBench that is asked for."""
    given = args.rlbench_root or os.environ.get("RLBENCH_ROOT")
    # Workers run in the same directory, but a path is easier to read in messages when it is whole.
    return str(Path(given).expanduser().absolute()) if given else None


def _places(args: argparse.Namespace) -> str:
    """Say where tasks are looked for, and where else they could be."""
    root, source = _root(args), args.tasks_from or os.environ.get("RLBENCH_TASKS_FROM") or "auto"
    if source != "auto":
        place = root if source == "rlbench" else BUILT_IN
        return f"looked for in {place} alone (--tasks_from {source})"
    if root is None:
        return (
            f"looked for in {BUILT_IN}; name a checkout of RLBench to look in too by --rlbench_root"
        )
    return f"looked for in {root} and {BUILT_IN}"


def _chosen_source(args: argparse.Namespace) -> OpenSource:
    # The environment variable is left to the source: its messages say which of the two was wrong.
    root = None if args.rlbench_root is None else _root(args)
    return partial(
        ENGINES[args.engine],
        rlbench_root=root,
        tasks_from=args.tasks_from,
        robot_setup=args.robot_setup,
    )


def describe_tasks(
    config: DatasetConfig, mode: str, pool: WorkerPool, places: str = ""
) -> worker.Catalogue:
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
    catalogue: worker.Catalogue
    try:
        catalogue, wanted = pool.call(worker.list_tasks, tasks)
    except WorkerDiedError as error:
        raise DataGenerationError(f"the simulator cannot be opened: {error}") from None
    if isinstance(tasks, str):
        runs = ", ".join(f"{t} {name}" for t, name in sorted(catalogue.available.items()))
        logger.info(
            '%s "*": %d of %d tasks run here: %s',
            field,
            len(catalogue.available),
            len(catalogue.all_tasks),
            runs,
        )
    else:
        resolved = [catalogue.resolve(task) for task in tasks]
        for task, task_id in zip(tasks, resolved, strict=True):
            if task_id not in catalogue.available and task_id not in catalogue.incomplete:
                raise _unavailable(
                    f"{config.source}: {field} holds {task}", task, catalogue, places
                )
            if resolved.count(task_id) > 1:
                raise ConfigError(f"{config.source}: {field} holds task {task_id} twice; keep one")
    for task_id in wanted:
        _describe(pool, catalogue, task_id)
    for why in catalogue.broken.values():
        logger.warning("skipped: %s", why)
    return catalogue


def _describe(pool: WorkerPool, catalogue: worker.Catalogue, task_id: int) -> None:
    try:
        variations, source, fault = pool.call(worker.describe, task_id)
    except WorkerDiedError as error:
        fault = f"task {task_id} ({catalogue.available[task_id]}): {error}"
    if fault:
        catalogue.broken[task_id] = fault
        return
    catalogue.n_variations[task_id], catalogue.sources[task_id] = variations, source


def _unavailable(
    place: str, task: int | str, catalogue: worker.Catalogue, places: str
) -> ConfigError:
    # Imported late: where rlbench is not installed, the worker has said so before.
    from pyrep_mujoco.near_names import near_names  # noqa: PLC0415

    if isinstance(task, int) and task >= len(catalogue.all_tasks):
        return ConfigError(
            f"{place}; ids go from 0 to {len(catalogue.all_tasks) - 1} (tasks_ids.txt), of which "
            f"{sum(t < len(catalogue.all_tasks) for t in catalogue.available)} run here; tasks "
            "without one are asked for by name"
        )
    name = task if isinstance(task, str) else catalogue.all_tasks[task]
    named = "" if isinstance(task, str) else f" ({name})"
    there = near_names(name, catalogue.available.values())
    return ConfigError(f"{place}{named}, which this engine cannot run; {there}; {places}")


def plan_episodes(config: DatasetConfig, catalogue: worker.Catalogue) -> Plan:
    """Give the requested episodes of each task that works."""
    return {t: config.plan(t, n) for t, n in catalogue.n_variations.items()}


def run(
    pool: WorkerPool,
    store: RawStore,
    catalogue: worker.Catalogue,
    args: argparse.Namespace,
    config: DatasetConfig,
) -> Report:
    """Make what is missing of what is requested and write `report.json`."""
    plan = plan_episodes(config, catalogue)
    chosen = {"engine": args.engine, "robot_setup": args.robot_setup}
    chosen = {name: value for name, value in chosen.items() if value != DEFAULTS[name]}
    store.create(args.seed, {**config.fingerprint(), **chosen}, overwrite=args.overwrite)
    try:
        for key in store.clean():
            logger.info("removed what an interrupted run left of %s", key)
        report = Report(store, config.name, plan, args.seed, args.n_processes, catalogue.names())
        report.broken.update(catalogue.broken)
        there = {}
        for task_id, keys in plan.items():
            on_disk = store.episodes(task_id)
            there[task_id] = {key for key in on_disk if key in keys}
            _tell_few(report.task(task_id), len(on_disk) - len(there[task_id]) + len(keys))
            store.write_variations(task_id, keys.used_variations())
            if args.overwrite:
                for key in there.pop(task_id):
                    store.remove(key)
            else:
                _look_at(store, there[task_id], report, catalogue.sources[task_id])
        jobs = EpisodeJobs(
            plan, there, store.folder.identity, args.max_traj_trials_bef_skip, report.task_label
        )
        _make(pool, jobs, report, skip_tasks=args.skip_task_on_multi_fails)
        lost = report.count()
        if lost:
            logger.warning(
                "%d episodes that were there are gone or damaged, first %s: something else changes "
                "files in %s",
                len(lost),
                lost[0],
                store.root,
            )
        report.write()
    finally:
        store.close()
    return report


def _tell_few(task: str, count: int) -> None:
    """Say before the work that there will be too few examples of a task."""
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


def _make(pool: WorkerPool, jobs: EpisodeJobs, report: Report, skip_tasks: bool) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
