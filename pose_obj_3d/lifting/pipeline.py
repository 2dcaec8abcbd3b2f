"""From checked tracks to 3D points with a report: what the command `lift` and `lift_tracks` share.

Nothing is written here but what training keeps, and no global state of the process changes.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pose_obj_3d.common.errors import CheckpointError, ConfigError, DataError
from pose_obj_3d.geometry.checks.calibration_checks import Images, examine
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.lifting import learning
from pose_obj_3d.lifting.choice import ROBUST
from pose_obj_3d.lifting.gaps import BRIDGE_LIMIT
from pose_obj_3d.lifting.lift_file import MAP, Lifted, Lifting
from pose_obj_3d.lifting.options import LiftOptions
from pose_obj_3d.lifting.refining.refine import refine
from pose_obj_3d.lifting.report import Report, measure
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import (
    Motion,
    OwnData,
    keypoint_ids,
    load_own,
    points_of,
    reject_outliers,
    sequences_of,
)
from pose_obj_3d.tracks import map_smoothing, track_smoothing
from pose_obj_3d.training.checkpoints import store as checkpoints

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Attributes:
        file: The tracks, without the detections of cameras that were left out, and with the
            cameras that `--refine` has adjusted.
        data: The same as tensors, in a unit of the scene's size.
        lifted: The points, and what they rest on.
        report: How far they can be trusted, with all warnings.
    """

    file: TrackFile
    data: OwnData
    lifted: Lifted
    report: Report


def lift(file: TrackFile, options: LiftOptions, training_folder: Path | None = None) -> Outcome:
    """Check, lift and measure.

    Args:
        file: The tracks.
        options: What the user chose.
        training_folder: Where training puts its files; needed to train, and made then.

    Raises:
        PoseObj3DError: The data cannot be lifted so; one line says why.
    """
    with _own_state(options):
        return _lift(file, options, training_folder)


@contextmanager
def _own_state(options: LiftOptions) -> Iterator[None]:
    """Seed PyTorch, and use one thread unless OMP_NUM_THREADS says otherwise; undo both at the end.

    One thread is the fastest for these small tensors, and gives the same numbers everywhere.
    """
    has_model = options.train or options.checkpoint is not None
    devices = range(torch.cuda.device_count()) if has_model else ()
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=devices, enabled=has_model):
        if has_model:
            torch.manual_seed(options.seed)
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _lift(file: TrackFile, options: LiftOptions, training_folder: Path | None) -> Outcome:
    warnings, file = check_file(file)
    refinement = None
    if options.refine:
        file, refinement, doubts = refine(file, options.prior)
        warnings += warned(doubts)
    state = checkpoints.load(options.checkpoint) if options.checkpoint else None
    data = _load(file, options, state)
    sigma = zip(file.camera_names, data.sigma_px.tolist(), strict=True)
    logger.info("Noise [px]: %s", ", ".join(f"{name} {value:.2f}" for name, value in sigma))
    kept, motions = reject_outliers(data.tracks, data.rig, 1 / file.fps)
    lifter = None
    if options.train:
        warnings += warned(learning.few_frames(len(kept)))
        if training_folder is None:
            raise ConfigError("--train needs a folder for its files")
        training_folder.mkdir(parents=True, exist_ok=True)
        lifter = learning.learn(options, data, kept, training_folder)
    elif state and options.checkpoint:
        lifter = learning.restored(options.checkpoint, state, options.gpu, data, kept)
    limit = _bridge_limit(options, file, data)
    # What the user forces without it needs no most probable track.
    wanted = options.keep in ("best", "map")
    map_motions = map_smoothing.choose_motions(kept, data.rig) if wanted else None
    lifting = Lifting(file, data, kept, motions, lifter, map_motions)
    lifted = lifting.result(options.keep, limit)
    if not bool(lifted.estimate.xyz.isfinite().any()):
        raise DataError(
            f"{file.source}: no point could be lifted: in no frame do the views agree on one;"
            " check calibration, units and points"
        )
    warnings += warned(lifted.warnings)
    described = _motions(motions, map_motions, lifted, data)
    report = replace(measure(file, data, lifted, described, warnings), refinement=refinement)
    return Outcome(file, data, lifted, report)


def _load(file: TrackFile, options: LiftOptions, state: checkpoints.State | None) -> OwnData:
    """Return the tracks in the unit that suits the scene, or the model of a checkpoint."""
    if state is None or options.checkpoint is None:
        return load_own(file, options.sigma_px)
    check_ids(options.checkpoint, state["keypoint_ids"], file)
    unit = learning.trained_unit(options.checkpoint, state)
    return load_own(file, options.sigma_px, state["keypoint_ids"], unit)


def _bridge_limit(options: LiftOptions, file: TrackFile, data: OwnData) -> float:
    """Return the largest standard deviation of a bridged point, in units of `data.unit_m`."""
    given = options.bridge_limit
    return BRIDGE_LIMIT if given is None else given * METRES[file.unit] / data.unit_m


def _motions(
    motions: Sequence[Motion],
    map_motions: map_smoothing.Motions | None,
    lifted: Lifted,
    data: OwnData,
) -> list[str]:
    """Describe how each of the K keypoints moves by its method; "-" where frames stand alone."""
    described = []
    for k, (name, (motion, q)) in enumerate(zip(lifted.names, motions, strict=True)):
        own = data.tracks.keypoint[:, k]
        if name == ROBUST:
            described.append("-")
        elif name == MAP and map_motions is not None and bool((own >= 0).any()):
            described.append(map_motions.describe(int(own.max()), data.unit_m))
        else:
            described.append(f"{motion}, {q * data.unit_m:.2g} {track_smoothing.Q_UNIT[motion]}")
    return described


def warned(lines: list[str]) -> list[str]:
    """Log the lines as warnings, and return them."""
    for line in lines:
        logger.warning(line)
    return lines


def check_file(file: TrackFile) -> tuple[list[str], TrackFile]:
    """Warn of what looks wrong with calibration and tracks.

    Returns:
        The warnings, and the file without the detections of cameras that can only do harm.

    Raises:
        DataError: This cannot work.
    """
    keypoint_ids(file)
    uv, confidence = points_of(file)
    warnings = list(file.notes)
    # The cameras are checked as the file has them: once moved to their middle, inverting them
    # would no longer invert the user's matrices.
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
            _images_of(file),
        )
    except DataError as error:
        raise DataError(f"{file.source}: {error}") from error
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
        logger.warning("%s: %s", file.source, warning)
    return warnings, file


def _images_of(file: TrackFile) -> Images:
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
