"""Lift your own videos' 2D tracks to 3D: `python -m pose_obj_3d.lift --points2d tracks.npz`. See docs/own_videos.md.

Without further flags the tracks are triangulated robustly and smoothed; `--train` learns from them,
without a label, how their keypoints move; `--checkpoint` takes what was learned before.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.lift", 850)

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pose_obj_3d.common.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    PoseObj3DError,
    one_line,
)
from pose_obj_3d.geometry.checks.calibration_checks import Images, examine
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.lifting import learning as lift_models
from pose_obj_3d.lifting import pictures as lift_pictures
from pose_obj_3d.lifting import report as lift_report
from pose_obj_3d.lifting.choice import ROBUST
from pose_obj_3d.lifting.gaps import BRIDGE_LIMIT
from pose_obj_3d.lifting.learning import EPOCHS, PATIENCE, STEP_RANGE
from pose_obj_3d.lifting.lift_file import RTS, Lifting
from pose_obj_3d.lifting.track_files.track_file import METRES, TrackFile, read_tracks
from pose_obj_3d.lifting.tracks_from_file import (
    OwnData,
    keypoint_ids,
    load_own,
    points_of,
    reject_outliers,
    sequences_of,
)
from pose_obj_3d.tracks import track_smoothing as smoothers
from pose_obj_3d.training import checkpoints

__all__ = ["RTS", "build_parser", "main"]
logger = logging.getLogger(__name__)
KEPT = ("best", "model", "smoother", "triangulation")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.lift",
        description="Lift 2D tracks of calibrated cameras to 3D, without labels.",
    )
    add = parser.add_argument
    add(
        "--points2d",
        type=Path,
        required=True,
        help="tracks.npz: points, intrinsics, extrinsics, ... (docs/own_videos.md)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--train", action="store_true", help="learn from these tracks, without labels")
    how.add_argument(
        "--checkpoint",
        type=Path,
        help=(
            "best.pt of an earlier --train, or of the shipped tasks; of an MHT only for cameras"
            " placed as in its training"
        ),
    )
    add("--out", type=Path, help="folder for the results (default: <points2d without .npz>_3d)")
    add(
        "--units",
        choices=sorted(METRES),
        help="unit of extrinsics and truth, where the file does not say it (m)",
    )
    add(
        "--sigma_px",
        type=float,
        nargs="+",
        help="noise of the 2D points [px], one or one for each camera (estimated)",
    )
    add("--views", nargs="+", default=[], help="cameras to use, by name or number (all)")
    add(
        "--context",
        choices=("window", "track"),
        help="--train: use 7 frames, or the whole recording (track)",
    )
    add(
        "--epochs",
        type=int,
        help=f"--train: epochs ({EPOCHS}, within {STEP_RANGE[0]} to {STEP_RANGE[1]} steps)",
    )
    add(
        "--patience",
        type=int,
        help=(
            f"--train: epochs without a better validation value before it stops ({PATIENCE}; 0 ="
            " never)"
        ),
    )
    add("--seed", type=int, default=0, help="--train: seed of the weights and the order")
    add(
        "--keep",
        choices=KEPT,
        default=KEPT[0],
        help="which result is kept, whatever left-out detections say (best: what they say)",
    )
    add(
        "--bridge_limit",
        type=float,
        help=(
            "largest standard deviation of a point between measurements [unit of the file]; NaN"
            " beyond (2 to 3 %% of the distance between cameras and points)"
        ),
    )
    add("--images", help="where the frames are, for the pictures: 'folder/{view}_{frame:06d}.png'")
    add("--no_pictures", action="store_true", help="write numbers only")
    add("--gpu", default="0", help="CUDA device number; the CPU where there is none")
    add("--debug", action="store_true", help="tracebacks for errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for noisy in ("matplotlib", "PIL", "tensorboard"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        run(args)
    except (PoseObj3DError, OSError) as error:
        if args.debug:
            raise
        print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def run(args: argparse.Namespace) -> None:
    """Read, check, lift, write."""
    check_flags(args)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    file = read_tracks(args.points2d, args.units, args.views)
    warnings, file = check_file(file)
    state = checkpoints.load(args.checkpoint) if args.checkpoint else None
    if state:
        check_ids(args.checkpoint, state["keypoint_ids"], file)
        data = load_own(
            file,
            args.sigma_px or (),
            state["keypoint_ids"],
            lift_models.trained_unit(args.checkpoint, state),
        )
    else:
        data = load_own(file, args.sigma_px or ())
    logger.info(
        "Noise [px]: %s",
        ", ".join(
            f"{n} {s:.2f}" for n, s in zip(file.camera_names, data.sigma_px.tolist(), strict=True)
        ),
    )
    kept, motions = reject_outliers(data.tracks, data.rig, 1 / file.fps)
    if args.train:
        warnings += warned(lift_models.few_frames(len(kept)))
    out = args.out or args.points2d.with_name(f"{args.points2d.stem}_3d")
    out.mkdir(parents=True, exist_ok=True)
    lifter = None
    if args.train:
        lifter = lift_models.learn(args, data, kept, out)
    elif state:
        lifter = lift_models.restored(args, state, data, kept)
    lifting = Lifting(file, data, kept, motions, lifter)
    lifted = lifting.result(args.keep, bridge_limit(args, file, data))
    if not bool(lifted.estimate.xyz.isfinite().any()):
        raise DataError(
            f"{file.path}: no point could be lifted: no frame's views agree on one; check"
            " calibration, units and points"
        )
    warnings += warned(lifted.warnings)
    report = lift_report.measure(file, data, lifted)
    report["warnings"], report["notes"] = warnings, lifted.notes
    for keypoint, (motion, q) in zip(report["keypoints"], motions, strict=True):
        is_smoothed = keypoint["method"] != ROBUST
        keypoint["motion"] = (
            f"{motion}, {q * data.unit_m:.2g} {smoothers.Q_UNIT[motion]}" if is_smoothed else "-"
        )
    lift_report.save_points(out / "points3d.npz", file, data, lifted)
    lift_report.write_report(out, report, () if args.no_pictures else lift_pictures.NAMES)
    pictures = [] if args.no_pictures else lift_pictures.draw(out, file, data, lifted, args.images)
    print(lift_report.summary(report))  # noqa: T201
    names = " ".join(picture.name for picture in pictures)
    print(f"Results: {out / 'points3d.npz'} {out / 'report.md'} {names}")  # noqa: T201


def check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other, before the work."""
    if not args.train and (args.context or args.epochs is not None or args.patience is not None):
        raise ConfigError(
            "--context, --epochs and --patience belong to --train; add it, or leave them out"
        )
    args.patience = PATIENCE if args.patience is None else args.patience
    if args.patience < 0:
        raise ConfigError(
            f"--patience {args.patience}: allowed: a number of epochs, or 0 for never"
        )
    if args.keep == "model" and not (args.train or args.checkpoint):
        raise ConfigError("--keep model: there is none; add --train or --checkpoint")
    if args.bridge_limit is not None and not args.bridge_limit >= 0:
        raise ConfigError(
            f"--bridge_limit {args.bridge_limit}: allowed: 0 (bridge nothing) to inf (every gap"
            " between measurements)"
        )
    if args.images:
        lift_pictures.image_path(args.images, "camera", 0)


def bridge_limit(args: argparse.Namespace, file: TrackFile, data: OwnData) -> float:
    """Return the largest standard deviation that a point in a gap may claim, in units of `data.unit_m`."""
    given: float | None = args.bridge_limit
    return BRIDGE_LIMIT if given is None else given * METRES[file.unit] / data.unit_m


def warned(lines: list[str]) -> list[str]:
    """Log the lines as warnings, and return them."""
    for line in lines:
        logger.warning(line)
    return lines


def check_file(file: TrackFile) -> tuple[list[str], TrackFile]:
    """Warn of what looks wrong; what cannot work is a DataError.

    Returns:
        The warnings, and the file without the detections of cameras that can only do harm.
    """
    keypoint_ids(file)
    uv, confidence = points_of(file)
    warnings = list(file.notes)
    # The cameras as the file has them: about their middle, inverted matrices would not be the
    # user's.
    rig = Rig(
        torch.from_numpy(file.intrinsics),
        torch.from_numpy(file.extrinsics),
        1.0,
        tuple(range(len(file.extrinsics))),
    )
    try:
        found = examine(
            uv,
            confidence,
            rig,
            file.camera_names,
            file.keypoint_names,
            file.unit,
            sequences_of(file)[0],
            images_of(file),
        )
    except DataError as error:
        raise DataError(f"{file.path}: {error}") from error
    warnings += found.warnings
    if found.useless:
        used = file.confidence.copy()
        used[found.useless] = 0
        file = replace(file, confidence=used)
        warnings.append(
            f"camera {', '.join(file.camera_names[v] for v in found.useless)} is left out of the"
            " result"
        )
    for warning in warnings:
        logger.warning("%s: %s", file.path, warning)
    return warnings, file


def images_of(file: TrackFile) -> Images:
    """Return what was detected, before distortion was taken out."""
    size = 2 * file.intrinsics[:, :2, 2] if file.image_size is None else file.image_size
    return Images(
        torch.from_numpy(file.measured).transpose(0, 1),
        torch.from_numpy(size),
        file.distortion,
        file.lenses,
    )


def check_ids(path: Path, trained: Sequence[str], file: TrackFile) -> None:
    """Refuse a model that does not know one of the file's keypoints."""
    ids = dict(zip(file.keypoint_names, keypoint_ids(file), strict=True))
    strangers = [name for name in ids if ids[name] not in trained]
    if strangers:
        raise CheckpointError(
            f"{path}: does not know keypoint {', '.join(strangers)} (as {ids[strangers[0]]}); it"
            f" was trained on {', '.join(trained)}: name the file's keypoint_names so, or use"
            " --train"
        )


if __name__ == "__main__":
    np.seterr(all="warn")
    sys.exit(main())
