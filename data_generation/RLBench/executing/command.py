"""The command: flags, their checks, the work, what is written and printed."""

import argparse
import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

from data_generation.RLBench import command_line
from data_generation.RLBench.config import DatasetConfig, find_config, load_config
from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.executing.chart import write_figure
from data_generation.RLBench.executing.results import ALL_TASKS, ResultFolder, summarise, table
from data_generation.RLBench.executing.run import run
from data_generation.RLBench.executing.settings import (
    NAMED,
    PIXELS,
    REPLANS,
    Noise,
    Settings,
    film_path,
    parse_method,
    simulated_noises,
)
from rlbench.tasks import TASK_NAMES

logger = logging.getLogger("execute_keypoints")
PROGRAM = "execute_keypoints.py"
MAX_FRAMES = 1000
MAX_SCENES = 100_000


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    at_least = command_line.at_least
    parser = command_line.Parser(
        prog=PROGRAM,
        description="Let a robot do tasks by what cameras see: watch, lift, act.",
    )
    add = parser.add_argument
    add("--path_out", required=True, help="folder of the results: new, empty, or one to continue")
    add(
        "--path_dataset_config",
        default="dataset_config.json",
        help="dataset config: cameras, image size, detector, test_task_ids (default"
        " dataset_config.json)",
    )
    add("--tasks", nargs="+", help="ids or names of tasks (default: the config's test_task_ids)")
    add("--scenes", type=at_least(1), default=10, help="scenes of each task (default 10)")
    add("--seed", type=at_least(0), default=0, help="seed of the scenes (default 0)")
    add(
        "--methods",
        nargs="+",
        default=["truth", "dlt", "rts"],
        help=f"what lifts: {', '.join(NAMED)}, or best.pt of a training, as PATH or LABEL=PATH"
        " (default: truth dlt rts)",
    )
    add(
        "--noise_scale",
        type=float,
        nargs="+",
        default=[1.0],
        help="factors on the noise of the config's detector (default 1)",
    )
    add(
        "--detectors",
        nargs="+",
        default=[],
        metavar="BEST_PT",
        help="find the keypoints in pictures, by networks that run_detector.py has trained, one for"
        " each task; instead of simulated detections",
    )
    add(
        "--detected",
        metavar="ARCHIVE",
        help="with --detectors: an archive of their detections, which shows how they err",
    )
    add(
        "--structure",
        metavar="ARCHIVE",
        help="training data with the group frames: where a waypoint is not seen, it follows from"
        " one that always lies alike to it (learned without labels)",
    )
    add(
        "--frames",
        type=at_least(1),
        default=7,
        help="frames of a look, of 50 ms, with the robot at rest (default 7)",
    )
    add(
        "--occlusion",
        choices=("keep", "drop"),
        default="keep",
        help="keep: hidden points are detected, too; drop: only seen ones count (default keep)",
    )
    add(
        "--replan",
        choices=REPLANS,
        default=REPLANS[0],
        help="look once, or again before each waypoint (default start)",
    )
    add(
        "--grasp_limit_mm",
        type=float,
        default=8.0,
        help="with --replan each_waypoint: claimed deviation above which the robot goes on looking"
        " before it closes its hand (default 8)",
    )
    add(
        "--longest_wait",
        type=at_least(0),
        default=20,
        help="frames more that it looks then at most (default 20)",
    )
    add(
        "--tries",
        type=at_least(0),
        default=60,
        help="other poses, drawn from what the method claims, that are tried where no way leads to"
        " the lifted one (default 60)",
    )
    add(
        "--film",
        metavar="FILE",
        help="film the first scene of the first task by the last method and noise (.gif, .mp4)",
    )
    add("--n_processes", type=at_least(1), default=1, help="worker processes (default 1)")
    add("--robot_setup", default="panda", help="the robot (default panda)")
    add("--rlbench_root", help="checkout of RLBench, whose task files are programs: trust it")
    add("--tasks_from", choices=("auto", "builtin", "rlbench"), help="as of generate_data.py")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when every scene was executed, 2 on a user's error."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        config = load_config(find_config(args.path_dataset_config))
        settings = read_settings(args, config)
        folder = ResultFolder(Path(args.path_out).expanduser().absolute())
        film = None if args.film is None else film_path(args.film)
        tasks = chosen_tasks(args, config)
        run(settings, folder, tasks, args.scenes, args.n_processes, film)
        print(report(folder))
    except DataGenerationError as error:
        return command_line.report_error(PROGRAM, error)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; run the same command again to continue")
        return command_line.INTERRUPTED
    return 0


def read_settings(args: argparse.Namespace, config: DatasetConfig) -> Settings:
    """Turn flags into settings.

    Raises:
        ConfigError: A flag cannot be used.
    """
    if not 1 <= args.frames <= MAX_FRAMES:
        raise ConfigError(f"--frames {args.frames}; allowed: 1 to {MAX_FRAMES}")
    if args.scenes > MAX_SCENES:
        raise ConfigError(f"--scenes {args.scenes}; allowed: 1 to {MAX_SCENES}")
    if not (math.isfinite(args.grasp_limit_mm) and args.grasp_limit_mm > 0):
        raise ConfigError(f"--grasp_limit_mm {args.grasp_limit_mm:g}; it must be above 0")
    if len(config.track_cams) < 2:
        raise ConfigError(f"{config.source}: track_cams has one camera; 3D needs at least two")
    methods = tuple(parse_method(text) for text in args.methods)
    labels = [m.label for m in methods]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"--methods: two are called {twice!r}; give each a label of its own: LABEL=PATH"
        )
    engine = {
        "robot_setup": args.robot_setup,
        "rlbench_root": args.rlbench_root,
        "tasks_from": args.tasks_from,
    }
    return Settings(
        config,
        args.seed,
        args.frames,
        methods,
        _noises(args, config),
        args.replan,
        args.occlusion,
        args.grasp_limit_mm,
        args.longest_wait,
        args.tries,
        {k: v for k, v in engine.items() if v is not None},
        tuple(_file("--detectors", text) for text in args.detectors),
        None if args.detected is None else _file("--detected", args.detected),
        None if args.structure is None else _file("--structure", args.structure),
    )


def _noises(args: argparse.Namespace, config: DatasetConfig) -> tuple[Noise, ...]:
    if not args.detectors:
        if args.detected is not None:
            raise ConfigError("--detected belongs to --detectors; add it, or leave it out")
        return simulated_noises(config, args.noise_scale)
    if args.noise_scale != [1.0]:
        raise ConfigError("--noise_scale is of simulated detections; leave --detectors out")
    if args.detected is None:
        logger.warning(
            "--detectors without --detected: all detections of a view count alike, whatever the"
            " detector claims of each; name an archive of its detections (pose_obj_3d.detect)"
        )
    return (Noise(PIXELS, None),)


def _file(flag: str, text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"{flag} {text[:200]}: no such file")
    return path


def chosen_tasks(args: argparse.Namespace, config: DatasetConfig) -> list[int | str] | str:
    """Return ids and names of tasks, or "*"."""
    if args.tasks is None:
        given = config.task_ids("test")
        return given if isinstance(given, str) else list(given)
    return [int(text) if text.isdecimal() else text for text in args.tasks]


def report(folder: ResultFolder) -> str:
    """Write `results.json`, `results.md` and `success.png`; return the table."""
    summary = summarise(folder)
    names = {f"T{i}": f"{i} {name.replace('_', ' ')}" for i, name in enumerate(TASK_NAMES)}
    names[ALL_TASKS] = "all tasks"
    folder.write_summary("results.json", json.dumps(summary, indent=1, allow_nan=False) + "\n")
    text = table(summary)
    folder.write_summary("results.md", text)
    write_figure(folder.root / "success.png", summary, names)
    return text
