"""Find keypoints in pictures: `python -m pose_obj_3d.detect --checkpoint best.pt`.

Each demo of an archive is given to a detector that was not trained on it, and what it finds is
written into a new archive. `--tracker` takes a tracker without training in place of a detector,
`--import` the detections of any other program. See docs/pixels.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.detect", 850)

import argparse
import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import cv2
import torch

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import ConfigError, PoseObj3DError
from pose_obj_3d.detector.applying import plans
from pose_obj_3d.detector.applying.checking import compare
from pose_obj_3d.detector.applying.importing import read_external
from pose_obj_3d.detector.applying.lucas_kanade import NAME as LUCAS_KANADE
from pose_obj_3d.detector.applying.parts import Parts
from pose_obj_3d.detector.applying.plans import DESCRIPTION, Loaded
from pose_obj_3d.detector.applying.running import Work, detect_task, part_key
from pose_obj_3d.detector.applying.writing import write_detected
from pose_obj_3d.detector.config import DetectorConfig
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning.finding import TrainedDetector
from pose_obj_3d.formal import ARCHIVE_NAME, FormalData, read_formal
from pose_obj_3d.shipped import keep_shipped
from pose_obj_3d.training.config import PACKAGE_DIR
from pose_obj_3d.training.device import choose_device

logger = logging.getLogger("detect")
DATA = PACKAGE_DIR / "data" / "RLBench_pose_est_data"
OUT_NAME = "sim_all_detected.npz"
MADE_OF = "made_of"
MAX_PROCESSES = 256
FOLD_FOLDERS = "fold_*"  # as run_detector.py names them
Load = Callable[[Path, torch.device], Loaded]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.detect",
        description="Find the keypoints of an archive's demos in their pictures.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        type=Path,
        nargs="+",
        default=[],
        help="best.pt of each fold that run_detector.py trained (one of them: the others are found"
        " beside it); of several tasks, too",
    )
    add(
        "--tracker",
        choices=[LUCAS_KANADE],
        help="follow the keypoints of the first frame instead; it takes the labels of those seen,"
        " or what --checkpoint finds",
    )
    add(
        "--import",
        dest="external",
        type=Path,
        help="npz file with the detections of another program: T<task>/exemple_<n>, (V, T, K, C)",
    )
    add("--name", default="external", help="--import: name of the detector (default external)")
    add(
        "--archive",
        type=Path,
        default=DATA / ARCHIVE_NAME,
        help="archive whose demos have pictures (default: where convert_data.py writes it)",
    )
    add(
        "--out",
        type=Path,
        help=f"archive to write (default: {OUT_NAME} in the folder of --archive)",
    )
    add("--tasks", type=int, nargs="+", default=[], help="--tracker: task ids (default: all)")
    add(
        "--prompts",
        help="which objects are meant: a JSON file with boxes, mask files or colours, or"
        f" '{DESCRIPTION}' for the colours in the archive's descriptions (default: the archive's"
        " masks)",
    )
    add(
        "--n_processes",
        type=int,
        default=1,
        help="processes that share the demos, one core each (default 1)",
    )
    add("--helper", action="store_true", help=argparse.SUPPRESS)  # detects, but writes no archive
    add("--gpu", default="0", help="CUDA device number (default 0); without it, the CPU")
    add("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)

    def work() -> None:
        check_flags(args)
        print(run(args, sys.argv[1:] if argv is None else argv))  # noqa: T201

    return run_command(work, args.debug)


def run(args: argparse.Namespace, argv: Sequence[str]) -> str:
    """Detect, or import, and write; return a line that says what was written."""
    cv2.setNumThreads(1)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # on busy cores a second thread costs more than it gives
    data = read_formal(args.archive)
    out = args.out or args.archive.with_name(OUT_NAME)
    if out.resolve() == args.archive.resolve():
        raise ConfigError(f"--out {out} is the archive that is read; give another name")
    if args.external is not None:
        return _import(args, data, out)
    pictures = DemoPictures(data)
    works: list[Work] = []
    if args.checkpoint:
        device = choose_device(args.gpu)
        loaded = [load(path, device) for path in with_other_folds(args.checkpoint)]
        works = plans.plan_trained(pictures, loaded, args.prompts)
    if args.tracker:
        works = plans.plan_tracker(pictures, args.tasks, works)
    if args.helper:
        for work in works:
            detect_task(pictures, work, Parts.of(out))
        return "done"
    return detect(pictures, works, out, helpers(argv, args.n_processes))


@contextmanager
def helpers(argv: Sequence[str], count: int) -> Iterator[None]:
    """Let further processes with the same flags share the demos; what they say is not shown.

    They end when all demos are detected, or with this process's error.
    """
    flags = ["--n_processes", "1", "--helper"]
    command = [sys.executable, "-m", "pose_obj_3d.detect", *argv, *flags]
    paths = [str(PACKAGE_DIR.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    null = subprocess.DEVNULL
    started = [
        subprocess.Popen(command, stdout=null, stderr=null, env=environment)  # noqa: S603
        for _ in range(count - 1)
    ]
    try:
        yield
    except BaseException:
        for process in started:
            process.terminate()
        raise
    finally:
        for process in started:
            process.wait()


def check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that do not go together."""
    if not 1 <= args.n_processes <= MAX_PROCESSES:
        raise ConfigError(f"--n_processes {args.n_processes}; allowed: 1 to {MAX_PROCESSES}")
    has_source = bool(args.checkpoint) or args.tracker is not None
    if has_source == (args.external is not None):
        raise ConfigError(
            "give --checkpoint (best.pt of each fold), or --tracker, or --import, such as"
            " --checkpoint checkpoint/detector/<run>/fold_*/best.pt"
        )
    if args.prompts is not None and not args.checkpoint:
        raise ConfigError("--prompts is for detectors: give --checkpoint, too")
    if args.tasks and (not args.tracker or args.checkpoint):
        raise ConfigError("--tasks is for --tracker alone; a checkpoint knows its task")


def with_other_folds(paths: Sequence[Path]) -> list[Path]:
    """Add the other folds' checkpoints of a training of which one was given."""
    found = list(dict.fromkeys(paths))
    for path in paths:
        others = sorted(path.parent.parent.glob(f"{FOLD_FOLDERS}/{path.name}"))
        is_alone = sum(p.parent.parent == path.parent.parent for p in found) == 1
        if is_alone and path in others and len(others) > 1:
            found += [other for other in others if other != path]
            logger.info("With the other folds of this training: %d checkpoints", len(others))
    return found


def load(path: Path, device: torch.device) -> Loaded:
    """Load a detector from its checkpoint."""
    digest = plans.digest_of(path)
    config = config_of(path, checkpoints.load(path), DetectorConfig)
    return Loaded(path, digest, TrainedDetector(path, device), config.DATA.LABELLED_FRAMES)


def detect(
    pictures: DemoPictures,
    works: Sequence[Work],
    out: Path,
    sharing: AbstractContextManager[None],
) -> str:
    """Detect in all demos of the planned tasks and write the archive.

    Args:
        pictures: The archive's pictures.
        works: The planned tasks.
        out: The archive to write.
        sharing: As long as it is open, other processes have a share in the work.
    """
    data = pictures.data
    made_of = _made_of(pictures, works)
    if _is_done(out, made_of):
        return f"{out} holds these detections already"
    left_out = sorted(set(data.tracks) - {work.task for work in works})
    if left_out:
        listed = ", ".join(f"T{task}" for task in left_out)
        logger.info("Without a detector, so not in %s: %s", out.name, listed)
    pictures.check([(w.task, n) for w in works for n in range(len(data.tracks[w.task]))])
    parts = Parts.of(out)
    with sharing:
        found = {work.task: detect_task(pictures, work, parts) for work in works}
    if parts.reused:
        logger.info("%d demos were detected by an earlier, interrupted run", parts.reused)
    names = dict.fromkeys(d.name for work in works for d in work.detectors)
    record: dict[str, Any] = {
        "detector": ", ".join(names)[:200],
        "folds": {f"T{w.task}": w.fold_of() for w in works if w.folds},
        "labelled_frames": _fewest_labels(works),
        MADE_OF: made_of,
    }
    keep_shipped(out)
    write_detected(out, data, found, record, {w.task: w.exchangeable for w in works})
    parts.remove()
    counts = ", ".join(f"T{task} {len(xs)} examples" for task, xs in found.items())
    return f"{counts} written to {out}"


def _fewest_labels(works: Sequence[Work]) -> int | None:
    """Return the fewest labelled frames of a view that trained a detector; None: all had all."""
    return min((n for w in works if (n := w.labelled_frames) is not None), default=None)


def _made_of(pictures: DemoPictures, works: Sequence[Work]) -> str:
    """Name a set of detections by all that they depend on."""
    keys = [part_key(pictures, work, n) for work in works for n in sorted(work.chosen)]
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()


def _is_done(out: Path, made_of: str) -> bool:
    if not out.is_file():
        return False
    try:
        record = read_formal(out).meta.get("detections") or {}
    except PoseObj3DError:
        return False
    return record.get(MADE_OF) == made_of


def _import(args: argparse.Namespace, data: FormalData, out: Path) -> str:
    found = read_external(args.external, data)
    record = {"detector": args.name, "folds": {}, "labelled_frames": None}
    alike = {task: data.exchangeable(task) for task in found}
    keep_shipped(out)
    write_detected(out, data, found, record, alike)
    for line in compare(data, found):
        logger.info("%s", line)
    counts = ", ".join(f"T{task} {len(xs)} examples" for task, xs in found.items())
    return f"{counts} written to {out}"


if __name__ == "__main__":
    sys.exit(main())
