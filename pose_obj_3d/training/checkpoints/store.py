"""Checkpoints and run folders: written whole, read without pickled code, checked before use."""

import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pose_obj_3d.common.errors import ArchiveError, CheckpointError
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.training.checkpoints import file as checkpoint_file
from pose_obj_3d.training.checkpoints import state as checkpoint_state
from pose_obj_3d.training.config import PACKAGE_DIR, Config, network_of, to_dict

logger = logging.getLogger(__name__)
CHECKPOINT_VERSION = checkpoint_state.VERSION
LAST, BEST = "last.pt", "best.pt"
MOST_NAMED = 4  # differences in a message
State = dict[str, Any]


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def config_group(config_path: Path) -> str:
    """Return the folder's name below `log`: that of the config's folder in `cfg`, or `submit`."""
    parent = config_path.resolve().parent
    return parent.name if parent.parent == PACKAGE_DIR / "cfg" else "submit"


def run_name(config_path: Path) -> str:
    """Return `<config name>_<time>`."""
    return f"{config_path.stem}_{time.strftime('%Y%m%d_%H%M%S')}"


def new_run(log_root: Path, checkpoint_root: Path, config_path: Path) -> str:
    """Claim a run name that no other run has, and make its log folder."""
    base = run_name(config_path)
    for n in range(1000):
        name = base if n == 0 else f"{base}_{n}"
        if (checkpoint_root / name).exists():
            continue
        try:
            (log_root / name).mkdir(parents=True)
        except FileExistsError:
            continue
        return name
    raise CheckpointError(
        f"{log_root / base}: a thousand runs began in this second; remove old runs"
    )


def save(path: Path, state: State) -> None:
    """Write atomically: a kill at any moment leaves the old checkpoint or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, checkpoint_file.to_bytes(state))


def load(path: Path, warn: bool = True) -> State:
    """Read a checkpoint; anything else is a CheckpointError.

    One without a checksum is of an older version; with `warn` a line says so.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such checkpoint; they are in pose_obj_3d/checkpoint/<group>/<run>/best.pt"
        )
    try:
        state, has_sum = checkpoint_file.read(path)
        checkpoint_state.check_state(state)
    except (OSError, ArchiveError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint ({error})") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if warn and not has_sum:
        logger.warning(
            "%s: written by an older version, without a checksum: damage to its numbers would not"
            " be seen",
            path,
        )
    return state


def load_model(path: Path, model: nn.Module, state: State) -> None:
    """Put a checkpoint's weights into a model; those of another model are a CheckpointError."""
    try:
        checkpoint_state.load_model(model, state["model"])
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: {error}; use the config and the data it was made with"
        ) from error


def load_training(
    path: Path, optimiser: torch.optim.Optimizer, shuffle: torch.Generator, state: State
) -> None:
    """Put a state into optimiser and generators; what does not fit is a CheckpointError."""
    try:
        checkpoint_state.load_optimiser(optimiser, state["optimiser"])
        torch.set_rng_state(state["rng_torch"])
        shuffle.set_state(state["rng_shuffle"])
    except (CheckpointError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{path}: cannot be resumed: {reason}; start a new run instead"
        ) from error


def identity(config: Config, with_epochs: bool = True) -> State:
    """Return the part of the config that decides the weights."""
    plain = to_dict(config)
    decisive = {
        "NETWORK": plain["NETWORK"],
        "TRAIN": dict(plain["TRAIN"]),
        "DATA": dict(plain["OBJ_POSE_DATA"]),
    }
    for key in ("ROOT_DIR", "SUBJECTS_TEST", "TEST_CAMERAS", "NUM_JOINTS", "MEMORY_GB"):
        decisive["DATA"].pop(key)
    if not with_epochs:
        decisive["TRAIN"].pop("NUM_EPOCHES")
    return decisive


def differences(a: State, b: State, prefix: str = "") -> list[str]:
    """List keys whose values differ, with both values."""
    found = []
    for key in sorted(set(a) | set(b)):
        x, y = a.get(key), b.get(key)
        if isinstance(x, dict) and isinstance(y, dict):
            found += differences(x, y, f"{prefix}{key}.")
        elif x != y:
            found.append(f"{prefix}{key}: {x!r} there, {y!r} here")
    return found


def check_model(path: Path, state: State, config: Config, ids: list[str]) -> None:
    """Refuse a checkpoint whose network or keypoints differ from the config's."""
    faults = differences(
        network_of(state["config"]["NETWORK"]), network_of(to_dict(config)["NETWORK"]), "NETWORK."
    )
    if state["keypoint_ids"] != ids:
        faults.append(f"keypoints: {state['keypoint_ids']} there, {ids} here")
    if faults:
        raise CheckpointError(
            f"{path}: belongs to another model: {'; '.join(faults)}; use the config it was made"
            " with"
        )


def resume_faults(state: State, config: Config, unsupervised: bool, data_sha256: str) -> list[str]:
    """List what keeps a run from being continued with a config, kind and data (more epochs may)."""
    known = state.get("identity")
    faults = (
        differences(known, identity(config, with_epochs=False))
        if isinstance(known, dict)
        else ["it holds no identity"]
    )
    if state["unsupervised"] != unsupervised:
        faults.append("supervised and unsupervised training differ")
    if state["data_sha256"] != data_sha256:
        faults.append("the data file has changed")
    return faults


def check_resumable(
    path: Path, state: State, config: Config, unsupervised: bool, data_sha256: str
) -> None:
    """Refuse to continue a run of another config, kind or data set (more epochs are fine)."""
    faults = resume_faults(state, config, unsupervised, data_sha256)
    if faults:
        raise CheckpointError(
            f"{path}: cannot be resumed: {'; '.join(faults)}; start a new run instead"
        )


def find_run(
    root: Path, config_path: Path, config: Config, unsupervised: bool, data_sha256: str
) -> tuple[Path | None, str]:
    """Look for the newest run of this config, kind and data with the same resolved config.

    Returns:
        Its `last.pt`, and nothing; or None, and why the newest run of that name is another one
        (nothing where there is no run of that name).
    """
    runs = list(root.glob(f"{config_path.stem}_[0-9]*/{LAST}"))
    why = ""
    for path in sorted(runs, key=lambda p: (p.stat().st_mtime_ns, str(p)), reverse=True):
        try:
            state = load(path, warn=False)
        except CheckpointError as error:
            why = why or str(error)
            continue
        faults = resume_faults(state, config, unsupervised, data_sha256)
        there, here = state["config"]["TRAIN"]["NUM_EPOCHES"], config.TRAIN.NUM_EPOCHES
        if there != here:
            faults.append(f"TRAIN.NUM_EPOCHES: {there} there, {here} here")
        if not faults:
            return path, ""
        more = f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        why = why or f"the newest one, {path}, differs: {'; '.join(faults[:MOST_NAMED])}{more}"
    return None, why
