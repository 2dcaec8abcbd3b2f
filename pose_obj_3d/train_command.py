"""Command line of the two training scripts: flags to plain arguments, exit codes."""

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.experiments import complexity, evaluate_checkpoint, train_and_test, variants_of
from pose_obj_3d.training import processes
from pose_obj_3d.training.config import METRICS, Config, load_config
from pose_obj_3d.training.device import set_threads
from pose_obj_3d.training.experiment import open_experiment


def build_parser(unsupervised: bool) -> argparse.ArgumentParser:
    """Return the parser; the flags keep the original's names."""
    kind = "without a single 3D label" if unsupervised else "with 3D labels"
    parser = argparse.ArgumentParser(
        description=f"Train and evaluate a multi-view 3D keypoint estimator {kind}."
    )
    add = parser.add_argument
    add(
        "--cfg",
        type=Path,
        required=True,
        help="YAML config, such as ./cfg/submit/config_waypoints_task_0.yaml",
    )
    add(
        "--gpu",
        help="CUDA device number (default: GPU of the config); without such a device, the CPU is"
        " used",
    )
    add("--eval", action="store_true", help="evaluate without training")
    add(
        "--checkpoint",
        help="checkpoint to evaluate: a file, or 'auto' (default): this config's newest run",
    )
    add(
        "--resume_checkpoint", help="last.pt of a run, or 'auto': continue this config's newest run"
    )
    add(
        "--eval_n_views",
        type=int,
        nargs="+",
        help="also evaluate with every subset of n views, for each n: their mean and the worst",
    )
    add(
        "--eval_view_list",
        type=int,
        nargs="+",
        help="view numbers to evaluate with (default: TEST_CAMERAS)",
    )
    add(
        "--eval_n_frames",
        type=int,
        nargs="+",
        help="also evaluate with only n frames of the window, for each n",
    )
    add("--n_frames", type=int, help="frames of a window (default: NETWORK.TEMPORAL_LENGTH)")
    add("--eval_batch_size", type=int, help="windows in a batch of the evaluation")
    add(
        "--metric",
        choices=METRICS,
        help="metric of the printed table (default: TEST.METRIC); results.json has all",
    )
    add("--triangulate", action="store_true", help="evaluate triangulation, without a model")
    add(
        "--log",
        type=Path,
        nargs="?",
        const=None,
        help="folder for logs and checkpoints (default: pose_obj_3d)",
    )
    add("--debug", action="store_true", help="verbose log, and tracebacks for errors")
    add("--vis_3d", action="store_true", help="save a 3D figure of every test example")
    add(
        "--vis_complexity",
        action="store_true",
        help="print the number of parameters and the speed of the model",
    )
    return parser


def main(argv: Sequence[str] | None = None, unsupervised: bool = False) -> int:
    """Run a command; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser(unsupervised).parse_args(argv)
    return run_command(
        lambda: run(args, unsupervised), args.debug, args.debug, processes.is_first()
    )


def run(args: argparse.Namespace, unsupervised: bool) -> None:
    """Train, or evaluate, as the flags say."""
    config = apply_flags(load_config(args.cfg), args)
    _check_flags(args, config)
    set_threads(config.NETWORK.TYPE)
    is_first = processes.is_first()
    if not is_first:
        logging.disable(logging.WARNING)
        if args.eval or config.NETWORK.TYPE == "triangulation":
            return
    experiment = open_experiment(config, args.cfg, unsupervised, args.log)
    variants = variants_of(config, experiment.data)
    if args.vis_complexity and is_first:
        parameters, rate = complexity(experiment)
        tell(f"{config.NETWORK.TYPE}: {parameters} parameters, {rate:.0f} windows/s forward")
    if args.eval or config.NETWORK.TYPE == "triangulation":
        evaluate_checkpoint(experiment, variants, args.checkpoint, draw_all=args.vis_3d, tell=tell)
    else:
        say, resume = tell if is_first else None, args.resume_checkpoint
        train_and_test(experiment, variants, resume, draw_all=args.vis_3d, tell=say)


def tell(text: str) -> None:
    """Print what the command was run for."""
    print(text)  # noqa: T201


def _check_flags(args: argparse.Namespace, config: Config) -> None:
    """Refuse flags that would have no effect."""
    if config.NETWORK.TYPE == "triangulation" and (args.checkpoint or args.resume_checkpoint):
        raise ConfigError(
            "triangulation has no checkpoint; leave out --checkpoint, --resume_checkpoint or"
            " --triangulate"
        )
    if args.checkpoint and not args.eval:
        raise ConfigError(
            "--checkpoint is what --eval evaluates: add --eval, or pass --resume_checkpoint to go"
            " on training"
        )
    if args.eval and args.resume_checkpoint:
        raise ConfigError(
            "--eval trains nothing: pass --checkpoint, not --resume_checkpoint, to say what it"
            " evaluates"
        )


def apply_flags(config: Config, args: argparse.Namespace) -> Config:
    """Let flags override the config; the dataclasses check the values again."""

    def given(**values: Any) -> dict[str, Any]:
        return {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if v is not None
        }

    network = given(
        TEMPORAL_LENGTH=args.n_frames, TYPE="triangulation" if args.triangulate else None
    )
    test = given(
        NUM_FRAMES=args.eval_n_frames,
        NUM_VIEWS=args.eval_n_views,
        BATCH_SIZE=args.eval_batch_size,
        METRIC=args.metric,
    )
    return dataclasses.replace(
        config,
        NETWORK=dataclasses.replace(config.NETWORK, **network),
        TEST=dataclasses.replace(config.TEST, **test),
        OBJ_POSE_DATA=dataclasses.replace(
            config.OBJ_POSE_DATA, **given(TEST_CAMERAS=args.eval_view_list)
        ),
        **given(GPU=args.gpu),
    )
