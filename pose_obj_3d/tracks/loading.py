"""Tracks of an archive. Owns the rules of selection: tasks, split, keypoint groups, views.

All frames of all examples lie one behind the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pose_obj_3d import formal
from pose_obj_3d.common.archive.detections import (
    DETECTED,
    DETECTED_SD,
    DETECTED_SEEN,
    claimed_covariance,
)
from pose_obj_3d.common.archive.meta import ESTIMATED_NOISE
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.facts import DETECTION_GRID_PX, WHITE_SHARE
from pose_obj_3d.formal import Array, FormalData, Witness
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.exchanging import names_order
from pose_obj_3d.tracks.triangulating import triangulate_tracks
from pose_obj_3d.tracks.triangulating_sets import estimate_frames_by_sets, without_strays
from pose_obj_3d.tracks.types import Tracks


def keypoint_ids(data: FormalData, tasks: Sequence[int], groups: Sequence[str]) -> list[str]:
    """List the keypoints of the groups, `T<task>/<group>/<name>`, in the archive's order."""
    ids = []
    for task in tasks:
        names = [name for name in data.keypoint_names(task) if name.split("/")[0] in groups]
        if not names:
            there = sorted({name.split("/")[0] for name in data.keypoint_names(task)})
            raise DataError(
                f"{data.path}: T{task} has no keypoints of OBJ_POSE_DATA.KEYPOINTS {list(groups)};"
                f" it has {there}"
            )
        ids += [f"T{task}/{name}" for name in names]
    found = {name.split("/")[1] for name in ids}
    absent = [g for g in groups if g not in found]
    if absent:
        raise DataError(
            f"{data.path}: OBJ_POSE_DATA.KEYPOINTS asks for {', '.join(absent)}, which no task has"
            f" recorded; {', '.join(sorted(found))} were found"
        )
    return ids


def make_rig(data: FormalData, views: Sequence[int] = ()) -> Rig:
    """Return the rig of the given cameras (all when empty), in all their calibrations."""
    chosen = list(views) or list(range(len(data.cameras)))
    if len(chosen) < 2:
        raise DataError(f"{len(chosen)} view(s) chosen: {chosen}; 3D needs at least two")
    if max(chosen) >= len(data.cameras):
        listed = ", ".join(f"{i} {name}" for i, name in enumerate(data.cameras))
        raise DataError(f"{data.path}: view {max(chosen)} does not exist; the file has {listed}")
    chosen = data.views_of(chosen)
    K, E = torch.from_numpy(data.intrinsics[chosen]), torch.from_numpy(data.extrinsics[chosen])
    noise = estimated_noise(data)
    # Exact data (sigma 0) still needs a scale for weights and likelihoods: the stored 1/16 px grid.
    sigma = data.sigma_px if noise is None else float(noise.sigma[chosen].median())
    return Rig(K, E, max(sigma, DETECTION_GRID_PX), tuple(chosen))


def estimated_noise(data: FormalData) -> NoiseParts | None:
    """Return the noise of all views that `stated_noise.check_noise` has found, or None."""
    found: NoiseParts | None = data.meta["noise"].get(ESTIMATED_NOISE)
    return found


@dataclass(frozen=True)
class Detections:
    """The detections of a part of the split, without truth.

    Attributes:
        uv: (N, V, K, 2) [px].
        visibility: (N, V, K), 0 where missing.
        keypoint: (N, K) position in the ids, -1 = none.
        first: (N,) first frame of the example.
        claims: (N, V, K, 2, 2) as in `Tracks`, or None.
    """

    uv: Tensor
    visibility: Tensor
    keypoint: Tensor
    first: Tensor
    claims: Tensor | None


def detections(
    data: FormalData, rig: Rig, tasks: Sequence[int], split: str, ids: Sequence[str]
) -> Detections:
    """Load the detections of a part of the split, as chosen (`choosing.choose_detections`)."""
    joined = _stack_examples(data, rig, tasks, split, ids, with_truth=False)
    visibility = joined["vis"] * (joined["key"] >= 0)[:, None]
    claims = _claims(joined["says"]) if "says" in joined else None
    return Detections(joined["uv"], visibility, joined["key"], joined["first"], claims)


def load_tracks(
    data: FormalData,
    rig: Rig,
    tasks: Sequence[int],
    split: str,
    ids: Sequence[str],
    occlusion: str = "keep",
    with_truth: bool = True,
) -> Tracks:
    """Collect one part of the split as tensors and triangulate every frame.

    Of keypoints that look alike, the truth goes by the names that the detections have.

    Args:
        data: The archive, with the chosen detections (`choosing.choose_detections`).
        rig: Views to use.
        tasks: Task ids.
        split: `train`, `val` or `test`.
        ids: Keypoints to use, from `keypoint_ids`; their positions here are the keypoint indices.
        occlusion: `keep`: visibility > 0 is usable; `drop`: only visibility 1.
        with_truth: False leaves the 3D truth unread: unsupervised training sees no label anywhere.
    """
    data.require_tasks(tasks)
    joined = _stack_examples(data, rig, tasks, split, ids, with_truth)
    visibility = joined["vis"]
    weights = (visibility > 0 if occlusion == "keep" else visibility == 1).float()
    weights = weights * (joined["key"] >= 0).float()[:, None]
    claims = _claims(joined["says"]) if "says" in joined else None
    noise = estimated_noise(data)
    if noise is not None:
        noise = noise.of_views(rig.view_ids)
        precision = noise.precision(joined["key"], claims)
        weights = weights * (rig.sigma_px**2 * precision).float()
    where = joined["key"], joined["first"], joined["last"]
    floor = None
    if noise is None or noise.is_plain:
        xyz, info, robust = triangulate_tracks(joined["uv"], weights, rig, *where)
        noise = None
    else:
        frames, _ = estimate_frames_by_sets(joined["uv"], weights, rig, where[0], noise, claims)
        found = without_strays(frames, weights, *where)
        xyz, info, robust, floor = found.xyz, found.info, found.robust, found.floor
    return Tracks(
        uv=joined["uv"],
        weights=weights,
        robust=robust,
        xyz=xyz,
        info=info,
        truth=joined.get("truth"),
        precision=_true_precision(data, rig, visibility) if data.witness == Witness() else None,
        keypoint=joined["key"],
        first=joined["first"],
        last=joined["last"],
        source=joined["source"],
        claims=claims,
        p_seen=joined["says"][..., DETECTED_SEEN] * (weights > 0) if "says" in joined else None,
        lasting=_stated_to_last(data, rig) if data.witness == Witness() else None,
        noise=noise,
        floor=floor,
    )


def _claims(says: Tensor) -> Tensor | None:
    """Return the covariances (N, V, K, 2, 2) that a detector claims; None where it claims none."""
    claims = torch.from_numpy(claimed_covariance(says.numpy()))
    return claims if claims.isfinite().any() else None


def one_view(tracks: Tracks, view: int) -> Tracks:
    """Keep what one view has measured: nothing is triangulated, so `xyz` is NaN and `info` 0."""
    of_views = ("uv", "weights", "robust", "precision", "claims", "p_seen")
    kept = {
        name: values[:, view : view + 1]
        for name in of_views
        if (values := getattr(tracks, name)) is not None
    }
    return replace(
        tracks,
        xyz=torch.full_like(tracks.xyz, torch.nan),
        info=torch.zeros_like(tracks.info),
        lasting=None if tracks.lasting is None else tracks.lasting[[view]],
        noise=None if tracks.noise is None else tracks.noise.of_views([view]),
        floor=None,
        **kept,
    )


def _stack_examples(
    data: FormalData,
    rig: Rig,
    tasks: Sequence[int],
    split: str,
    ids: Sequence[str],
    with_truth: bool,
) -> dict[str, Tensor]:
    """Lay the examples' frames one behind the other; tasks with fewer keypoints are padded."""
    number = {name: i for i, name in enumerate(ids)}
    columns = {
        t: [k for k, name in enumerate(data.keypoint_names(t)) if f"T{t}/{name}" in number]
        for t in tasks
    }
    width = max(len(c) for c in columns.values())
    parts: dict[str, list[np.ndarray]] = {
        k: [] for k in ("uv", "vis", "says", "truth", "key", "first", "last", "source")
    }
    has_claims = data.witness.detections == DETECTED
    start = 0
    for task in tasks:
        names = data.keypoint_names(task)
        key = np.full(width, -1)
        key[: len(columns[task])] = [number[f"T{task}/{names[k]}"] for k in columns[task]]
        for example in data.split(task)[split]:
            x = _of_views(data.tracks[task][example], rig, columns[task], width)
            frames = x.shape[1]
            uv = x[..., formal.UV_DETECTED]
            missed = np.isnan(uv[..., 0]) | np.isnan(uv[..., 1])
            parts["uv"].append(np.where(missed[..., None], 0, uv).transpose(1, 0, 2, 3))
            parts["vis"].append(np.where(missed, 0, x[..., formal.VISIBILITY]).transpose(1, 0, 2))
            if has_claims:
                says = _of_views(data.detections[task][example], rig, columns[task], width)
                # Of keypoints that the task does not have, nothing is claimed.
                says[:, :, len(columns[task]) :, DETECTED_SD] = np.nan
                parts["says"].append(says.transpose(1, 0, 2, 3))
            if with_truth:
                order = names_order(data, task, example)[columns[task]]
                x = _of_views(data.tracks[task][example], rig, order, width)
                parts["truth"].append(x[0][..., formal.XYZ_WORLD])
            parts["key"].append(np.tile(key, (frames, 1)))
            parts["first"].append(np.full(frames, start))
            parts["last"].append(np.full(frames, start + frames - 1))
            parts["source"].append(
                np.stack([np.full(frames, task), np.full(frames, example), np.arange(frames)], -1)
            )
            start += frames
    return {k: torch.from_numpy(np.concatenate(v)) for k, v in parts.items() if v}


def _of_views(x: Array, rig: Rig, columns: Sequence[int] | Array, width: int) -> Array:
    """Return views and keypoints of an example (V, T, width, C), padded by zeros."""
    x = x[list(rig.view_ids)][:, :, columns]
    return np.pad(x, ((0, 0), (0, 0), (0, width - x.shape[2]), (0, 0)))


def _stated_to_last(data: FormalData, rig: Rig) -> Tensor | None:
    """Return how long errors last (V, 3), as in `Tracks.lasting`."""
    noise, V = data.meta["noise"], len(data.camera_names)
    constant, time_constant = (
        torch.as_tensor(noise.get(name, 0.0), dtype=torch.float64).broadcast_to((V,))
        for name in ("noise_persistent_share", "noise_time_constant")
    )
    slow = torch.where(time_constant > 0, (1 - constant) * (1 - WHITE_SHARE), 0.0)
    found = torch.stack([slow, constant, time_constant], -1)[list(rig.view_ids)]
    return found if bool((found[:, :2] > 0).any()) else None


def _true_precision(data: FormalData, rig: Rig, visibility: Tensor) -> Tensor:
    """Return the detections' precision (N, V, K), in 1 / sigma_px^2, from the archive's noise.

    An outlier or a gross error tells next to nothing about the position, so a share of them takes
    that share of the information.
    """
    noise = data.meta["noise"]
    V = len(data.camera_names)

    def of_views(name: str, default: float) -> Tensor:
        values = torch.as_tensor(noise.get(name, default), dtype=torch.float32).broadcast_to((V,))
        return values[list(rig.view_ids)][:, None]

    sigma = of_views("sigma_px_per_view", data.sigma_px)
    sigma = torch.where(visibility == 0.5, sigma * of_views("occlusion_noise", 1.0), sigma)
    gross = torch.where(
        visibility == 0.5, of_views("gross_rate_hidden", 0.0), of_views("gross_rate", 0.0)
    )
    precision = (rig.sigma_px / sigma.clamp_min(DETECTION_GRID_PX)).square()
    return precision * (1 - of_views("outlier_rate", 0.0)) * (1 - gross)
