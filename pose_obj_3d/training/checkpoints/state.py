"""What a checkpoint's state must hold: each part is checked before use, and named if wrong."""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.training.config import Config

VERSION = 1
REQUIRED = (
    "version",
    "config",
    "identity",
    "unsupervised",
    "keypoint_ids",
    "data_sha256",
    "epoch",
    "best",
    "best_epoch",
    "history",
    "model",
    "optimiser",
    "rng_torch",
    "rng_shuffle",
)
State = dict[str, Any]


def check_state(state: State) -> None:
    """Check the structure and the types of a state, and that its weights are finite.

    Raises:
        CheckpointError: Something is missing or of another kind; the message names it.
    """
    if type(state.get("version")) is not int or state["version"] != VERSION:
        raise CheckpointError(f"not a checkpoint of this program (version {VERSION})")
    missing = [key for key in REQUIRED if key not in state]
    if missing:
        raise CheckpointError(f"damaged: it lacks {', '.join(missing)}")
    _check_config(state["config"], Config, "config")
    _require(
        isinstance(state["identity"], dict) and _is_plain(state["identity"]),
        "identity",
        "a mapping of plain values",
        state,
    )
    ids = state["keypoint_ids"]
    ok = (
        isinstance(ids, list)
        and bool(ids)
        and all(isinstance(i, str) for i in ids)
        and len(set(ids)) == len(ids)
    )
    _require(ok, "keypoint_ids", "a list of different names", state)
    _require(isinstance(state["unsupervised"], bool), "unsupervised", "true or false", state)
    _require(isinstance(state["data_sha256"], str), "data_sha256", "a text", state)
    _require(_is_count(state["epoch"]), "epoch", "a whole number from 0", state)
    _require(
        _is_count(state["best_epoch"]) and state["best_epoch"] <= state["epoch"],
        "best_epoch",
        "a number of an epoch",
        state,
    )
    _require(_is_real(state["best"]), "best", "a number", state)
    _check_history(state)
    _check_tensors(state)


def _require(ok: bool, key: str, allowed: str, state: State) -> None:
    if not ok:
        value = state[key]
        shown = (
            repr(value)[:60]
            if isinstance(value, bool | int | float | str)
            else type(value).__name__
        )
        raise CheckpointError(f"damaged: {key} must be {allowed}, found {shown}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float | str)


def _check_config(raw: object, cls: type[Any], name: str) -> None:
    """Check that a config has its sections, all of plain values; older keys are allowed."""
    if not isinstance(raw, dict) or not _is_plain(raw):
        raise CheckpointError(
            f"damaged: {name} must be a section of plain values, found {type(raw).__name__}"
        )
    for part in dataclasses.fields(cls):
        if not dataclasses.is_dataclass(part.default):
            continue
        if part.name in raw:
            _check_config(raw[part.name], type(part.default), f"{name}.{part.name}")
        elif cls is Config:
            raise CheckpointError(f"damaged: {name} lacks {part.name}")
    for key, section in (("NUM_EPOCHES", "TRAIN"), ("TYPE", "NETWORK")) if cls is Config else ():
        if not isinstance(raw[section].get(key), int if section == "TRAIN" else str):
            raise CheckpointError(f"damaged: {name}.{section}.{key} is missing or of another type")


def _check_history(state: State) -> None:
    history = state["history"]
    ok = (
        isinstance(history, list)
        and len(history) == state["epoch"]
        and all(isinstance(row, dict) for row in history)
    )
    _require(ok, "history", f"one mapping for each of {state['epoch']} epochs", state)
    ok = all(
        isinstance(key, str) and isinstance(value, int | float)
        for row in history
        for key, value in row.items()
    )
    _require(ok, "history", "a list of mappings of numbers", state)


def _check_tensors(state: State) -> None:
    model = state["model"]
    ok = (
        isinstance(model, dict)
        and bool(model)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in model.items())
    )
    _require(ok, "model", "a mapping of names to tensors, not empty", state)
    bad = [key for key, value in model.items() if not value.isfinite().all()]
    if bad:
        raise CheckpointError(f"damaged: the weights {bad[0][:80]} are not finite")
    _require(isinstance(state["optimiser"], dict), "optimiser", "a mapping", state)
    for key in ("rng_torch", "rng_shuffle"):
        value = state[key]
        ok = (
            isinstance(value, Tensor)
            and value.dtype == torch.uint8
            and value.shape == torch.get_rng_state().shape
        )
        _require(ok, key, "the state of a generator", state)


def load_model(model: nn.Module, weights: State) -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        CheckpointError: They are those of another model.
    """
    if isinstance(model, Model):
        model.expect(weights)
    own = model.state_dict()
    strange = sorted(set(own) ^ set(weights))
    if strange:
        whose = "lacks the weights" if strange[0] in own else "has the unknown weights"
        raise CheckpointError(
            f"belongs to another model, or is damaged: it {whose} {strange[0][:80]}"
        )
    for key, value in own.items():
        found = weights[key]
        if found.shape != value.shape or found.dtype != value.dtype:
            raise CheckpointError(
                f"belongs to another model, or is damaged: {key} is {found.dtype}"
                f" {tuple(found.shape)} there, {value.dtype} {tuple(value.shape)} here"
            )
    model.load_state_dict(weights)


def load_optimiser(optimiser: torch.optim.Optimizer, saved: State) -> None:
    """Put a checkpoint's state into an optimiser.

    Raises:
        CheckpointError: It is that of another model, or damaged.
    """
    own = optimiser.state_dict()
    groups = saved.get("param_groups")
    there = groups if isinstance(groups, list) else []
    for found, group in zip(there, own["param_groups"], strict=False):
        if isinstance(found, dict) and "fused" in found:
            found["fused"] = group["fused"]  # it says how to compute, not what
    is_same = (
        isinstance(groups, list)
        and len(groups) == len(own["param_groups"])
        and isinstance(saved.get("state"), dict)
    )
    if not is_same or not all(
        _is_group(a, b) for a, b in zip(groups or (), own["param_groups"], strict=True)
    ):
        raise CheckpointError("damaged: the optimiser is not that of this training")
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    moments = {"step", "exp_avg", "exp_avg_sq"}
    if optimiser.defaults["amsgrad"]:
        moments.add("max_exp_avg_sq")
    for number, parts in saved["state"].items():
        if (
            not isinstance(number, int)
            or number >= len(parameters)
            or not _is_moments(parts, moments, parameters[number])
        ):
            raise CheckpointError(
                f"damaged: the optimiser's state of parameter {str(number)[:20]} does not fit"
            )
    optimiser.load_state_dict(saved)


def _is_group(found: object, own: State) -> bool:
    if not isinstance(found, dict) or set(found) != set(own):
        return False
    params = found["params"]
    if (
        not isinstance(params, list)
        or not all(type(n) is int for n in params)
        or params != own["params"]
    ):
        return False
    same_kind = all(type(found[key]) is type(own[key]) for key in own)
    numbers = [
        n
        for value in found.values()
        for n in (value if isinstance(value, tuple) else (value,))
        if isinstance(n, float)
    ]
    return same_kind and all(math.isfinite(n) for n in numbers)


def _is_moments(parts: object, names: set[str], parameter: Tensor) -> bool:
    return (
        isinstance(parts, dict)
        and set(parts) == names
        and all(
            isinstance(value, Tensor)
            and value.shape == (() if key == "step" else parameter.shape)
            and bool(value.isfinite().all())
            for key, value in parts.items()
        )
    )
