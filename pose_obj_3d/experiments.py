"""Train and test from a config: what the training commands do, as functions.

`train` is for other programs. The rest is shared with the command line: `train_and_test`,
`evaluate_checkpoint` and `evaluate_model` write their tables, files and pictures into a run folder.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.evaluation import detections, figures, protocol, report, view_subsets
from pose_obj_3d.evaluation.protocol import Protocol, Result
from pose_obj_3d.evaluation.variants import Variant, variants
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.gathering import gather_for
from pose_obj_3d.tracks.loading import make_rig
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training import processes
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import ONE_VIEW_TYPES, Config, load_config, to_dict, to_yaml
from pose_obj_3d.training.experiment import Experiment, open_experiment
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.running import AUTO, newest_run, train_experiment

logger = logging.getLogger(__name__)
SPEED_ROUNDS, SPEED_WINDOWS = 10, 256
Tell = Callable[[str], object]
"""Takes the lines meant for the user, such as `print`."""


@dataclass(frozen=True)
class TrainingResult:
    """A finished training and its test.

    Attributes:
        folder: The run folder: `results.json`, `results.md`, pictures, TensorBoard's log.
        checkpoint: The best epoch, for `--checkpoint` or to be read again.
        epochs: Epochs trained.
        best_epoch: The epoch with the best validation value.
        best: That value; `criterion` names it, and its unit.
        criterion: What chose the epoch, such as `val/mpjpe_mm`.
        history: The logged scalars of each epoch.
        results: Title of each test -> counts, methods and details, as in `results.json`; empty in
            all processes of `torchrun` but the first.
    """

    folder: Path
    checkpoint: Path
    epochs: int
    best_epoch: int
    best: float
    criterion: str
    history: list[dict[str, float]]
    results: dict[str, Result]


def train(
    config: str | Path | Config,
    *,
    unsupervised: bool = False,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    name: str = "run",
) -> TrainingResult:
    """Train a model as a config says, and test its best epoch on the test examples.

    Seeds torch's global generator with TRAIN.SEED. For small models on a CPU,
    `torch.set_num_threads(1)` is fastest; the commands do so.

    Args:
        config: A YAML file, or a `Config`; relative data folders are looked up from the file's
            folder, from the package's, and from the working directory.
        unsupervised: Whether to train without reading a 3D label.
        output: Folder for `log/` and `checkpoint/`; the package's own by default.
        resume: A run's `last.pt` to continue, or "auto": the newest of this config and data.
        name: Names the run where `config` is no file.

    Raises:
        PoseObj3DError: Config, data or checkpoint are wrong, or the training diverged; one line.
    """
    if isinstance(config, Config):
        resolved, path = config, Path(f"{name}.yaml")
    else:
        path = Path(config)
        resolved = load_config(path)
    experiment = open_experiment(
        resolved, path, unsupervised, None if output is None else Path(output)
    )
    variants = variants_of(resolved, experiment.data)
    return train_and_test(experiment, variants, None if resume is None else str(resume))


def train_and_test(
    experiment: Experiment,
    variants: Sequence[Variant],
    resume: str | None = None,
    *,
    draw_all: bool = False,
    tell: Tell | None = None,
) -> TrainingResult:
    """Train or continue, then test the best epoch.

    Arguments as in `train_experiment` and `evaluate_model`.
    """
    with processes.together(experiment.device):
        run, log = train_experiment(experiment, resume)
    best = run.checkpoint_dir / checkpoints.BEST
    results: dict[str, Result] = {}
    if processes.is_first():
        results = evaluate_model(
            experiment, run.model, variants, log, str(best), run.epoch, draw_all=draw_all, tell=tell
        )
    log.close()
    return TrainingResult(
        log.folder,
        best,
        run.epoch,
        run.best_epoch,
        run.best,
        run.criterion,
        list(run.history),
        results,
    )


def evaluate_checkpoint(
    experiment: Experiment,
    variants: Sequence[Variant],
    checkpoint: str | None = None,
    *,
    draw_all: bool = False,
    tell: Tell | None = None,
) -> dict[str, Result]:
    """Test a checkpoint, or triangulation, in a run folder of its own.

    Args:
        experiment: Config and data.
        variants: With which views and frames to test.
        checkpoint: A file, or None or "auto" for the newest run of this config and data.
        draw_all: Whether to draw every test example, not the first alone.
        tell: Where the tables go; nowhere by default.

    Raises:
        CheckpointError: There is none, or it belongs to another model.
    """
    model = experiment.model(experiment.rig())
    tested = "none"
    if experiment.config.NETWORK.TYPE != "triangulation":
        path = _newest_best(experiment) if checkpoint in (None, AUTO) else Path(str(checkpoint))
        state = checkpoints.load(path)
        checkpoints.check_model(path, state, experiment.config, experiment.ids)
        checkpoints.load_model(path, model, state)
        tested = str(path)
        logger.info("Evaluating %s (epoch %d)", path, state["epoch"])
    name = checkpoints.new_run(
        experiment.log_root, experiment.checkpoint_root, experiment.config_path
    )
    log = RunLog(experiment.log_root / name, to_yaml(experiment.config))
    results = evaluate_model(
        experiment, model, variants, log, tested, 0, draw_all=draw_all, tell=tell
    )
    log.close()
    return results


def _newest_best(experiment: Experiment) -> Path:
    last, why = newest_run(experiment, experiment.data_sha256())
    if last is None:
        raise CheckpointError(
            f"--eval: no trained run of {experiment.config_path} in"
            f" {experiment.checkpoint_root}{why and f' ({why})'}; train first or pass --checkpoint"
            " FILE"
        )
    return last.parent / checkpoints.BEST


def variants_of(config: Config, data: FormalData) -> list[Variant]:
    """Decide before anything long begins with which views and frames to test.

    Raises:
        DataError: A view does not exist.
        ConfigError: There are fewer views or frames than asked for.
    """
    section, network, num_views = config.OBJ_POSE_DATA, config.NETWORK, config.TEST.NUM_VIEWS
    every = range(len(data.cameras))
    # Refuses views that do not exist.
    make_rig(data, [*every, *section.TRAIN_CAMERAS, *section.TEST_CAMERAS])
    if 1 in num_views and data.calibrations:
        logger.warning(
            "TEST.NUM_VIEWS (--eval_n_views) 1 is left out: examples have calibrations of their own"
        )
        num_views = tuple(n for n in num_views if n != 1)
    if 1 in num_views and network.TYPE not in ONE_VIEW_TYPES:
        logger.warning(
            "TEST.NUM_VIEWS (--eval_n_views) 1 is left out: one view does not determine 3D, and"
            " NETWORK.TYPE %s needs a triangulation; %s does not",
            network.TYPE,
            ", ".join(ONE_VIEW_TYPES),
        )
        num_views = tuple(n for n in num_views if n != 1)
    is_track = (network.TYPE == "STC" and network.STC.CONTEXT == "track") or (
        network.TYPE == "triangulation" and network.ESTIMATOR == "map"
    )
    return variants(
        section.TEST_CAMERAS or every,
        num_views,
        config.TEST.NUM_FRAMES,
        network.TEMPORAL_LENGTH,
        not is_track,
    )


def evaluate_model(
    experiment: Experiment,
    model: nn.Module,
    variants: Sequence[Variant],
    log: RunLog,
    checkpoint: str,
    epoch: int,
    *,
    draw_all: bool = False,
    tell: Tell | None = None,
) -> dict[str, Result]:
    """Test on the test examples with all asked views and frames: tables, files, figures.

    Args:
        experiment: Config and data.
        model: The network.
        variants: With which views and frames.
        log: Where tables, scalars and figures go.
        checkpoint: Where the weights come from, for the record.
        epoch: Epoch under which it is logged.
        draw_all: Whether to draw every test example, not the first alone.
        tell: Where the tables go; nowhere by default.

    Returns:
        Title -> result of `protocol.evaluate`, in the order of the variants.
    """
    config, data, say = experiment.config, experiment.data, tell or (lambda _: None)
    length, metric = config.NETWORK.TEMPORAL_LENGTH, config.TEST.METRIC
    label = config.NETWORK.TYPE + (" (unsupervised)" if experiment.unsupervised else "")
    base = Protocol(length, None, config.TEST.BATCH_SIZE, data.frame_period_s, config.TEST.ROOT)
    results: dict[str, Result] = {}
    by_views: dict[tuple[str, ...], Result] = {}
    alike = [*experiment.notes_on_names("test"), *experiment.portion.test_notes]
    for number, (views, frames) in enumerate(variants):
        rig = experiment.rig(views)
        tracks = experiment.tracks("test", rig, with_truth=True)
        if number == 0:
            experiment.warn_of_geometry(tracks, rig)
        of_variant = dataclasses.replace(base, used_frames=frames)
        seen = detections.seen_points(experiment.archive, data, tracks, rig, experiment.ids)
        result, predicted = protocol.compare(
            model, f"model: {label}", tracks, rig, of_variant, experiment.ids, seen.columns
        )
        result["detections"] = {
            "about": detections.describe(experiment.archive, data.witness),
            "errors": detections.errors_px(tracks, rig, seen),
            "columns": list(seen.columns),
        }
        result.setdefault("notes", []).extend(alike)
        count = "1 view" if len(views) == 1 else f"{len(views)} views"
        names = ", ".join(experiment.view_names(rig))
        title = f"Test, {count} ({names}), {frames or length} frames"
        results[title] = result
        if len(views) < len(variants[0][0]):
            by_views[tuple(experiment.view_names(rig))] = result
            continue
        say(report.text_table(result, title, metric))
        if claims := report.calibration_text(result):
            say(claims)
        if poses := report.frames_text(result):
            say(poses)
        say(report.detections_text(result))
        for note in result["notes"]:
            say(note)
        if number == 0:
            log.scalars(_scalars(result, f"model: {label}"), epoch)
            shown = figures.table_figure(report.table_rows(result, metric), f"Test, {count}")
            log.figure("errors", shown, epoch)
            say(_draw(experiment, log, predicted.xyz, tracks, rig, epoch, draw_all))
    subsets = view_subsets.summarise(by_views)
    for summary in subsets:
        say(view_subsets.text(summary, metric))
    header = {
        "model": label,
        "checkpoint": checkpoint,
        "data": str(data.path),
        "config": to_dict(config),
        "unsupervised": experiment.unsupervised,
        "detections": dataclasses.asdict(data.witness),
        "noise_sigma_px": data.sigma_px,
        "view_subsets": subsets,
    }
    above = view_subsets.markdown(subsets, metric)
    report.write_results(log.folder, results, header, metric, above)
    log.text("test/results", report.markdown(results, metric, above), epoch)
    say("\n".join([*report.notes(results), f"Results: {log.folder / 'results.md'}"]))
    return results


def _scalars(result: Result, model_name: str) -> dict[str, float]:
    """Return what of a test goes to TensorBoard."""
    columns = result["methods"][model_name]
    tags = {
        "all": "test/mpjpe_mm",
        "moving": "test/mpjpe_mm/moving",
        "still": "test/mpjpe_mm/still",
    }
    scalars: dict[str, Any] = {tag: columns[c]["mpjpe_mm"] for c, tag in tags.items()}
    if protocol.DLT in result["methods"]:
        scalars["test/dlt_mpjpe_mm"] = result["methods"][protocol.DLT]["all"]["mpjpe_mm"]
    return {k: v for k, v in scalars.items() if v is not None and math.isfinite(v)}


def _draw(
    experiment: Experiment,
    log: RunLog,
    predicted: Tensor,
    tracks: Tracks,
    rig: Rig,
    epoch: int,
    draw_all: bool,
) -> str:
    """Draw the 3D track and the reprojections of the first test example; return where.

    `draw_all` draws the tracks of all examples.
    """
    data, ids = experiment.data, experiment.ids
    paths: list[Path] = []
    for number in range(len(set(tracks.first.tolist())) if draw_all else 1):
        rows = figures.example_rows(tracks, number)
        task, example, _ = tracks.source[rows[0]].tolist()
        title = (
            f"T{task} {data.task_name(task)}, test example {example}: predicted (solid),"
            " truth (dashed)"
        )
        name = "track_3d" if number == 0 else f"track_3d_T{task}_{example}"
        path = log.figure(name, figures.track_figure(predicted, tracks, rows, ids, title), epoch)
        if number == 0:
            middle = int(rows[len(rows) // 2])
            drawn = figures.reprojection_figure(predicted, tracks, middle, rig, data, ids)
            paths = [path, log.figure("reprojection", drawn, epoch)]
    return f"Pictures: {paths[0]} {paths[1]}"


def complexity(experiment: Experiment) -> tuple[int, float]:
    """Return the model's number of parameters, and windows/s of its forward pass."""
    rig = experiment.rig()
    model = experiment.model(rig).eval()
    tracks = experiment.tracks("val", rig, with_truth=False)
    centres = torch.arange(SPEED_WINDOWS, device=experiment.device) % len(tracks)
    rig32 = rig.float()
    length = experiment.config.NETWORK.TEMPORAL_LENGTH
    start = time.perf_counter()
    with torch.no_grad():
        for _ in range(SPEED_ROUNDS):
            model(gather_for(model, tracks, centres, length), rig32)
    rate = SPEED_ROUNDS * len(centres) / (time.perf_counter() - start)
    return sum(p.numel() for p in model.parameters()), rate
