"""Lift your own videos' 2D tracks to 3D: `python -m pose_obj_3d.lift --points2d tracks.npz`. See LIFT.md.

Without further flags the tracks are triangulated robustly and smoothed; `--train` learns from them,
without a label, how their keypoints move; `--checkpoint` takes what was learned before.
"""

from pose_obj_3d import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.lift", 850)

import argparse
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pose_obj_3d import checkpoints, evaluation, lift_pictures, lift_report, smoothers, visualise
from pose_obj_3d.cli import choose_device
from pose_obj_3d.config import (
    Config,
    NetworkConfig,
    StcNetworkConfig,
    TrainConfig,
    to_yaml,
)
from pose_obj_3d.estimators import Estimate
from pose_obj_3d.evaluation import Protocol
from pose_obj_3d.exceptions import CheckpointError, ConfigError, DataError, PoseObj3DError, one_line
from pose_obj_3d.logs import RunLog
from pose_obj_3d.models import build_model
from pose_obj_3d.models.blocks import Model, Normalised
from pose_obj_3d.own_data import (
    OwnData,
    keypoint_ids,
    load_own,
    points_of,
    reject_outliers,
    sequences_of,
    smooth_tracks,
    split,
)
from pose_obj_3d.sanity import Images, examine
from pose_obj_3d.track_file import METRES, TrackFile, read_tracks
from pose_obj_3d.trainer import Run, calibrate_best, fit
from pose_obj_3d.windows import Rig, Tracks

logger = logging.getLogger(__name__)
BATCH_SIZE = 256
LEARNING_RATE = 0.002
FINAL_LEARNING_RATE = 0.05  # of the first, after the last epoch
EPOCHS = 30
STEP_RANGE = (300, 3000)  # of a training; short recordings have more epochs, long ones fewer
RTS = "RTS smoother, robust"
Method = Callable[[Tracks], Estimate]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.lift", description="Lift 2D tracks of calibrated cameras to 3D, without labels."
    )
    add = parser.add_argument
    add("--points2d", type=Path, required=True, help="tracks.npz: points, intrinsics, extrinsics, ... (LIFT.md)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--train", action="store_true", help="learn from these tracks, without labels")
    how.add_argument("--checkpoint", type=Path, help="best.pt of an earlier --train, or of the shipped tasks; of an MHT only for cameras placed as in its training")
    add("--out", type=Path, help="folder for the results (default: <points2d without .npz>_3d)")
    add("--units", choices=sorted(METRES), help="unit of extrinsics and truth, where the file does not say it (m)")
    add("--sigma_px", type=float, nargs="+", help="noise of the 2D points [px], one or one for each camera (estimated)")
    add("--views", nargs="+", default=[], help="cameras to use, by name or number (all)")
    add("--context", choices=("window", "track"), help="--train: use 7 frames, or the whole recording (track)")
    add("--epochs", type=int, help=f"--train: epochs ({EPOCHS}, within {STEP_RANGE[0]} to {STEP_RANGE[1]} steps)")
    add("--seed", type=int, default=0, help="--train: seed of the weights and the order")
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
    if not args.train and (args.context or args.epochs is not None):
        raise ConfigError("--context and --epochs belong to --train; add it, or leave them out")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    if args.images:
        lift_pictures.image_path(args.images, "camera", 0)  # a bad pattern shows before the work
    file = read_tracks(args.points2d, args.units, args.views)
    warnings, file = check_file(file)
    state = checkpoints.load(args.checkpoint) if args.checkpoint else None
    if state:
        check_ids(args.checkpoint, state["keypoint_ids"], file)
    data = load_own(file, args.sigma_px or (), state["keypoint_ids"] if state else None)
    logger.info("Noise [px]: %s", ", ".join(f"{n} {s:.2f}" for n, s in zip(file.camera_names, data.sigma_px.tolist(), strict=True)))
    kept, motions = reject_outliers(data.tracks, data.rig, 1 / file.fps)
    out = args.out or args.points2d.with_name(f"{args.points2d.stem}_3d")
    out.mkdir(parents=True, exist_ok=True)
    methods: dict[str, Method] = {RTS: lambda tracks: smooth_tracks(tracks, motions, 1 / file.fps)}
    if args.train:
        methods = {"STC, learned from these tracks": bridged(learn(args, data, kept, out), methods[RTS]), **methods}
    elif state:
        name = f"{state['config']['NETWORK']['TYPE']} of {args.checkpoint}"
        methods = {name: bridged(_restored(args, state, data, kept), methods[RTS]), **methods}
    results = {name: known(method(kept), kept) for name, method in methods.items()}
    main_name = next(iter(methods))
    report = lift_report.measure(file, data, kept, results, methods[main_name])
    estimate = results[main_name]
    if not claims_covariance(estimate, kept):
        warnings.append(
            f"{main_name} claims no covariance: points3d.npz has NaN wherever two cameras see a keypoint, coordinates.png no "
            "bands, and outliers are those dropped before it lifted"
        )
        logger.warning(warnings[-1])
    report["warnings"] = warnings
    for keypoint, (motion, q) in zip(report["keypoints"], motions, strict=True):
        keypoint["motion"] = f"{motion}, {q:.2g} {smoothers.Q_UNIT[motion]}"
    lift_report.save_points(out / "points3d.npz", file, data, kept, estimate, main_name)
    lift_report.write_report(out, report, () if args.no_pictures else lift_pictures.NAMES)
    pictures = [] if args.no_pictures else lift_pictures.draw(out, file, data, kept, estimate, args.images)
    print(lift_report.summary(report))  # noqa: T201
    print(f"Results: {out / 'points3d.npz'} {out / 'report.md'} {' '.join(p.name for p in pictures)}")  # noqa: T201


def check_file(file: TrackFile) -> tuple[list[str], TrackFile]:
    """Warn of what looks wrong; what cannot work is a DataError.

    Returns:
        The warnings, and the file without the detections of cameras that can only do harm.
    """
    keypoint_ids(file)
    uv, confidence = points_of(file)
    warnings = list(file.notes)
    # The cameras as the file has them: about their middle, inverted matrices would not be the user's.
    rig = Rig(torch.from_numpy(file.intrinsics), torch.from_numpy(file.extrinsics), 1.0, tuple(range(len(file.extrinsics))))
    try:
        found = examine(
            uv, confidence, rig, file.camera_names, file.keypoint_names, file.unit, sequences_of(file)[0], images_of(file)
        )  # fmt: skip
    except DataError as error:
        raise DataError(f"{file.path}: {error}") from error
    warnings += found.warnings
    if found.useless:
        used = file.confidence.copy()
        used[found.useless] = 0
        file = replace(file, confidence=used)
        warnings.append(f"camera {', '.join(file.camera_names[v] for v in found.useless)} is left out of the result")
    for warning in warnings:
        logger.warning("%s: %s", file.path, warning)
    return warnings, file


def images_of(file: TrackFile) -> Images:
    """Return what was detected, before distortion was taken out."""
    size = 2 * file.intrinsics[:, :2, 2] if file.image_size is None else file.image_size
    return Images(torch.from_numpy(file.measured).transpose(0, 1), torch.from_numpy(size), file.distortion, file.lenses)


def check_ids(path: Path, trained: Sequence[str], file: TrackFile) -> None:
    """Refuse a model that does not know one of the file's keypoints."""
    ids = dict(zip(file.keypoint_names, keypoint_ids(file), strict=True))
    strangers = [name for name in ids if ids[name] not in trained]
    if strangers:
        raise CheckpointError(
            f"{path}: does not know keypoint {', '.join(strangers)} (as {ids[strangers[0]]}); it was trained on "
            f"{', '.join(trained)}: name the file's keypoint_names so, or use --train"
        )


def known(estimate: Estimate, tracks: Tracks) -> Estimate:
    """Return the estimate in float64, NaN where the sequence never shows the keypoint to two views."""
    lost = (tracks.keypoint < 0)[..., None].cpu()
    xyz, covariance = estimate.xyz.cpu().double(), estimate.covariance.cpu().double()
    return Estimate(xyz.masked_fill(lost, torch.nan), covariance.masked_fill(lost[..., None], torch.nan))


def claims_covariance(estimate: Estimate, tracks: Tracks) -> bool:
    """Say whether a method gives its points a covariance where two cameras see them."""
    several = (tracks.weights > 0).sum(1) >= 2
    return bool(estimate.covariance[several].isfinite().any()) or not bool(several.any())


def bridged(method: Method, smoother: Method) -> Method:
    """Let the smoother speak where fewer than two cameras see a keypoint: a model is not trained on gaps."""

    def both(tracks: Tracks) -> Estimate:
        ours, other = known(method(tracks), tracks), known(smoother(tracks), tracks)
        is_measured = ((tracks.weights > 0).sum(1) >= 2)[..., None]
        return Estimate(
            torch.where(is_measured, ours.xyz, other.xyz),
            torch.where(is_measured[..., None], ours.covariance, other.covariance),
        )  # fmt: skip

    return both


def model_method(model: Model, config: Config, data: OwnData, device: torch.device) -> Method:
    """Return what runs a model over tracks."""
    protocol = Protocol(config.NETWORK.TEMPORAL_LENGTH, None, config.TEST.BATCH_SIZE)
    return lambda tracks: evaluation.estimate(model, tracks.to(device), data.rig.to(device), protocol)


def training_config(args: argparse.Namespace, frames: int) -> Config:
    """Return the config of --train for a number of training frames."""
    steps = math.ceil(frames / BATCH_SIZE)
    epochs = args.epochs
    if epochs is None:
        least, most = (math.ceil(total / steps) for total in STEP_RANGE)
        epochs = min(max(EPOCHS, least), most)
    network = NetworkConfig(TYPE="STC", DROPOUT=0.0, STC=StcNetworkConfig(CONTEXT=args.context or "track"))
    train = TrainConfig(
        NUM_EPOCHES=epochs, BATCH_SIZE=BATCH_SIZE, LEARNING_RATE=LEARNING_RATE,
        LR_DECAY=FINAL_LEARNING_RATE ** (1 / max(epochs, 1)), SEED=args.seed,
    )  # fmt: skip
    return replace(Config(), GPU=args.gpu, NETWORK=network, TRAIN=train)


def learn(args: argparse.Namespace, data: OwnData, tracks: Tracks, out: Path) -> Method:
    """Train on the tracks without labels; `best.pt`, `last.pt` and `log/` go to the folder `out`."""
    train, val = split(tracks)
    config = training_config(args, len(train))
    device = choose_device(config.GPU)
    model = build_model(config.NETWORK, len(data.ids), data.rig).to(device)
    model.set_normalisation(train.xyz[train.is_real])
    state = Run(
        config, True, model, train.to(device), val.to(device), data.rig.to(device), data.ids, data.sha256, out
    )  # fmt: skip
    logger.info("Training on %d frames, %d epochs; validation on %d frames", len(train), config.TRAIN.NUM_EPOCHES, len(val))
    log = RunLog(out / "log" / time.strftime("%Y%m%d_%H%M%S"), to_yaml(config))
    fit(state, log)
    best = out / checkpoints.BEST
    if state.best_epoch == 0:
        raise CheckpointError(f"{best}: no epoch had a finite validation value; the tracks are too noisy to learn from")
    calibrate_best(state)
    log.figure("training_curve", visualise.curve_figure(state.history, state.criterion, state.best_epoch), state.epoch)
    log.close()
    return model_method(model, config, data, device)


def _restored(args: argparse.Namespace, state: checkpoints.State, data: OwnData, tracks: Tracks) -> Method:
    config = checkpoints.config_of(args.checkpoint, state)
    device = choose_device(args.gpu)
    model = build_model(config.NETWORK, len(data.ids), data.rig).to(device)
    checkpoints.check_model(args.checkpoint, state, config, data.ids)
    checkpoints.load_model(args.checkpoint, model, state)
    if isinstance(model, Normalised):
        # It measures from the middle of its training points, whose world need not be this file's (and is not
        # the one about `data.origin`); the median, since a few triangulations may be far out.
        model.position_mean.copy_(tracks.xyz[tracks.is_real].median(0).values)
    return model_method(model, config, data, device)


if __name__ == "__main__":
    np.seterr(all="warn")
    sys.exit(main())
