"""Accuracy of all methods on the shipped data under several conditions: tables, ratios, figures.

Run by hand from the repository's root; the second run of the same command reads its cells only:

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_accuracy.py [--tasks 9 12] [--methods references
    bounds]

Methods that learn are trained for every task and condition (a subset of the views uses the models
of all views). Several processes with different `--tasks` may share one `--out`.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.evaluation import ensemble_kalman
from pose_obj_3d.formal import read_formal, shipped_archive
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import PACKAGE_DIR
from tests.benchmarks import accuracy_report
from tests.benchmarks.accuracy_cases import Case, Source
from tests.benchmarks.accuracy_cells import LEARNED, METHODS, Cells
from tests.benchmarks.accuracy_data import CONDITIONS, few
from tests.benchmarks.accuracy_derived import Table
from tests.benchmarks.accuracy_references import BOUNDS, REFERENCES, TRACK_REFERENCES

ARCHIVE = shipped_archive(PACKAGE_DIR / "data" / "RLBench_pose_est_data")
DETECTED_ARCHIVE = ARCHIVE.with_name("sim_all_detected.npz")
SETS = {
    "references": [*REFERENCES, *TRACK_REFERENCES],
    "bounds": [*BOUNDS],
    "learned": [*LEARNED],
    "stc": [m for m in LEARNED if m.startswith("stc")],
    "mht": [m for m in LEARNED if m.startswith("mht")],
}
"""Names of several methods."""
EPOCHS = 12
QUICK_DEMOS = 24
logger = logging.getLogger("accuracy")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default=ARCHIVE, help="archive (default: the shipped one)")
    add(
        "--pixels",
        type=Path,
        default=DETECTED_ARCHIVE,
        help="archive with the detections of a detector, for the conditions of pixels (default:"
        " %(default)s)",
    )
    add(
        "--out",
        type=Path,
        default=PACKAGE_DIR / "log" / "accuracy",
        help="cells, trainings, report (default: %(default)s)",
    )
    add("--tasks", type=int, nargs="+", help="task ids (default: all of the archive)")
    add("--conditions", nargs="+", choices=CONDITIONS, help="default: all")
    add(
        "--methods",
        nargs="+",
        choices=[*SETS, *METHODS],
        default=["references", "learned", "bounds"],
    )
    add("--epochs", type=int, help=f"of STC (default: {EPOCHS})")
    add(
        "--mht_epochs",
        type=int,
        default=0,
        help="of MHT, task 9 only; 0 (default): it is not trained",
    )
    add(
        "--mht_checkpoints",
        type=Path,
        nargs="+",
        default=[],
        help="folders of trained MHT of task 9, to report instead",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="of the conditions' noise and of the intervals (default: %(default)s)",
    )
    add("--resamples", type=int, default=1000, help="of the bootstrap (default: %(default)s)")
    add(
        "--demos",
        type=int,
        help="at most so many demonstrations of each task to train on, and to test (default: all)",
    )
    add(
        "--quick",
        action="store_true",
        help=f"a few minutes: task 9, clean, as measured and pixels, {QUICK_DEMOS} demonstrations,"
        " one epoch, unless other flags say otherwise",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for; 0 on success, 2 on a user's error."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for noisy in ("matplotlib", "pose_obj_3d.training.config", "eks"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if args.quick:
        args.tasks, args.epochs = args.tasks or [9], args.epochs or 1
        args.conditions = args.conditions or ["clean", "as_measured", "pixels"]
        args.demos = args.demos or QUICK_DEMOS
    args.conditions = args.conditions or list(CONDITIONS)
    args.epochs = args.epochs or EPOCHS
    try:
        run(args)
    except (PoseObj3DError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def read_source(path: Path, demos: int | None) -> Source:
    """Read an archive, or the first demonstrations of each part of its split."""
    data, sha = read_formal(path), checkpoints.file_sha256(path)
    return Source(few(data, demos), f"{sha} {demos}") if demos else Source(data, sha)


class Sources:
    """The archives of the conditions: simulated detections, and those of a detector.

    Args:
        args: The command's.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.seed = args.seed
        self.simulated = read_source(args.data, args.demos)
        asked = any(
            CONDITIONS[name].is_detected or name.endswith("_pixels") for name in args.conditions
        )
        self.detected = (
            read_source(args.pixels, args.demos) if asked and args.pixels.is_file() else None
        )
        self._missing = f"{args.pixels} does not exist; --pixels names an archive of detections"

    def cases(self, name: str, task: int) -> tuple[Case, Case] | None:
        """Return a condition's test data and training data; None, logged, where there are none."""
        found = self._case(name, task)
        origin = CONDITIONS[name].trained_on
        trained = self._case(origin, task) if origin else found
        reason = found if isinstance(found, str) else trained
        if not isinstance(found, str) and not isinstance(trained, str):
            if found.ids == trained.ids:
                return found, trained
            reason = "the archives of test and training have other keypoints"
        logger.warning("T%d %s is left out: %s", task, name, reason)
        return None

    def _case(self, name: str, task: int) -> Case | str:
        condition = CONDITIONS[name]
        source = self.detected if condition.is_detected else self.simulated
        if source is None:
            return self._missing
        if condition.is_detected and task not in source.data.detections:
            return f"{source.data.path} has no detections of the task"
        return Case(source, name, condition, task, self.seed)


def run(args: argparse.Namespace) -> None:
    """Compute or read all cells, then write the report."""
    sources = Sources(args)
    tasks = args.tasks or sorted(sources.simulated.data.tracks)
    sources.simulated.data.require_tasks(tasks)
    asked = {m for name in args.methods for m in SETS.get(name, [name])}
    methods = [m for m in METHODS if m in asked]
    if "eks" in methods and not ensemble_kalman.is_installed():
        logger.warning("%s", ensemble_kalman.NOT_INSTALLED)
        methods.remove("eks")
    cells = Cells(args.out, {"stc": args.epochs, "mht": args.mht_epochs}, args.mht_checkpoints)
    results: dict[tuple[int, str, str], dict[str, Any]] = {}
    begin = time.monotonic()
    for task in tasks:
        for name in args.conditions:
            cases = sources.cases(name, task)
            for method in methods if cases else ():
                cell = cells.get(*cases, method)
                if cell is not None:
                    results[task, name, method] = cell
        logger.info("T%d: %d cells so far, %.0f s", task, len(results), time.monotonic() - begin)
    header = {
        "data": told(sources.simulated),
        "pixels": told(sources.detected) if sources.detected else "none",
        "demonstrations": args.demos or "all",
        "tasks": ", ".join(f"T{t}" for t in tasks),
        "epochs": args.epochs,
        "seed": args.seed,
        "resamples": args.resamples,
        "torch": torch.__version__,
    }
    table = Table(results, tasks, args.resamples, args.seed)
    done = [m for m in methods if any(key[2] == m for key in results)]
    accuracy_report.write(args.out, table, args.conditions, done, header)
    print(f"Report: {args.out / 'accuracy.md'}")


def told(source: Source) -> str:
    """Return the name of an archive, and what says that it is the same one."""
    return f"{source.data.path.name} (sha256 {source.sha256[:12]})"


if __name__ == "__main__":
    sys.exit(main())
