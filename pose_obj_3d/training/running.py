"""A whole training: begun or continued, its best epoch calibrated, its curve drawn."""

import logging
from pathlib import Path

from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.triangulating import single_frame
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training import processes
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import to_yaml
from pose_obj_3d.training.curve import curve_figure
from pose_obj_3d.training.experiment import Experiment
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.run import Run
from pose_obj_3d.training.trainer import calibrate_best, fit

logger = logging.getLogger(__name__)
AUTO = "auto"
"""Names, in place of a checkpoint's path, the newest run of the same config and data."""


def train_experiment(experiment: Experiment, resume: str | None = None) -> tuple[Run, RunLog]:
    """Train until the config's number of epochs; the model then has the weights of the best one.

    Args:
        experiment: Config and data.
        resume: A run's `last.pt`, or `AUTO`; None starts a new run.

    Returns:
        The finished run, and its log, still open.

    Raises:
        CheckpointError: The checkpoint to continue from does not fit, or no epoch was usable.
        TrainingError: The training has diverged.
    """
    config = experiment.config
    sha = experiment.data_sha256()
    found = find_resumable(experiment, resume, sha) if processes.is_first() else None
    resumed = processes.from_first(found)
    rig = experiment.rig(config.OBJ_POSE_DATA.TRAIN_CAMERAS)
    train = experiment.tracks("train", rig, with_truth=not experiment.unsupervised)
    experiment.warn_of_geometry(train, rig)
    val = experiment.tracks("val", rig, with_truth=not experiment.unsupervised)
    model = experiment.model(rig)
    model.set_normalisation(train.xyz[train.is_real])
    log_root, checkpoint_root = experiment.log_root, experiment.checkpoint_root
    if resumed:
        name = resumed.parent.name
    else:
        new = ""
        if processes.is_first():
            new = checkpoints.new_run(log_root, checkpoint_root, experiment.config_path)
        name = processes.from_first(new)
    run = Run(
        config,
        experiment.unsupervised,
        model,
        train,
        val,
        rig,
        experiment.ids,
        sha,
        resumed.parent if resumed else checkpoint_root / name,
        blocks=experiment.blocks(rig, with_truth=not experiment.unsupervised),
    )
    if resumed:
        run.restore(checkpoints.load(resumed), resumed)
        logger.info("Resuming %s after epoch %d", resumed, run.epoch)
    if not experiment.unsupervised:
        run.constants["val/dlt_mpjpe_mm"] = _dlt_mm(val, rig)
    logger.info(
        "%s training on %s%d windows of %s, validation %d; run folder %s",
        "Unsupervised" if experiment.unsupervised else "Supervised",
        "about " if run.blocks else "",
        run.blocks.frames if run.blocks else len(train),
        ", ".join(config.OBJ_POSE_DATA.SUBJECTS_TRAIN),
        len(val),
        log_root / name,
    )
    purge_step = run.epoch + 1 if resumed else None
    log = RunLog(log_root / name, to_yaml(config), purge_step, is_silent=not processes.is_first())
    fit(run, log)
    best = run.checkpoint_dir / checkpoints.BEST
    processes.from_first(None)  # it has written the last checkpoint
    if not best.is_file():
        raise CheckpointError(
            f"{best}: no epoch had a finite validation value; lower TRAIN.LEARNING_RATE"
        )
    if processes.is_first():
        calibrate_best(run)
        figure = curve_figure(run.history, run.criterion, run.best_epoch)
        log.figure("training_curve", figure, run.epoch)
    return run, log


def find_resumable(experiment: Experiment, resume: str | None, data_sha256: str) -> Path | None:
    """Return the checkpoint to continue from, checked; None starts a new run.

    Args:
        experiment: Config and data.
        resume: A run's `last.pt`, or `AUTO`, or None.
        data_sha256: Hash of the data file.

    Raises:
        CheckpointError: The named checkpoint belongs to another config, kind or data file.
    """
    if not resume:
        return None
    if resume == AUTO:
        path, why = newest_run(experiment, data_sha256)
        if path is None:
            logger.info(
                "Starting a new run: no run of %s in %s can be continued; %s",
                experiment.config_path.stem,
                experiment.checkpoint_root,
                why or "there is none",
            )
        return path
    path, config = Path(resume), experiment.config
    state = checkpoints.load(path, warn=False)
    checkpoints.check_model(path, state, config, experiment.ids)
    checkpoints.check_resumable(path, state, config, experiment.unsupervised, data_sha256)
    return path


def newest_run(experiment: Experiment, data_sha256: str) -> tuple[Path | None, str]:
    """Return the newest run of the same config, kind and data, as `checkpoints.find_run` does."""
    return checkpoints.find_run(
        experiment.checkpoint_root,
        experiment.config_path,
        experiment.config,
        experiment.unsupervised,
        data_sha256,
    )


def _dlt_mm(tracks: Tracks, rig: Rig) -> float:
    """Return the mean error of linear triangulation [mm], where two or more views are usable."""
    assert tracks.truth is not None
    mask = tracks.is_real & ((tracks.weights > 0).sum(1) >= 2)
    error = (single_frame(estimators.dlt, tracks, rig).xyz - tracks.truth).norm(dim=-1)[mask]
    return 1000 * (float(error.double().sum()) / len(error) if len(error) else float("nan"))
