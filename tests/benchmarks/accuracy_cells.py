"""Cells of the accuracy benchmark: one method on one task under one condition, cached as JSON.

A cell's file name holds a hash of all that decides its numbers: settings, data, and the sources of
what computes them. What is there is not computed again, so an interrupted benchmark goes on where
it stopped.
"""

import dataclasses
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation import report
from pose_obj_3d.tracks.lasting import with_shared
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import PACKAGE_DIR, Config, TrainConfig, load_config
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.model_registry import build_model
from pose_obj_3d.training.run import Run
from pose_obj_3d.training.trainer import calibrate_best, fit
from tests.benchmarks.accuracy_cases import GROUPS, Case, bound_sums, sums
from tests.benchmarks.accuracy_data import WITH_LABELS
from tests.benchmarks.accuracy_references import BOUNDS, REFERENCES, TRACK_REFERENCES, smoothed

logger = logging.getLogger("accuracy")
LAST_RATE = (
    0.05  # learning rate of STC's last epoch in units of the first's, whatever the number of epochs
)
VERSION = 3  # of the cells' contents
LEARNED = {
    "stc_window": "STC window, unsupervised",
    "stc_track": "STC track, unsupervised",
    "stc_window_sup": "STC window, supervised",
    "stc_track_sup": "STC track, supervised",
    "mht": "MHT, unsupervised",
    "mht_sup": "MHT, supervised",
}
METHODS = {**REFERENCES, **TRACK_REFERENCES, **LEARNED, **BOUNDS}
_NUMBERS = ("geometry", "smoothing", "tracks")
"""Rooms that decide every error."""
_LEARNED = tuple(
    f"training/{name}.py" for name in ("losses", "objective", "run", "trainer", "validation")
)
_NOT_LEARNED = ("evaluation/protocol.py", "evaluation/metrics.py")


def kind_of(method: str) -> str:
    """Return `stc` or `mht`."""
    return method.partition("_")[0]


def sources_sha256(method: str) -> str:
    """Return the hash of the modules that decide a method's numbers."""
    learned = method in LEARNED
    files = [p for room in _NUMBERS for p in (PACKAGE_DIR / room).rglob("*.py")]
    files += [PACKAGE_DIR / name for name in (_LEARNED if learned else _NOT_LEARNED)]
    if learned:
        models = (PACKAGE_DIR / "models").rglob("*.py")
        files += [p for p in models if kind_of(method) == "mht" or p.parent.name != "mht"]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Cells:
    """The cache, and how each method is computed.

    Args:
        folder: Where cells and trainings are kept.
        epochs: Epochs of STC and of MHT (0: MHT is not trained).
        mht_checkpoints: Folders or files of trained MHT.
    """

    def __init__(self, folder: Path, epochs: dict[str, int], mht_checkpoints: list[Path]) -> None:
        self.folder, self.epochs = folder, epochs
        # Read at the start: what this process has imported, whatever is edited while it runs.
        self.sources = {method: sources_sha256(method) for method in METHODS}
        self.mht_checkpoints = [p / checkpoints.BEST if p.is_dir() else p for p in mht_checkpoints]

    def get(self, case: Case, train_case: Case, method: str) -> dict[str, Any] | None:
        """Return a cell, from the cache if it is there; None where the method is not run."""
        is_mht = method.startswith("mht")
        given = self._given(method) if is_mht else None
        if is_mht and (case.task != 9 or (given is None and not self.epochs["mht"])):
            return None
        if is_mht and case.name != "clean":
            return None
        if method.endswith("_sup") and case.name not in WITH_LABELS:
            return None
        if method in BOUNDS and case.condition.is_detected:  # nobody knows that noise
            return None
        key = self._key(case, train_case, method)
        if given:
            key["checkpoint"] = checkpoints.file_sha256(given)
        path = self.folder / "cells" / f"T{case.task}_{case.name}_{method}_{_digest(key)}.json"
        if path.is_file():
            cell: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cell
        start = time.perf_counter()
        cell = self.compute(case, train_case, method, given)
        cell |= {"key": key, "seconds": round(time.perf_counter() - start, 2)}
        path.parent.mkdir(parents=True, exist_ok=True)
        report.write_atomic(path, json.dumps(cell) + "\n")
        error = (
            cell["sums"]["all"]["all"]
            if "all" in cell["sums"] and "all" in cell["sums"]["all"]
            else None
        )
        shown = f"{sum(error['total']) / sum(error['count']):.3f} mm" if error else "done"
        logger.info(
            "T%d %s, %s: %s (%.0f s)", case.task, case.name, METHODS[method], shown, cell["seconds"]
        )
        return cell

    def _key(self, case: Case, train_case: Case, method: str) -> dict[str, Any]:
        key: dict[str, Any] = {
            "version": VERSION,
            "data": case.source.sha256,
            "task": case.task,
            "seed": case.seed,
            "method": method,
            "condition": dataclasses.asdict(case.condition),
            "sources": self.sources[method],
        }
        if method in LEARNED:
            key |= {
                "train": dataclasses.asdict(train_case.condition),
                "train_data": train_case.source.sha256,
                "epochs": self.epochs[kind_of(method)],
            }
        return key

    def compute(
        self, case: Case, train_case: Case, method: str, given: Path | None
    ) -> dict[str, Any]:
        """Compute a cell, whether it is kept or not; `given` is a checkpoint to evaluate."""
        if method in BOUNDS:
            return {"sums": bound_sums(case, BOUNDS[method]), "info": {}}
        if given:
            return self._checkpointed(case, given)
        info: dict[str, Any] = {}
        if method in REFERENCES:
            found = case.references[REFERENCES[method]]
        elif method in TRACK_REFERENCES:
            found, info = smoothed(case, method)
        else:
            model, info = self._trained(train_case, method)
            found = evaluation.estimate(model, case.test, case.rig, case.protocol)
        found = with_shared(found, case.test, case.rig)
        return {"sums": sums(found, case.test, case.ids, case), "info": info}

    def _trained(self, case: Case, method: str) -> tuple[nn.Module, dict[str, Any]]:
        """Train, or go on training, or load what was trained."""
        kind, unsupervised = kind_of(method), not method.endswith("_sup")
        config = training_config(case.task, method, self.epochs[kind])
        key = {**self._key(case, case, method), "config": checkpoints.identity(config)}
        folder = self.folder / "training" / f"T{case.task}_{case.name}_{method}_{_digest(key)}"
        torch.manual_seed(config.TRAIN.SEED)
        train, val = (case.tracks(s, with_truth=not unsupervised) for s in ("train", "val"))
        model = build_model(config.NETWORK, len(case.ids), case.rig)
        model.set_normalisation(train.xyz[train.is_real])
        run = Run(
            config,
            unsupervised,
            model,
            train,
            val,
            case.rig,
            case.ids,
            case.source.sha256,
            folder,
        )
        if (folder / checkpoints.LAST).is_file():
            run.restore(checkpoints.load(folder / checkpoints.LAST), folder / checkpoints.LAST)
        log = RunLog(folder, yaml.safe_dump(checkpoints.identity(config)))
        fit(run, log)
        log.close()
        calibrate_best(run)
        rates = [h["time/windows_per_s"] for h in run.history]
        return model, {
            "best_epoch": run.best_epoch,
            "epochs": run.epoch,
            "windows_per_s": round(max(rates)),
        }

    def _given(self, method: str) -> Path | None:
        """Return the checkpoint, of those given, that is of a method's kind."""
        for path in self.mht_checkpoints:
            if checkpoints.load(path)["unsupervised"] != method.endswith("_sup"):
                return path
        return None

    def _checkpointed(self, case: Case, path: Path) -> dict[str, Any]:
        """Evaluate a checkpoint made elsewhere, on its own keypoints."""
        state = checkpoints.load(path)
        ids = [i for i in state["keypoint_ids"] if i in case.ids]
        resolved = self.folder / "resolved.yaml"
        report.write_atomic(resolved, yaml.safe_dump(state["config"]))
        model = build_model(load_config(resolved).NETWORK, len(state["keypoint_ids"]), case.rig)
        checkpoints.load_model(path, model, state)
        tracks = case.tracks("test", with_truth=True, ids=state["keypoint_ids"])
        found = evaluation.estimate(model, tracks, case.rig, case.protocol)
        return {"sums": sums(found, tracks, ids, case), "info": {"best_epoch": state["epoch"]}}


def training_config(task: int, method: str, epochs: int) -> Config:
    """Return the config of a training: a task's own, for all of its keypoint groups."""
    prefix = "config" if method.endswith("_sup") else "config_u"
    config = load_config(PACKAGE_DIR / "cfg" / "submit" / f"{prefix}_waypoints_task_9.yaml")
    stc = dataclasses.replace(
        config.NETWORK.STC, CONTEXT="track" if "track" in method else "window"
    )
    kind = kind_of(method).upper()
    # STC as the task configs train it; MHT as the original does.
    train = (
        config.TRAIN
        if kind == "STC"
        else dataclasses.replace(TrainConfig(), BATCH_SIZE=config.TRAIN.BATCH_SIZE)
    )
    return dataclasses.replace(
        config,
        NETWORK=dataclasses.replace(
            config.NETWORK, TYPE=kind, STC=stc, DROPOUT=0.0 if kind == "STC" else 0.1
        ),
        TRAIN=dataclasses.replace(
            train,
            NUM_EPOCHES=epochs,
            LR_DECAY=LAST_RATE ** (1 / max(epochs - 1, 1)) if kind == "STC" else train.LR_DECAY,
        ),
        OBJ_POSE_DATA=dataclasses.replace(
            config.OBJ_POSE_DATA, SUBJECTS_TRAIN=(f"T{task}",), SUBJECTS_TEST=(), KEYPOINTS=GROUPS
        ),
    )


def _digest(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
