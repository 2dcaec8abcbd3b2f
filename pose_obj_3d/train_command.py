"""Command line shared by the two entry points: flags, wiring, exit codes."""

import argparse
import dataclasses
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pose_obj_3d.common.errors import CheckpointError, ConfigError, PoseObj3DError, one_line
from pose_obj_3d.evaluation import figures as visualise
from pose_obj_3d.evaluation import metrics, report
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation.protocol import Protocol, Variant
from pose_obj_3d.formal import FormalData, read_formal
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry.checks.calibration_checks import check_geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.tracks.gathering import gather_for
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig, one_view
from pose_obj_3d.tracks.stated_noise import check_noise
from pose_obj_3d.tracks.triangulating import single_frame
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training import checkpoints
from pose_obj_3d.training.config import (
    METRICS,
    ONE_VIEW_TYPES,
    PACKAGE_DIR,
    Config,
    find_data,
    load_config,
    to_dict,
    to_yaml,
)
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.model_registry import build_model
from pose_obj_3d.training.trainer import Run, calibrate_best, fit

logger = logging.getLogger(__name__)
ONE_THREAD = ("STC", "triangulation")
"""Models of small tensors: a second CPU thread gains little, and on a busy machine its barriers cost a factor of 3 to 9."""


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
        "--gpu", help="CUDA device number (default: GPU of the config); the CPU where there is none"
    )
    add("--eval", action="store_true", help="evaluate only")
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
        help="also evaluate with the first n views, for each n",
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
        help="also evaluate with n frames of the window, for each n",
    )
    add("--n_frames", type=int, help="window length (default: NETWORK.TEMPORAL_LENGTH)")
    add("--eval_batch_size", type=int, help="windows at once in evaluation")
    add("--metric", choices=METRICS, help="metric of the printed table (results.json has all)")
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
    add("--vis_complexity", action="store_true", help="print parameters and speed of the model")
    return parser


@dataclass
class Session:
    """What every command needs, resolved from flags, config and data.

    Attributes:
        args: The flags.
        config: The resolved config.
        unsupervised: Kind of training.
        device: Where tensors live.
        data: The archive.
        ids: Keypoint names.
        variants: With which views and frames to evaluate.
        log_root: Folder of the logs of this config's group.
        checkpoint_root: The same for checkpoints.
        checked: Sets of views that `warn_of_geometry` has looked at.
    """

    args: argparse.Namespace
    config: Config
    unsupervised: bool
    device: torch.device
    data: FormalData
    ids: list[str]
    variants: list[Variant]
    log_root: Path
    checkpoint_root: Path
    checked: set[tuple[int, ...]] = field(default_factory=set)

    def rig(self, views: Sequence[int] = ()) -> Rig:
        """Return the cameras on the device; a single one too."""
        if len(views) != 1:
            return make_rig(self.data, views).to(self.device)
        rig, (view,) = make_rig(self.data), views
        one = Rig(rig.intrinsics[[view]], rig.extrinsics[[view]], rig.sigma_px, (view,))
        return one.to(self.device)

    def tracks(self, split: str, rig: Rig, with_truth: bool) -> Tracks:
        """Load a part of the split on the device."""
        data = self.config.OBJ_POSE_DATA
        tasks = data.eval_tasks() if split == "test" else data.train_tasks()
        is_single = len(rig.view_ids) == 1
        # Triangulation needs the others.
        cpu = make_rig(self.data) if is_single else rig.to(torch.device("cpu"))
        tracks = load_tracks(self.data, cpu, tasks, split, self.ids, data.OCCLUSION, with_truth).to(
            self.device
        )
        return one_view(tracks, rig.view_ids[0]) if is_single else tracks

    def warn_of_geometry(self, tracks: Tracks, rig: Rig) -> None:
        """Say what looks wrong with calibration and tracks, once for a set of views; one view has nothing to compare."""
        if len(rig.view_ids) == 1 or rig.view_ids in self.checked:
            return
        self.checked.add(rig.view_ids)
        for warning in check_geometry(tracks.uv, tracks.weights, rig, self.view_names(rig)):
            logger.warning("%s: %s", self.data.path, warning)

    def view_names(self, rig: Rig) -> list[str]:
        """Return the names of the cameras of a rig."""
        return [self.data.camera_names[v] for v in rig.view_ids]

    def model(self, rig: Rig) -> Model:
        """Build the model of the config."""
        return build_model(self.config.NETWORK, len(self.ids), rig).to(self.device)


def main(argv: Sequence[str] | None = None, unsupervised: bool = False) -> int:
    """Run a command; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser(unsupervised).parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.debug else logging.INFO, format="%(message)s", force=True
    )
    for noisy in ("matplotlib", "PIL", "tensorboard"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        run(args, unsupervised)
    except (PoseObj3DError, OSError) as error:
        if args.debug:
            raise
        print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def run(args: argparse.Namespace, unsupervised: bool) -> None:
    """Resolve the session, then evaluate or train."""
    session = open_session(args, unsupervised)
    if args.vis_complexity:
        _print_complexity(session)
    if args.eval or args.triangulate or session.config.NETWORK.TYPE == "triangulation":
        evaluate_command(session)
    else:
        train_command(session)


def open_session(args: argparse.Namespace, unsupervised: bool) -> Session:
    """Read config and data and check them against each other and the flags."""
    config = apply_flags(load_config(args.cfg), args)
    _check_flags(args, config)
    device = choose_device(config.GPU)
    if config.NETWORK.TYPE in ONE_THREAD and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    torch.manual_seed(config.TRAIN.SEED)
    section = config.OBJ_POSE_DATA
    tasks = list(dict.fromkeys([*section.train_tasks(), *section.eval_tasks()]))
    data = read_formal(find_data(section.ROOT_DIR, args.cfg, tasks))
    data.require_tasks(tasks)
    logger.info("Data: %s", data.path)
    strangers = [f"T{t}" for t in section.eval_tasks() if t not in section.train_tasks()]
    if strangers and config.NETWORK.TYPE != "triangulation":
        raise ConfigError(
            f"{args.cfg}: OBJ_POSE_DATA.SUBJECTS_TEST has {', '.join(strangers)}, which are not in"
            " SUBJECTS_TRAIN; the model knows the keypoints of the tasks it was trained on"
        )
    ids = keypoint_ids(data, tasks, section.KEYPOINTS)
    data, corrected = check_noise(data, section.train_tasks(), ids)
    if corrected:
        logger.warning("%s", corrected)
    widest = max(sum(name.startswith(f"T{t}/") for name in ids) for t in tasks)
    if section.NUM_JOINTS is not None and widest != section.NUM_JOINTS:
        logger.warning(
            "OBJ_POSE_DATA.NUM_JOINTS is %d, the data has %d: the data decides",
            section.NUM_JOINTS,
            widest,
        )
    base = args.log or PACKAGE_DIR
    group = checkpoints.config_group(args.cfg)
    return Session(
        args,
        config,
        unsupervised,
        device,
        data,
        ids,
        _variants(config, data),
        base / "log" / group,
        base / "checkpoint" / group,
    )


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


def _variants(config: Config, data: FormalData) -> list[Variant]:
    """Decide before anything long begins with which views and frames to evaluate."""
    section, network, num_views = config.OBJ_POSE_DATA, config.NETWORK, config.TEST.NUM_VIEWS
    every = range(len(data.camera_names))
    make_rig(
        data, [*every, *section.TRAIN_CAMERAS, *section.TEST_CAMERAS]
    )  # refuses views that do not exist
    if 1 in num_views and network.TYPE not in ONE_VIEW_TYPES:
        logger.warning(
            "TEST.NUM_VIEWS (--eval_n_views) 1 is left out: one view does not determine 3D, and NETWORK.TYPE %s needs a "
            "triangulation; %s does not",
            network.TYPE,
            ", ".join(ONE_VIEW_TYPES),
        )
        num_views = tuple(n for n in num_views if n != 1)
    is_window = network.TYPE != "STC" or network.STC.CONTEXT == "window"
    return evaluation.variants(
        section.TEST_CAMERAS or every,
        num_views,
        config.TEST.NUM_FRAMES,
        network.TEMPORAL_LENGTH,
        is_window,
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


def choose_device(gpu: str) -> torch.device:
    """Return the CUDA device, or the CPU with one line that says so."""
    if not torch.cuda.is_available():
        logger.info("No CUDA device: running on the CPU")
        return torch.device("cpu")
    if not (gpu.isascii() and gpu.isdigit()) or int(gpu) >= torch.cuda.device_count():
        raise ConfigError(
            f"GPU {gpu!r} does not exist; {torch.cuda.device_count()} found, numbered from 0"
        )
    return torch.device("cuda", int(gpu))


def train_command(session: Session) -> None:
    """Train (or continue), then evaluate the best epoch on the test examples."""
    args, config = session.args, session.config
    sha = checkpoints.file_sha256(session.data.path)
    resumed = _find_resumable(session, sha)
    rig = session.rig(config.OBJ_POSE_DATA.TRAIN_CAMERAS)
    train = session.tracks("train", rig, with_truth=not session.unsupervised)
    session.warn_of_geometry(train, rig)
    val = session.tracks("val", rig, with_truth=not session.unsupervised)
    model = session.model(rig)
    model.set_normalisation(train.xyz[train.is_real])
    name = (
        resumed.parent.name
        if resumed
        else checkpoints.new_run(session.log_root, session.checkpoint_root, args.cfg)
    )
    folder = session.log_root / name
    run_state = Run(
        config,
        session.unsupervised,
        model,
        train,
        val,
        rig,
        session.ids,
        sha,
        resumed.parent if resumed else session.checkpoint_root / name,
    )
    if resumed:
        run_state.restore(checkpoints.load(resumed), resumed)
        logger.info("Resuming %s after epoch %d", resumed, run_state.epoch)
    if not session.unsupervised:
        run_state.constants["val/dlt_mpjpe_mm"] = _dlt_mm(val, rig)
    logger.info(
        "%s training on %d windows of %s, validation %d; run folder %s",
        "Unsupervised" if session.unsupervised else "Supervised",
        len(train),
        ", ".join(config.OBJ_POSE_DATA.SUBJECTS_TRAIN),
        len(val),
        folder,
    )
    log = RunLog(folder, to_yaml(config), purge_step=run_state.epoch + 1 if resumed else None)
    fit(run_state, log)
    best = run_state.checkpoint_dir / checkpoints.BEST
    if not best.is_file():
        raise CheckpointError(
            f"{best}: no epoch had a finite validation value; lower TRAIN.LEARNING_RATE"
        )
    calibrate_best(run_state)
    log.figure(
        "training_curve",
        visualise.curve_figure(run_state.history, run_state.criterion, run_state.best_epoch),
        run_state.epoch,
    )
    report_test(session, model, log, str(best), run_state.epoch)
    log.close()


def _find_resumable(session: Session, sha: str) -> Path | None:
    """Return the checkpoint to continue from, checked; None starts a new run."""
    given = session.args.resume_checkpoint
    if not given:
        return None
    if given == "auto":
        path, why = checkpoints.find_run(
            session.checkpoint_root, session.args.cfg, session.config, session.unsupervised, sha
        )
        if path is None:
            which = f"{session.args.cfg.stem} in {session.checkpoint_root}"
            logger.info(
                "Starting a new run: no run of %s can be continued; %s",
                which,
                why or "there is none",
            )
        return path
    path = Path(given)
    state = checkpoints.load(path, warn=False)
    checkpoints.check_model(path, state, session.config, session.ids)
    checkpoints.check_resumable(path, state, session.config, session.unsupervised, sha)
    return path


def _dlt_mm(tracks: Tracks, rig: Rig) -> float:
    assert tracks.truth is not None
    mask = tracks.is_real & ((tracks.weights > 0).sum(1) >= 2)
    return (
        1000 * metrics.mpjpe(single_frame(estimators.dlt, tracks, rig).xyz, tracks.truth, mask).mean
    )


def evaluate_command(session: Session) -> None:
    """Evaluate a checkpoint, or triangulation, in a run folder of its own."""
    config, args = session.config, session.args
    model = session.model(session.rig())
    checkpoint = "none"
    if config.NETWORK.TYPE != "triangulation":
        path = (
            Path(args.checkpoint)
            if args.checkpoint not in (None, "auto")
            else _newest_best(session)
        )
        state = checkpoints.load(path)
        checkpoints.check_model(path, state, config, session.ids)
        checkpoints.load_model(path, model, state)
        checkpoint = str(path)
        logger.info("Evaluating %s (epoch %d)", path, state["epoch"])
    name = checkpoints.new_run(session.log_root, session.checkpoint_root, args.cfg)
    log = RunLog(session.log_root / name, to_yaml(config))
    report_test(session, model, log, checkpoint, 0)
    log.close()


def _newest_best(session: Session) -> Path:
    sha = checkpoints.file_sha256(session.data.path)
    last, why = checkpoints.find_run(
        session.checkpoint_root, session.args.cfg, session.config, session.unsupervised, sha
    )
    if last is None:
        raise CheckpointError(
            f"--eval: no trained run of {session.args.cfg} in"
            f" {session.checkpoint_root}{why and f' ({why})'}; train first or pass --checkpoint"
            " FILE"
        )
    return last.parent / checkpoints.BEST


def report_test(
    session: Session, model: nn.Module, log: RunLog, checkpoint: str, epoch: int
) -> None:
    """Evaluate on the test examples for all asked views and frames: tables, files, figures."""
    config, data = session.config, session.data
    length = config.NETWORK.TEMPORAL_LENGTH
    label = config.NETWORK.TYPE + (" (unsupervised)" if session.unsupervised else "")
    base = Protocol(length, None, config.TEST.BATCH_SIZE, data.frame_period_s)
    results: dict[str, Any] = {}
    for number, (views, frames) in enumerate(session.variants):
        rig = session.rig(views)
        tracks = session.tracks("test", rig, with_truth=True)
        if number == 0:
            session.warn_of_geometry(tracks, rig)
        protocol = dataclasses.replace(base, used_frames=frames)
        predicted = evaluation.estimate(model, tracks, rig, protocol)
        methods = {f"model: {label}": predicted}
        if len(views) > 1:
            methods |= evaluation.reference_predictions(tracks, rig, protocol)
            if frames is None:
                methods |= evaluation.whole_track_predictions(tracks, protocol)
        result = evaluation.evaluate(methods, tracks, rig, protocol, session.ids)
        count = "1 view" if len(views) == 1 else f"{len(views)} views"
        title = f"Test, {count} ({', '.join(session.view_names(rig))}), {frames or length} frames"
        results[title] = result
        print(report.text_table(result, title, config.TEST.METRIC))  # noqa: T201
        if claims := report.calibration_text(result):
            print(claims)  # noqa: T201
        if number == 0:
            _log_test(session, log, result, f"model: {label}", epoch)
            _draw(session, log, predicted.xyz, tracks, rig, epoch)
    header = {
        "model": label,
        "checkpoint": checkpoint,
        "data": str(data.path),
        "config": to_dict(config),
        "unsupervised": session.unsupervised,
        "noise_sigma_px": data.sigma_px,
    }
    report.write_results(log.folder, results, header, config.TEST.METRIC)
    log.text("test/results", report.markdown(results, config.TEST.METRIC), epoch)
    print(f"{report.NOTE}\nResults: {log.folder / 'results.md'}")  # noqa: T201


def _log_test(
    session: Session, log: RunLog, result: dict[str, Any], model_name: str, epoch: int
) -> None:
    columns = result["methods"][model_name]
    tags = {
        "all": "test/mpjpe_mm",
        "moving": "test/mpjpe_mm/moving",
        "still": "test/mpjpe_mm/still",
    }
    scalars = {tag: columns[c]["mpjpe_mm"] for c, tag in tags.items()}
    if evaluation.DLT in result["methods"]:
        scalars["test/dlt_mpjpe_mm"] = result["methods"][evaluation.DLT]["all"]["mpjpe_mm"]
    log.scalars({k: v for k, v in scalars.items() if v is not None and math.isfinite(v)}, epoch)


def _draw(
    session: Session, log: RunLog, predicted: torch.Tensor, tracks: Tracks, rig: Rig, epoch: int
) -> None:
    """Save the 3D track and the reprojections of the first test example (all examples with --vis_3d)."""
    count = len(set(tracks.first.tolist())) if session.args.vis_3d else 1
    for number in range(count):
        rows = visualise.example_rows(tracks, number)
        task, example, _ = tracks.source[rows[0]].tolist()
        title = (
            f"T{task} {session.data.task_name(task)}, test example {example}: predicted (solid),"
            " truth (dashed)"
        )
        name = "track_3d" if number == 0 else f"track_3d_T{task}_{example}"
        path = log.figure(
            name, visualise.track_figure(predicted, tracks, rows, session.ids, title), epoch
        )
        if number == 0:
            middle = int(rows[len(rows) // 2])
            figure = visualise.reprojection_figure(
                predicted, tracks, middle, rig, session.data, session.ids
            )
            drawn = log.figure("reprojection", figure, epoch)
            print(f"Pictures: {path} {drawn}")  # noqa: T201


def _print_complexity(session: Session) -> None:
    """Print parameters and the speed of a forward pass."""
    rig = session.rig()
    model = session.model(rig).eval()
    tracks = session.tracks("val", rig, with_truth=False)
    centres = torch.arange(256, device=session.device) % len(tracks)
    rig32 = Rig(rig.intrinsics.float(), rig.extrinsics.float(), rig.sigma_px, rig.view_ids)
    start, rounds = time.perf_counter(), 10
    with torch.no_grad():
        for _ in range(rounds):
            model(gather_for(model, tracks, centres, session.config.NETWORK.TEMPORAL_LENGTH), rig32)
    rate = rounds * len(centres) / (time.perf_counter() - start)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{session.config.NETWORK.TYPE}: {parameters} parameters, {rate:.0f} windows/s forward")  # noqa: T201
