"""One fold from pictures to a checked detector: training, calibration, report."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.detector.config import DetectorConfig
from pose_obj_3d.detector.folds import Fold
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning import report
from pose_obj_3d.detector.learning.batches import BatchMaker
from pose_obj_3d.detector.learning.calibrating import fit_calibration, require_labels
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.finding import TrainedDetector, find_candidates
from pose_obj_3d.detector.learning.source import Source
from pose_obj_3d.detector.learning.training import Training
from pose_obj_3d.detector.types import Clip
from pose_obj_3d.training.config import to_yaml
from pose_obj_3d.training.logs import RunLog

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Where a run writes.

    Attributes:
        logs: Folder of the run's logs; a sub-folder for each fold.
        checkpoints: The same for checkpoints.
    """

    logs: Path
    checkpoints: Path

    def checkpoint_folder(self, fold: int) -> Path:
        """Return the folder of a fold's checkpoints."""
        return self.checkpoints / f"fold_{fold}"


def run_fold(
    source: Source,
    fold: Fold,
    places: Places,
    config: DetectorConfig,
    device: torch.device,
    resumes: bool = False,
) -> dict[str, Any]:
    """Train, calibrate and test the detector of one fold; return the figures of the test.

    Args:
        source: The data.
        fold: Which demos it may learn from.
        places: Where logs and checkpoints go.
        config: The resolved config.
        device: Where the network lives.
        resumes: Whether to continue from the fold's `last.pt`, where there is one.

    Raises:
        CheckpointError: The checkpoint to continue from does not fit.
        TrainingError: The training has diverged, or there are too few labels to calibrate on.
    """
    folder = places.checkpoint_folder(fold.number)
    subject, material = source.subject(fold), source.material(fold)
    require_labels(material.held_out)
    training = Training(config, subject, material.train, material.held_out, folder, device)
    last = folder / checkpoints.LAST
    if resumes and last.is_file():
        training.restore(last)
        logger.info("Resuming %s after step %d", last, training.progress.step)
    # Not before: a run that is refused keeps its own.
    write_whole(places.logs / "config.yaml", to_yaml(config).encode())
    logger.info(
        "Fold %d: %d demos to learn from, %d pictures; %d demos to calibrate on; folder %s",
        fold.number,
        len({clip.example for clip in material.train}),
        sum(len(clip.frames) for clip in material.train),
        len({clip.example for clip in material.held_out}),
        folder,
    )
    log = RunLog(places.logs / f"fold_{fold.number}", to_yaml(config))
    training.fit(log)
    _calibrate_best(folder / checkpoints.BEST, subject, material.held_out, device)
    result = test_fold(source, fold, folder / checkpoints.BEST, config, device)
    write_whole(log.folder / "report.json", json.dumps(result, indent=1).encode())
    table = report.text_table(result, _title(fold))
    log.text("test/report", "    " + table.replace("\n", "\n    "), training.progress.step)
    log.scalars(_scalars(result), training.progress.step)
    log.close()
    return result


def _title(fold: Fold) -> str:
    return f"Fold {fold.number}: demos that the detector has not seen"


def _calibrate_best(
    path: Path, subject: Subject, held_out: list[Clip], device: torch.device
) -> None:
    """Put the correction of the claims into the best checkpoint."""
    state = checkpoints.load(path)
    network = checkpoints.network_of(path, state).to(device).eval()
    maker = BatchMaker(held_out, range(len(subject.cameras)))
    uses = bool(state["uses_bfloat16"])
    found = [find_candidates(network, maker, n, uses) for n in range(len(held_out))]
    calibration = fit_calibration(held_out, found, subject)
    checkpoints.save(path, {**state, "calibration": calibration.state()})


def test_fold(
    source: Source, fold: Fold, path: Path, config: DetectorConfig, device: torch.device
) -> dict[str, Any]:
    """Score a fold's detector on demos that it has not seen."""
    detector = TrainedDetector(path, device)
    subject = detector.subject
    pairs = subject.pair_numbers()
    parts = []
    for clips in source.test_clips(fold, config.TEST.DEMOS):
        parts.append(report.score(clips, detector.detect(clips), pairs))
    scored = report.joined(parts)
    return {
        "fold": fold.number,
        "checkpoint": str(path),
        "demos": len(parts),
        **report.summary(scored, detector.gate_px, subject.keypoints, subject.image_size[0]),
    }


def _scalars(result: dict[str, Any]) -> dict[str, float]:
    found = {}
    for kind in report.KINDS:
        for part in ("all", "kept"):
            for key in ("median_px", "gross_percent"):
                value = result[kind][part][key]
                if value is not None:
                    found[f"test/{kind}/{part}/{key}"] = value
    return found


def report_text(results: list[dict[str, Any]]) -> str:
    """Return the tables of all folds."""
    return "\n\n".join(
        report.text_table(
            result, f"Fold {result['fold']}: {result['demos']} demos that the detector has not seen"
        )
        for result in results
    )


def finished(path: Path) -> bool:
    """Tell whether a fold's best checkpoint is there and calibrated."""
    try:
        TrainedDetector(path)
    except CheckpointError:
        return False
    return True
