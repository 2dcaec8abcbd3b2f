"""Checkpoints of detectors: what they hold, checked before use."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import ArchiveError, CheckpointError
from pose_obj_3d.detector.config import DetectorConfig
from pose_obj_3d.detector.learning.network import DetectorNetwork, NetworkSize
from pose_obj_3d.training.checkpoints import file as checkpoint_file
from pose_obj_3d.training.checkpoints.state import load_model
from pose_obj_3d.training.checkpoints.store import BEST, LAST, save

__all__ = ["BEST", "KIND", "LAST", "Subject", "load", "network_of", "save", "subject_of"]
KIND = "detector"
VERSION = 1
State = dict[str, Any]
TEXT_LISTS = ("keypoints", "cameras", "demos")
MAPPINGS = ("config", "model")


@dataclass(frozen=True)
class Subject:
    """What a detector knows: all of it must be the same where it is used.

    Attributes:
        task: Task id.
        keypoints: K names `<group>/<name>`.
        cameras: V names, in the order of the archive.
        image_size: Width and height [px].
        prompts: For each of the P prompts the keypoints that hang on its object.
        exchangeable: Pairs of keypoints that look alike.
        fold: Number of the fold, from 0.
        demos: Ids of the demos that it was trained or calibrated on.
    """

    task: int
    keypoints: tuple[str, ...]
    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    prompts: tuple[tuple[str, ...], ...]
    exchangeable: tuple[tuple[str, ...], ...]
    fold: int
    demos: tuple[str, ...]

    def size(self, width: int, depth: int) -> NetworkSize:
        """Return the size of a network for it."""
        counts = len(self.keypoints), len(self.cameras), len(self.prompts)
        return NetworkSize(*counts, width=width, depth=depth)

    def pair_numbers(self) -> list[tuple[int, int]]:
        """Return the numbers of the keypoints that look alike."""
        index = self.keypoints.index
        return [(index(a), index(b)) for a, b in self.exchangeable]

    def state(self) -> State:
        """Return it as plain values."""
        return {
            "task": self.task,
            "keypoints": list(self.keypoints),
            "cameras": list(self.cameras),
            "image_size": list(self.image_size),
            "prompts": [list(group) for group in self.prompts],
            "exchangeable": [list(pair) for pair in self.exchangeable],
            "fold": self.fold,
            "demos": list(self.demos),
        }


def load(path: Path) -> State:
    """Read the checkpoint of a detector.

    Raises:
        CheckpointError: It is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint; they are in pose_obj_3d/checkpoint/detector/<run>/fold_0/"
            "best.pt, made by run_detector.py"
        )
    try:
        state, _ = checkpoint_file.read(path)
    except (OSError, ArchiveError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint ({error})") from error
    if state.get("kind") != KIND or state.get("detector_version") != VERSION:
        raise CheckpointError(
            f"{path}: not the checkpoint of a detector (version {VERSION}); pass one that"
            " run_detector.py made"
        )
    fault = _fault(state)
    if fault:
        raise CheckpointError(f"{path}: damaged: {fault}")
    return state


def _fault(state: State) -> str:
    """Say what is wrong with a state, or nothing."""
    for key in MAPPINGS:
        if not isinstance(state.get(key), dict):
            return f"{key} must be a mapping"
    for key in TEXT_LISTS:
        if not _are_texts(state.get(key)):
            return f"{key} must be a list of texts"
    for key in ("prompts", "exchangeable"):
        if not isinstance(state.get(key), list) or not all(map(_are_texts, state[key])):
            return f"{key} must be a list of lists of texts"
    for key in ("task", "fold", "step"):
        if type(state.get(key)) is not int or state[key] < 0:
            return f"{key} must be a whole number from 0"
    size = state.get("image_size")
    if not isinstance(size, list) or [type(n) for n in size] != [int, int] or min(size) < 1:
        return "image_size must be a width and a height"
    bad = [
        key
        for key, value in state["model"].items()
        if not isinstance(value, Tensor) or not value.isfinite().all()
    ]
    return f"the weights {bad[0]!s:.80} are not finite numbers" if bad else ""


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def subject_of(state: State) -> Subject:
    """Return what the detector of a state knows."""
    return Subject(
        state["task"],
        tuple(state["keypoints"]),
        tuple(state["cameras"]),
        (state["image_size"][0], state["image_size"][1]),
        tuple(map(tuple, state["prompts"])),
        tuple(map(tuple, state["exchangeable"])),
        state["fold"],
        tuple(state["demos"]),
    )


def network_of(path: Path, state: State) -> DetectorNetwork:
    """Build the network of a checkpoint with its weights.

    Raises:
        CheckpointError: The weights are those of another network.
    """
    config = config_of(path, state, DetectorConfig).NETWORK
    network = DetectorNetwork(subject_of(state).size(config.WIDTH, config.DEPTH))
    put_weights(path, network, state)
    return network


def put_weights(path: Path, network: nn.Module, state: State) -> None:
    """Put a checkpoint's weights into a network; those of another are a CheckpointError."""
    try:
        load_model(network, state["model"])
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
