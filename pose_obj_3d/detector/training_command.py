"""Command line of `run_detector.py`: flags to plain arguments, exit codes."""

import argparse
import dataclasses
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.errors import CheckpointError, ConfigError
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.detector.config import DetectorConfig, load_config
from pose_obj_3d.detector.folds import Fold
from pose_obj_3d.detector.learning.checkpoint import LAST
from pose_obj_3d.detector.learning.fold_run import Places, report_text, run_fold
from pose_obj_3d.detector.learning.source import Source
from pose_obj_3d.training.checkpoints.store import new_run
from pose_obj_3d.training.config import PACKAGE_DIR, to_dict
from pose_obj_3d.training.device import choose_device

logger = logging.getLogger(__name__)
GROUP = "detector"  # folder of logs and of checkpoints
AUTO = "auto"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        description="Train detectors of keypoints on the pictures of an archive, one for each fold."
    )
    add = parser.add_argument
    add("--cfg", type=Path, required=True, help="YAML config, such as ./cfg/detector/task_9.yaml")
    add("--fold", type=int, nargs="+", help="folds to train, from 0 (default: all)")
    add("--minutes", type=float, help="length of the training of a fold (default: TRAIN.MINUTES)")
    add("--steps", type=int, help="batches of the training of a fold (default: TRAIN.STEPS)")
    add(
        "--gpu",
        help="CUDA device number (default: GPU of the config); without such a device, the CPU is"
        " used",
    )
    add(
        "--resume_checkpoint",
        help="folder of a run's checkpoints, or 'auto': continue this config's newest run",
    )
    add("--log", type=Path, help="folder for logs and checkpoints (default: pose_obj_3d)")
    add("--debug", action="store_true", help="verbose log, and tracebacks for errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), args.debug, verbose=args.debug)


def run(args: argparse.Namespace) -> None:
    """Train and test the folds that the flags ask for."""
    config = apply_flags(load_config(args.cfg), args)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # on busy cores a second thread costs more than it gives
    device = choose_device(config.GPU)
    source = Source(config, args.cfg)
    folds = chosen_folds(source.folds, args.fold)
    places = _places(args)
    for fold in folds:
        run_fold(source, fold, places, config, device, resumes=bool(args.resume_checkpoint))
    results = reported(places.logs)
    text = report_text(results)
    record = {"config": to_dict(config), "data": str(source.data.path), "folds": results}
    write_whole(places.logs / "report.json", json.dumps(record, indent=1).encode())
    write_whole(places.logs / "report.txt", f"{text}\n".encode())
    print(f"{text}\nReport: {places.logs / 'report.txt'}\nCheckpoints: {places.checkpoints}")  # noqa: T201


def apply_flags(config: DetectorConfig, args: argparse.Namespace) -> DetectorConfig:
    """Let flags override the config; the dataclasses check the values again."""
    if args.minutes is not None and args.steps is not None:
        raise ConfigError("--minutes and --steps are two budgets: pass one")
    train: dict[str, Any] = {}
    if args.minutes is not None:
        train = {"MINUTES": args.minutes, "STEPS": None}
    if args.steps is not None:
        train = {"STEPS": args.steps}
    gpu = {} if args.gpu is None else {"GPU": args.gpu}
    return dataclasses.replace(config, TRAIN=dataclasses.replace(config.TRAIN, **train), **gpu)


def chosen_folds(folds: Sequence[Fold], numbers: Sequence[int] | None) -> list[Fold]:
    """Return the folds of these numbers, each once; all where none are given.

    Raises:
        ConfigError: A fold does not exist.
    """
    if not numbers:
        return list(folds)
    strange = [n for n in numbers if not 0 <= n < len(folds)]
    if strange:
        raise ConfigError(
            f"--fold {strange[0]} does not exist; DATA.FOLDS makes {len(folds)}, numbered from 0"
        )
    return [folds[n] for n in dict.fromkeys(numbers)]


def reported(logs: Path) -> list[dict[str, Any]]:
    """Return the reports of all folds in a run's log folder: also of those trained earlier.

    Raises:
        CheckpointError: A report is damaged.
    """
    found = []
    for path in logs.glob("fold_*/report.json"):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            found.append((int(report["fold"]), report))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path}: damaged report; delete it, or train that fold again ({error})"
            ) from error
    return [report for _, report in sorted(found, key=lambda entry: entry[0])]


def _places(args: argparse.Namespace) -> Places:
    """Choose the folders of a new run, or those of the run to continue."""
    base = args.log or PACKAGE_DIR
    logs, checkpoints = base / "log" / GROUP, base / "checkpoint" / GROUP
    resumed = _resumed(args.resume_checkpoint, checkpoints, args.cfg.stem)
    name = resumed.name if resumed else new_run(logs, checkpoints, args.cfg)
    places = Places(logs / name, resumed or checkpoints / name)
    places.logs.mkdir(parents=True, exist_ok=True)
    return places


def _resumed(asked: str | None, root: Path, stem: str) -> Path | None:
    """Return the folder of the run to continue; None starts a new one.

    Raises:
        CheckpointError: The folder that was asked for holds no run.
    """
    if asked is None:
        return None
    if asked != AUTO:
        folder = Path(asked)
        if not list(folder.glob(f"fold_*/{LAST}")):
            raise CheckpointError(
                f"{folder}: no fold_<n>/{LAST} there; pass the folder of a run's checkpoints, as"
                f" {root}/<run>, or 'auto'"
            )
        return folder
    runs = {path.parent.parent for path in root.glob(f"{stem}_[0-9]*/fold_*/{LAST}")}
    if not runs:
        logger.info("Starting a new run: there is none of %s in %s", stem, root)
        return None
    return max(runs, key=lambda folder: (folder.stat().st_mtime_ns, folder.name))
