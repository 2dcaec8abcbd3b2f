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
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from data_generation.RLBench import command_line
from data_generation.RLBench.config import (
    find_config,
    load_config,
)
from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.generation import worker
from data_generation.RLBench.generation.cluster.ray_cluster import RayCluster, Wanted
from data_generation.RLBench.generation.cluster.remote_jobs import RESULTS, SENT, Work
from data_generation.RLBench.generation.cluster.remote_pool import RemotePool
from data_generation.RLBench.generation.demo_source import OpenSource
from data_generation.RLBench.generation.engines import ENGINES
from data_generation.RLBench.generation.episode_plan import Shard
from data_generation.RLBench.generation.requested_tasks import describe_tasks
from data_generation.RLBench.generation.run import RunOptions, run
from data_generation.RLBench.generation.shards import is_in_array, read_shard
from data_generation.RLBench.generation.worker_pool import Pool, WorkerPool
from data_generation.RLBench.raw.folder import DEFAULTS
from data_generation.RLBench.raw.layout import MODES
from data_generation.RLBench.raw.store import RawStore

logger = logging.getLogger("generate_data")

# One thread a worker: Mesa's and NumPy's own threads would fight over the cores of the pool.
WORKER_ENVIRONMENT = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


BUILT_IN = "RLBench/rlbench/tasks"


def _robot(name: str) -> str:
    """Argparse type: a robot that the simulator knows."""
    if name == DEFAULTS["robot_setup"]:
        return name
    # Imported late: where rlbench is not installed, the workers say so.
    from rlbench.const import ROBOTS  # noqa: PLC0415

    if name not in ROBOTS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(ROBOTS)}, got {name!r}")
    return name


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    at_least, boolean = command_line.at_least, command_line.boolean
    parser = command_line.Parser(
        prog="generate_data.py", description=__doc__.split("\n", maxsplit=1)[0]
    )
    add = parser.add_argument
    add(
        "--path_dataset",
        required=True,
        help="folder of the data set: new, empty, or one to continue",
    )
    add(
        "--path_dataset_config",
        default="dataset_config.json",
        help="dataset config; looked for in the current folder, then in configs/ "
        "(default dataset_config.json)",
    )
    add(
        "--n_processes",
        type=at_least(1),
        help="worker processes (default 1; with --ray, as many as the cluster has room for)",
    )
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
        help="longest time of an attempt [s]; a task that exceeds it is given up (default 3600)",
    )
    add("--seed", type=at_least(0), default=0, help="seed of the data set (default 0)")
    add("--overwrite", action="store_true", help="make the requested episodes again")
    add(
        "--mode",
        choices=MODES,
        default="train",
        help="uses train_task_ids or test_task_ids, and the folder of that name (default train)",
    )
    add("--engine", choices=sorted(ENGINES), default="mujoco", help="simulator (default mujoco)")
    add(
        "--rlbench_root",
        help="checkout of RLBench whose tasks are available, too (default $RLBENCH_ROOT, else none)"
        "; its task files are Python programs: name only a checkout that you trust",
    )
    add(
        "--tasks_from",
        choices=("auto", "builtin", "rlbench"),
        help="auto: the checkout's version of a task if it has one; builtin: only built-in tasks; "
        "rlbench: only the checkout's tasks (default $RLBENCH_TASKS_FROM, else auto)",
    )
    add(
        "--robot_setup",
        type=_robot,
        default=DEFAULTS["robot_setup"],
        help="the robot; all but panda come from the checkout (default panda)",
    )
    add(
        "--shard",
        metavar="I/N",
        help="make part I of N, from 0/N to N-1/N, beside processes that make the other parts; "
        "auto: the place in a Slurm array",
    )
    add(
        "--finish",
        action="store_true",
        help="make nothing: write the report of what all shards have made, and name what is "
        "missing",
    )
    add(
        "--ray",
        metavar="auto|HOST:PORT",
        help="make the episodes on a Ray cluster: the one of this machine or of $RAY_ADDRESS "
        "(auto), or the one at an address",
    )
    add(
        "--ray_cpus_per_worker",
        type=at_least(1),
        default=1,
        help="CPUs that Ray reserves for a worker, and threads that render in it (default 1)",
    )
    add(
        "--ray_gpus_per_worker",
        type=_share,
        help="GPUs that Ray reserves for a worker, such as 0.25 (default: all GPUs are shared out "
        "if there are images to make and every machine has a GPU, else 0)",
    )
    add(
        "--ray_results",
        choices=RESULTS,
        default=RESULTS[0],
        help="shared: workers write into the data set; sent: they send what they make to this "
        "process; auto: sent where a machine does not see the folder (default auto)",
    )
    return parser


def _share(text: str) -> float:
    """Argparse type: a number of GPUs."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0 <= value <= 1 or (1 < value <= 64 and value.is_integer())):
        raise argparse.ArgumentTypeError(
            f"must be a number of 0 to 1, or a whole number, got {text!r}"
        )
    return value


def main(argv: Sequence[str] | None = None, open_source: OpenSource | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments; those of the process by default.
        open_source: Opens another simulator than that of `--engine`, for tests.
    """
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        shard = _shard(args)
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
        options = RunOptions(
            args.seed,
            args.n_processes or 1,
            args.max_traj_trials_bef_skip,
            {"engine": args.engine, "robot_setup": args.robot_setup},
            overwrite=args.overwrite,
            skip_tasks=args.skip_task_on_multi_fails,
            shard=shard,
            only_report=args.finish,
        )
        for name, value in WORKER_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with _pool(args, settings, store) as pool:
            offered = describe_tasks(config, args.mode, pool, _places(args))
            report = run(pool, store, offered, options, config)
    except DataGenerationError as error:
        return command_line.report_error("generate_data.py", error)
    except KeyboardInterrupt:
        print(
            "generate_data.py: interrupted; run the same command again to continue", file=sys.stderr
        )
        return command_line.INTERRUPTED
    print(report.summary())
    return 0 if report.is_complete else command_line.INCOMPLETE


@contextmanager
def _pool(
    args: argparse.Namespace, settings: worker.WorkerSettings, store: RawStore
) -> Iterator[Pool]:
    """Give the workers: of this machine, or of a cluster."""
    if args.ray is None:
        with WorkerPool(args.n_processes or 1, settings, args.max_seconds) as pool:
            yield pool
        return
    wanted = Wanted(
        args.ray,
        args.ray_cpus_per_worker,
        args.ray_gpus_per_worker,
        args.n_processes,
        bool(settings.config.cams),
    )
    with WorkerPool(1, settings, args.max_seconds) as local, RayCluster(wanted) as cluster:
        blind = (
            [] if args.ray_results == SENT else cluster.check_machines(store.root, args.ray_results)
        )
        if blind:
            logger.info(
                "%d machine(s) do not see %s, first %s: what they make is sent here and written"
                " here",
                len(blind),
                store.root,
                blind[0],
            )
        cluster.set_work(Work(settings, args.max_seconds))
        yield RemotePool(cluster, local, store, args.ray_results)


def _shard(args: argparse.Namespace) -> Shard | None:
    """Give the part of the work that this process does; None where it does all.

    Raises:
        ConfigError: It is wrong, or does not go with other flags.
    """
    if args.ray is not None and (args.shard is not None or args.finish):
        raise ConfigError(
            "--ray divides the work itself and writes the report; give it without --shard and"
            " --finish"
        )
    if args.finish and args.overwrite:
        raise ConfigError("--finish makes nothing; give it without --overwrite")
    if args.shard is None:
        if is_in_array(os.environ) and not args.finish:
            logger.info("this is one task of a Slurm array; --shard auto divides the work among it")
        return None
    if args.finish:
        raise ConfigError("--finish counts what all shards have made; give it without --shard")
    if args.overwrite:
        raise ConfigError(
            "--overwrite must be alone in the folder, --shard is not; name another --path_dataset,"
            " or delete the old one first"
        )
    return read_shard(args.shard, os.environ)


def _root(args: argparse.Namespace) -> str | None:
    """Give the folder of the checkout of RLBench, by flag or environment variable."""
    given = args.rlbench_root or os.environ.get("RLBENCH_ROOT")
    # Workers run in the same directory, but a path is easier to read in messages when it is whole.
    return str(Path(given).expanduser().absolute()) if given else None


def _places(args: argparse.Namespace) -> str:
    """Say in a message where tasks are looked for, and how to look elsewhere."""
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


if __name__ == "__main__":
    sys.exit(main())
