"""Lift your own videos' 2D tracks to 3D: `python -m pose_obj_3d.lift --points2d tracks.npz`.

Without further flags the tracks are triangulated robustly and smoothed. With `--train` a model
first learns from them, without labels, how their keypoints move; `--checkpoint` loads a model that
was trained before. `pose_obj_3d.lift_tracks` does the same with arrays. See docs/own_videos.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.lift", 850)

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.progress import bars
from pose_obj_3d.importing.tracks import opening
from pose_obj_3d.importing.tracks.sources import named_path
from pose_obj_3d.lifting import report_text
from pose_obj_3d.lifting.learning import EPOCHS, STEP_RANGE
from pose_obj_3d.lifting.options import CONTEXTS, KEPT, PATIENCE, REFINE_PRIOR, LiftOptions
from pose_obj_3d.lifting.pipeline import lift
from pose_obj_3d.lifting.result import result_of, save_points
from pose_obj_3d.lifting.showing import outputs, pictures
from pose_obj_3d.lifting.showing.skeleton import given_bones, skeleton_of
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.writing.points import points_of


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.lift",
        description="Lift 2D tracks of calibrated cameras to 3D, without labels.",
    )
    add = parser.add_argument
    add(
        "--points2d",
        nargs="+",
        required=True,
        metavar="FILE",
        help="tracks.npz: points, intrinsics, extrinsics, ...; or files or folders of other tools,"
        " also as VIEW=FILE (docs/own_videos.md)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--train", action="store_true", help="train STC on these tracks first, without labels"
    )
    how.add_argument(
        "--checkpoint",
        type=Path,
        help=(
            "best.pt of an earlier --train, or of a training on the shipped tasks; an MHT needs the"
            " cameras of its training, at the same poses"
        ),
    )
    add(
        "--out",
        type=Path,
        help="folder for the results (default: <first of points2d without its ending>_3d)",
    )
    add(
        "--units",
        choices=sorted(METRES),
        help="unit of extrinsics and truth, if the file does not say it (default m)",
    )
    add(
        "--sigma_px",
        type=float,
        nargs="+",
        help="standard deviation of the 2D points [px]: one number, or one for each camera"
        " (default: estimated)",
    )
    add("--views", nargs="+", default=[], help="cameras to use, by name or number (default all)")
    add(
        "--context",
        choices=CONTEXTS,
        help="--train: window: 7 frames; track: the whole sequence (default track)",
    )
    add(
        "--epochs",
        type=int,
        help=(
            f"--train: epochs (default {EPOCHS}, with {STEP_RANGE[0]} to {STEP_RANGE[1]} steps in"
            " all)"
        ),
    )
    add(
        "--patience",
        type=int,
        help=(
            f"--train: stop after so many epochs without a better validation value (default"
            f" {PATIENCE}; 0 = never stop early)"
        ),
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="--train: seed of the initial weights and of the batches' order (default 0)",
    )
    add(
        "--refine",
        action="store_true",
        help="adjust the cameras by the tracks, if held-out frames are then predicted better",
    )
    add(
        "--refine_prior",
        type=float,
        nargs="+",
        metavar="NUMBER",
        help=(
            "--refine: how well the cameras are known, as standard deviations: orientation"
            f" [degrees], then focal length [%%] (default {REFINE_PRIOR[0]:g} {REFINE_PRIOR[1]:g})"
        ),
    )
    add(
        "--keep",
        choices=KEPT,
        default=KEPT[0],
        help="which result to keep; best (default): the one that predicts left-out detections best",
    )
    add(
        "--bridge_limit",
        type=float,
        help=(
            "largest standard deviation of a point in a gap between measurements [unit of the"
            " file]; points with a larger one are NaN (default 2 to 3 %% of the distance between"
            " cameras and points)"
        ),
    )
    drawn = parser.add_mutually_exclusive_group()
    drawn.add_argument(
        "--pictures",
        nargs="+",
        metavar="FORMAT",
        help=f"formats of the pictures, for print ({pictures.PAPER_DPI} dpi):"
        f" {', '.join(pictures.FORMATS)} (default: png with {pictures.DPI} dpi)",
    )
    drawn.add_argument("--no_pictures", action="store_true", help="make no pictures")
    outputs.add_flags(parser)
    add(
        "--gpu",
        default="0",
        help="CUDA device number (default 0); without such a device, the CPU",
    )
    opening.add_flags(parser)
    add("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), args.debug)


def run(args: argparse.Namespace) -> None:
    """Read, lift, write, and print a summary."""
    options, wanted = options_of(args), outputs.read_flags(args)
    formats = pictures.chosen_pictures(args.pictures, args.no_pictures)
    file = opening.open_tracks(args.points2d, opening.options_of(args), args.units, args.views)
    given_bones(wanted.skeleton, file.keypoint_names)  # mistakes are told before the work
    out = args.out or default_out(args.points2d[0])
    with bars():
        outcome = lift(file, options, out)
    out.mkdir(parents=True, exist_ok=True)
    result = result_of(outcome)
    save_points(out / "points3d.npz", result)
    points = points_of(result)
    skeleton = skeleton_of(wanted.skeleton, points)
    report = replace(result.report, notes=[*result.report.notes, *filter(None, [skeleton.note])])
    report_text.write_report(out, report, formats.linked)
    found = outcome.file, outcome.data, outcome.lifted
    drawn = pictures.draw(out, points, found, skeleton.bones, args.images, formats)
    drawn += outputs.write(out / outputs.STEM, points, outcome.file, wanted, skeleton)
    print(report_text.summary(report))  # noqa: T201
    names = " ".join(picture.name for picture in drawn)
    print(f"Results: {out / 'points3d.npz'} {out / 'report.md'} {names}")  # noqa: T201


def default_out(source: str) -> Path:
    """Return the folder of the results beside a source."""
    _, path = named_path(source)
    path = path if path.name else path.resolve()
    return path.with_name(f"{path.name if path.is_dir() else path.stem}_3d")


def options_of(args: argparse.Namespace) -> LiftOptions:
    """Return the options that the flags name."""
    return LiftOptions(
        train=args.train,
        checkpoint=args.checkpoint,
        sigma_px=tuple(args.sigma_px or ()),
        context=args.context,
        epochs=args.epochs,
        patience=args.patience,
        seed=args.seed,
        keep=args.keep,
        bridge_limit=args.bridge_limit,
        refine=args.refine,
        refine_prior=tuple(args.refine_prior or ()),
        gpu=args.gpu,
    )


if __name__ == "__main__":
    np.seterr(all="warn")
    sys.exit(main())
