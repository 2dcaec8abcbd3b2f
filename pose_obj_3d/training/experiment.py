"""What a training or an evaluation works on: config and archive, checked against each other."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from pose_obj_3d.common.archive.detections import DETECTED
from pose_obj_3d.common.archive.shards import archive_sha256
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.facts import MAKE_DETECTED
from pose_obj_3d.evaluation.root_relative import roots_of
from pose_obj_3d.formal import FormalData, read_formal
from pose_obj_3d.geometry.checks.calibration_checks import check_geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.tracks.choosing import choose_detections, require_agreement
from pose_obj_3d.tracks.exchanging import count_exchanged
from pose_obj_3d.tracks.loading import (
    estimated_noise,
    keypoint_ids,
    load_tracks,
    make_rig,
    one_view,
)
from pose_obj_3d.tracks.noise_text import by_keypoint
from pose_obj_3d.tracks.portions.blocks import Blocks
from pose_obj_3d.tracks.portions.fitting import (
    READING_SHARE,
    Example,
    Portion,
    Room,
    only,
    portion,
)
from pose_obj_3d.tracks.stated_noise import check_noise
from pose_obj_3d.tracks.types import Tracks
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import PACKAGE_DIR, Config, DataConfig
from pose_obj_3d.training.data_files import find_data
from pose_obj_3d.training.device import choose_device
from pose_obj_3d.training.model_registry import build_model

logger = logging.getLogger(__name__)
CHECKED_FRAMES = 25_000  # evenly spread, that tell whether the cameras fit; more take minutes


@dataclass
class Experiment:
    """A config with its data.

    Attributes:
        config: The resolved config.
        config_path: Its file; runs are named after it.
        unsupervised: Whether training reads no 3D label.
        device: Where tensors live.
        archive: The archive as it was read; of validation and test, the examples that fit into
            memory.
        data: The same with the chosen detections.
        portion: What fits.
        ids: Keypoint names.
        log_root: Folder of the logs of this config's group.
        checkpoint_root: The same for checkpoints.
        checked: Sets of views that `warn_of_geometry` has looked at.
    """

    config: Config
    config_path: Path
    unsupervised: bool
    device: torch.device
    archive: FormalData
    data: FormalData
    portion: Portion
    ids: list[str]
    log_root: Path
    checkpoint_root: Path
    checked: set[tuple[int, ...]] = field(default_factory=set)

    def rig(self, views: Sequence[int] = ()) -> Rig:
        """Return the cameras on the device; a single one too."""
        if len(views) != 1:
            return make_rig(self.data, views).to(self.device)
        if self.data.calibrations:
            raise ConfigError(
                f"{self.data.path}: its examples have calibrations of their own; one camera alone"
                " is not evaluated then, choose two or more"
            )
        rig, (view,) = make_rig(self.data), views
        one = Rig(rig.intrinsics[[view]], rig.extrinsics[[view]], rig.sigma_px, (view,))
        return one.to(self.device)

    def tracks(self, split: str, rig: Rig, with_truth: bool) -> Tracks:
        """Load a part of the split on the device; of one that does not fit, examples that do."""
        data = self.portion.sampled(self.data) if split == "train" else self.data
        return self._load(data, split, rig, with_truth).to(self.device)

    def blocks(self, rig: Rig, with_truth: bool) -> Blocks | None:
        """Return the training examples in blocks; None where they fit as a whole."""
        portion = self.portion
        if portion.is_whole:
            return None

        def load(examples: Sequence[Example]) -> Tracks:
            return self._load(only(self.data, {"train": examples}), "train", rig, with_truth)

        return Blocks(portion.train, portion.blocks, portion.frames, load)

    def _load(self, data: FormalData, split: str, rig: Rig, with_truth: bool) -> Tracks:
        """Load a part of the split of some data on the CPU."""
        section = self.config.OBJ_POSE_DATA
        tasks = section.eval_tasks() if split == "test" else section.train_tasks()
        is_single = len(rig.view_ids) == 1
        # Triangulation needs the others.
        cpu = make_rig(data) if is_single else rig.to(torch.device("cpu"))
        tracks = load_tracks(data, cpu, tasks, split, self.ids, section.OCCLUSION, with_truth)
        return one_view(tracks, rig.view_ids[0]) if is_single else tracks

    def notes_on_names(self, split: str) -> list[str]:
        """Say how many examples go by exchanged names; nothing where no keypoints look alike."""
        section = self.config.OBJ_POSE_DATA
        tasks = section.eval_tasks() if split == "test" else section.train_tasks()
        if self.data.witness.detections != DETECTED or not any(map(self.data.exchangeable, tasks)):
            return []
        changed, total = count_exchanged(self.data, tasks, split)
        return [
            f"keypoints that look alike are compared under the names that suit an example's"
            f" detections best, by the truth, the same for all frames and methods: {changed} of"
            f" {total} examples have exchanged names"
        ]

    def warn_of_geometry(self, tracks: Tracks, rig: Rig) -> None:
        """Say what looks wrong with calibration and tracks, once for each set of views.

        Raises:
            DataError: A detector's points are nearly all wrong.
        """
        if len(rig.view_ids) == 1 or rig.view_ids in self.checked:
            return
        self.checked.add(rig.view_ids)
        if self.data.witness.detections == DETECTED:
            require_agreement(self.data, tracks, rig)
        some = slice(None, None, math.ceil(len(tracks) / CHECKED_FRAMES))
        uv, weights = tracks.uv[some], tracks.weights[some]
        chosen = list(range(len(rig.view_ids)))
        if self.data.calibrations:  # those of other examples see nothing here, as they should
            chosen = (weights > 0).any(2).any(0).nonzero().flatten().tolist() or chosen
        own = Rig(
            rig.intrinsics[chosen],
            rig.extrinsics[chosen],
            rig.sigma_px,
            tuple(rig.view_ids[v] for v in chosen),
        )
        names = [self.data.camera_names[v] for v in own.view_ids]
        for warning in check_geometry(uv[:, chosen], weights[:, chosen], own, names):
            logger.warning("%s: %s", self.data.path, warning)

    def view_names(self, rig: Rig) -> list[str]:
        """Return the names of the cameras of a rig; of their calibrations only once."""
        calibrations, names = self.data.calibrations, self.data.cameras
        numbers = [calibrations.camera_of(v) if calibrations else v for v in rig.view_ids]
        return [names[v] for v in dict.fromkeys(numbers)]

    def model(self, rig: Rig) -> Model:
        """Build the model of the config."""
        return build_model(self.config.NETWORK, len(self.ids), rig).to(self.device)

    def data_sha256(self) -> str:
        """Return the hash of the archive's bytes."""
        return archive_sha256(self.data.path)


def open_experiment(
    config: Config, config_path: Path, unsupervised: bool, output: Path | None = None
) -> Experiment:
    """Read the data of a config and check them against each other. Seeds torch by TRAIN.SEED.

    Args:
        config: The resolved config.
        config_path: Its file: OBJ_POSE_DATA.ROOT_DIR may be relative to it, messages name it.
        unsupervised: Whether training reads no 3D label.
        output: Folder for `log/` and `checkpoint/`; the package's own by default.

    Raises:
        ConfigError: The config names data that do not exist.
        FormalError: The archive cannot be read, or lacks a task.
    """
    device = choose_device(config.GPU)
    torch.manual_seed(config.TRAIN.SEED)
    section = config.OBJ_POSE_DATA
    tasks = list(dict.fromkeys([*section.train_tasks(), *section.eval_tasks()]))
    is_detected = section.DETECTIONS == DETECTED
    memory = int(section.MEMORY_GB * 2**30)
    path = find_data(section.ROOT_DIR, config_path, tasks, is_detected)
    archive = read_formal(path, int(READING_SHARE * memory) >> 20)
    if is_detected:
        archive.require_tasks(tasks, f"{MAKE_DETECTED} makes an archive with detections of it")
    else:
        archive.require_tasks(tasks)
    logger.info("Data: %s", archive.path)
    strangers = [f"T{t}" for t in section.eval_tasks() if t not in section.train_tasks()]
    if strangers and config.NETWORK.TYPE != "triangulation":
        raise ConfigError(
            f"{config_path}: OBJ_POSE_DATA.SUBJECTS_TEST has {', '.join(strangers)}, which are not"
            " in SUBJECTS_TRAIN; the model knows the keypoints of the tasks it was trained on"
        )
    ids = keypoint_ids(archive, tasks, section.KEYPOINTS)
    roots_of(ids, config.TEST.ROOT)  # a wrong name is known before training
    views = len(archive.views_of(section.TRAIN_CAMERAS or range(len(archive.cameras))))
    room = Room(memory, views, _widest(ids, tasks), is_detected)
    chosen = portion(archive, section.train_tasks(), section.eval_tasks(), room)
    for note in chosen.notes:
        logger.info("OBJ_POSE_DATA.MEMORY_GB %g: %s", section.MEMORY_GB, note)
    archive = chosen.data
    data = choose_detections(chosen.sampled(), section.witness(), tasks, section.OCCLUSION)
    data, corrected = check_noise(data, section.train_tasks(), ids, section.OCCLUSION)
    data = replace(data, meta={**data.meta, "split": archive.meta["split"]})
    if corrected:
        logger.warning("%s", corrected)
    if (noise := estimated_noise(data)) is not None and not noise.is_plain:
        shown = noise.of_views(range(len(data.cameras)))
        for line in by_keypoint(shown, data.cameras, dict(enumerate(ids))):
            logger.info("%s", line)
    _check_count(section, ids, tasks)
    base, group = output or PACKAGE_DIR, checkpoints.config_group(config_path)
    return Experiment(
        config,
        config_path,
        unsupervised,
        device,
        archive,
        data,
        chosen,
        ids,
        base / "log" / group,
        base / "checkpoint" / group,
    )


def _widest(ids: Sequence[str], tasks: Sequence[int]) -> int:
    """Return the number of keypoints of the richest task."""
    return max(sum(name.startswith(f"T{t}/") for name in ids) for t in tasks)


def _check_count(section: DataConfig, ids: list[str], tasks: Sequence[int]) -> None:
    widest = _widest(ids, tasks)
    if section.NUM_JOINTS is not None and widest != section.NUM_JOINTS:
        logger.warning(
            "OBJ_POSE_DATA.NUM_JOINTS is %d, the data has %d: the data decides",
            section.NUM_JOINTS,
            widest,
        )
