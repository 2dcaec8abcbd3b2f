"""Tracks as tensors. Owns the rules of selection.

All frames of all examples lie one behind the other; a window is a row of frame numbers clamped to
its example. Triangulation of single frames does not depend on any parameter, so it is done once for
the whole data set, and a window gathers it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pose_obj_3d import formal
from pose_obj_3d.common.archive_meta import ESTIMATED_NOISE
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.tracks.types import Rig, Tracks

logger = logging.getLogger(__name__)
MOVING_M_PER_S = 0.005  # a keypoint above this speed is moving
ROBUST_SIGMAS = 3.5  # residual, in noise standard deviations, of a gross error
VAGUE_FACTOR = (
    20.0  # standard deviation along the worst direction, in those of the keypoint's median frame
)
STRAY_SIGMAS = 5.0  # distance from every prediction of the neighbours, in standard deviations, of a stray frame
CERTAIN_SHARE = 0.8  # of points without gross errors have views that agree so well
NOISE_SHARE = 4.0  # of the variance: 95 % of a Gaussian's squares are below 3.84 of it along a line, 2.6 in a ball
GRID_PX = 1 / 16  # detections are rounded to this grid, so even exact data is no better
Predictions = tuple[tuple[tuple[int, float], ...], ...]
# What neighbours predict, each a sum of (offset, factor): the one before, the one after, their
# mean; straight on.
NEIGHBOURS: Predictions = (((-1, 1.0),), ((1, 1.0),), ((-1, 0.5), (1, 0.5)))
LINES: Predictions = (((-1, 2.0), (-2, -1.0)), ((1, 2.0), (2, -1.0)))
_CHUNK = 65536  # points triangulated at once; bounds the memory


def keypoint_ids(data: FormalData, tasks: Sequence[int], groups: Sequence[str]) -> list[str]:
    """List `T<task>/<group>/<name>` of the keypoints of the chosen groups, in the archive's order."""
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
    """Return the rig of the given view numbers (all when empty)."""
    chosen = list(views) or list(range(len(data.camera_names)))
    if len(chosen) < 2:
        raise DataError(f"{len(chosen)} view(s) chosen: {chosen}; 3D needs at least two")
    if max(chosen) >= len(data.camera_names):
        listed = ", ".join(f"{i} {name}" for i, name in enumerate(data.camera_names))
        raise DataError(f"{data.path}: view {max(chosen)} does not exist; the file has {listed}")
    K, E = torch.from_numpy(data.intrinsics[chosen]), torch.from_numpy(data.extrinsics[chosen])
    sigma = _estimated_noise(data, chosen)
    # Exact data (sigma 0) still needs a scale for weights and likelihoods: the stored 1/16 px grid.
    return Rig(
        K, E, max(data.sigma_px if sigma is None else float(sigma.median()), GRID_PX), tuple(chosen)
    )


def _estimated_noise(data: FormalData, views: Sequence[int]) -> Tensor | None:
    """Return the (V,) noise that `noise.check_noise` has found in these views [px]; None where the stated one stands."""
    found = data.meta["noise"].get(ESTIMATED_NOISE)
    return None if found is None else torch.tensor(found)[list(views)]


def detections(
    data: FormalData, rig: Rig, tasks: Sequence[int], split: str, ids: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Return detected 2D (N, V, K, 2) [px] and visibility (N, V, K), 0 where missing, of a part of the split."""
    joined = _stack_examples(data, rig, tasks, split, ids, with_truth=False)
    return joined["uv"], joined["vis"] * (joined["key"] >= 0)[:, None]


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

    Args:
        data: The archive.
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
    sigma = _estimated_noise(data, rig.view_ids)
    if sigma is not None:
        weights = weights * (rig.sigma_px / sigma).square()[:, None]
    xyz, info, robust = triangulate_tracks(
        joined["uv"], weights, rig, joined["key"], joined["first"], joined["last"]
    )
    return Tracks(
        uv=joined["uv"],
        weights=weights,
        robust=robust,
        xyz=xyz,
        info=info,
        truth=joined.get("truth"),
        precision=_true_precision(data, rig, visibility),
        keypoint=joined["key"],
        first=joined["first"],
        last=joined["last"],
        source=joined["source"],
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
        k: [] for k in ("uv", "vis", "truth", "key", "first", "last", "source")
    }
    start = 0
    for task in tasks:
        names = data.keypoint_names(task)
        key = np.full(width, -1)
        key[: len(columns[task])] = [number[f"T{task}/{names[k]}"] for k in columns[task]]
        for example in data.split(task)[split]:
            x = data.tracks[task][example][list(rig.view_ids)][:, :, columns[task]]
            x = np.pad(x, ((0, 0), (0, 0), (0, width - x.shape[2]), (0, 0)))
            frames = x.shape[1]
            uv = x[..., formal.UV_DETECTED]
            missed = np.isnan(uv).any(axis=-1)
            parts["uv"].append(np.where(missed[..., None], 0, uv).transpose(1, 0, 2, 3))
            parts["vis"].append(np.where(missed, 0, x[..., formal.VISIBILITY]).transpose(1, 0, 2))
            if with_truth:
                parts["truth"].append(x[0][..., formal.XYZ_WORLD])
            parts["key"].append(np.tile(key, (frames, 1)))
            parts["first"].append(np.full(frames, start))
            parts["last"].append(np.full(frames, start + frames - 1))
            parts["source"].append(
                np.stack([np.full(frames, task), np.full(frames, example), np.arange(frames)], -1)
            )
            start += frames
    return {k: torch.from_numpy(np.concatenate(v)) for k, v in parts.items() if v}


def _true_precision(data: FormalData, rig: Rig, visibility: Tensor) -> Tensor:
    """Return (N, V, K) precision of the detections in units of 1 / sigma_px^2, from the archive's noise.

    An outlier tells next to nothing about the position, so a share of outliers takes that share of
    the information.
    """
    noise = data.meta["noise"]
    V = len(data.camera_names)

    def of_views(name: str, default: float) -> Tensor:
        values = torch.as_tensor(noise.get(name, default), dtype=torch.float32).broadcast_to((V,))
        return values[list(rig.view_ids)][:, None]

    sigma = of_views("sigma_px_per_view", data.sigma_px)
    sigma = torch.where(visibility == 0.5, sigma * of_views("occlusion_noise", 1.0), sigma)
    return (rig.sigma_px / sigma.clamp_min(GRID_PX)).square() * (1 - of_views("outlier_rate", 0.0))


def estimate_frames(uv: Tensor, weights: Tensor, rig: Rig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Triangulate every frame robustly, in float64.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K).
        rig: The cameras.

    Returns:
        xyz (N, K, 3) [m], the consensus of the views, such that averages weighted by info have no
        bias, NaN with fewer than two views; info (N, K, 3, 3) [1/m^2], 0 there; robust weights (N,
        V, K); (N, K) whether three or more views agree so well that none of them is a gross error,
        however far the point is from other frames.
    """
    N, V, K, _ = uv.shape
    points = uv.transpose(1, 2).reshape(N * K, V, 2).double()
    w = weights.transpose(1, 2).reshape(N * K, V).double()
    cameras = (rig.intrinsics, rig.extrinsics)
    xyz, info, robust, certain = [], [], [], []
    for uv_part, w_part in zip(torch.split(points, _CHUNK), torch.split(w, _CHUNK), strict=True):
        found = estimators.consensus(uv_part, w_part, rig, ROBUST_SIGMAS)
        x, used = found.xyz, found.inliers
        assert used is not None
        # Two views that disagree remain a pair: which one errs is not known, so both count less.
        deviation = (
            (uv_part - geometry.project(x, *cameras)[0]).norm(dim=-1) * w_part.sqrt() / rig.sigma_px
        )
        worst = torch.where(used > 0, deviation, 0.0).amax(-1, keepdim=True).nan_to_num(0.0)
        r = used * (ROBUST_SIGMAS / worst.clamp_min(ROBUST_SIGMAS)).square()
        i = geometry.information(x, r, *cameras, rig.sigma_px)
        xyz.append(x - geometry.averaging_bias(x, r, *cameras, rig.sigma_px))
        robust.append(r)
        seen_by = geometry.count_views(w_part)
        info.append(torch.where((seen_by >= 2)[:, None, None], i, 0.0))
        # Residuals have 2 V - 3 degrees of freedom; this is the distribution function of their
        # chi-squared law.
        share = torch.special.gammainc(
            (seen_by - 1.5).clamp_min(0.5), deviation.square().sum(-1) / 2
        )
        certain.append((seen_by >= 3) & (share < CERTAIN_SHARE))
    return (
        torch.cat(xyz).reshape(N, K, 3).float(),
        torch.cat(info).reshape(N, K, 3, 3).float(),
        torch.cat(robust).reshape(N, K, V).transpose(1, 2).float(),
        torch.cat(certain).reshape(N, K),
    )


def triangulate_tracks(
    uv: Tensor, weights: Tensor, rig: Rig, keypoint: Tensor, first: Tensor, last: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangulate every frame, drop vague and stray ones, and fill what is missing from the nearest frame.

    Arguments and results as in `Tracks` and `estimate_frames`.
    """
    xyz, info, robust, is_certain = estimate_frames(uv, weights, rig)
    lost = find_vague(info, keypoint) | (find_strays(xyz, info, first, last) & ~is_certain)
    info = torch.where(lost[..., None, None], 0.0, info)
    return _fill_gaps(xyz, info, first), info, robust


def find_vague(info: Tensor, keypoint: Tensor) -> Tensor:
    """Find frames that know a direction far worse than the keypoint's frames usually do.

    Such as two views whose rays, one of them in error, are nearly parallel: the point may be
    anywhere.

    Args:
        info: (N, K, 3, 3) [1/m^2]; 0 = not measured.
        keypoint: (N, K) index, -1 = none.

    Returns:
        (N, K) bool.
    """
    is_known = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    eye = torch.eye(3, dtype=torch.float64, device=info.device)
    covariance = geometry.invert_3x3(torch.where(is_known[..., None, None], info.double(), eye))
    worst = covariance.diagonal(dim1=-2, dim2=-1).amax(-1)
    usual = torch.ones_like(worst)
    for index in keypoint[is_known].unique().tolist():  # type: ignore[no-untyped-call]
        same = is_known & (keypoint == index)
        usual = torch.where(same, worst[same].median(), usual)
    return is_known & ~((worst > 0) & (worst < VAGUE_FACTOR**2 * usual))


def find_strays(xyz: Tensor, info: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Find frames that are far from whatever their neighbours predict: gross errors that no view told.

    The predictions are the neighbour before, the one after, their mean, and the straight lines
    through two frames before and after. A frame is a stray only if all of them are far, so a
    neighbour's error makes no stray, and a stray makes none of its neighbours.

    Args:
        xyz: (N, K, 3) [m].
        info: (N, K, 3, 3) [1/m^2]; 0 = not measured.
        first: (N,) first frame of the example.
        last: (N,) last frame of the example.

    Returns:
        (N, K) bool; never where fewer than two predictions are there.
    """
    is_known, covariance = covariances(info)
    distance, others = far_from_neighbours(
        xyz, covariance, is_known, first, last, (*NEIGHBOURS, *LINES), torch.ones_like(is_known)
    )
    return (distance > STRAY_SIGMAS**2) & (others >= 2)


def covariances(info: Tensor) -> tuple[Tensor, Tensor]:
    """Return which frames are measured (N, K), and their covariance (N, K, 3, 3), float64, 1 where they are not."""
    is_known = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    eye = torch.eye(3, dtype=torch.float64, device=info.device)
    return is_known, geometry.invert_3x3(torch.where(is_known[..., None, None], info.double(), eye))


def far_from_neighbours(
    xyz: Tensor,
    covariance: Tensor,
    is_known: Tensor,
    first: Tensor,
    last: Tensor,
    predictions: Predictions,
    wanted: Tensor,
) -> tuple[Tensor, Tensor]:
    """Measure how far frames are from the nearest of what their neighbours predict.

    Predictions know no acceleration, so they may also be off by what there is around the frame:
    where measurements are precise, that is more than their noise.

    Args:
        xyz: (N, K, 3) [m].
        covariance: (N, K, 3, 3) [m^2].
        is_known: (N, K) whether the frame is measured.
        first: (N,) first frame of the example.
        last: (N,) last frame of the example.
        predictions: Each a sum of frames: pairs of an offset and a factor.
        wanted: (N, K) the frames to look at.

    Returns:
        Squared distance (N, K) in variances of both, infinite where there is no prediction or none
        is wanted, and the number of predictions (N, K).
    """
    rows, columns = wanted.nonzero(as_tuple=True)
    frames = _Frames(xyz, covariance, is_known, first, last, columns)
    bend = frames.bend_around(rows)[..., None, None] * torch.eye(
        3, dtype=torch.float64, device=xyz.device
    )
    nearest = torch.full(rows.shape, torch.inf, dtype=torch.float64, device=xyz.device)
    count = torch.zeros_like(rows)
    for terms in predictions:
        off, spread, is_there = frames.deviation(rows, terms)
        # Of an acceleration a [m/frame^2] a prediction sees a/2 times the sum of factors and
        # squared offsets.
        spread = spread + (sum(f * o**2 for o, f in terms) / 2) ** 2 * bend
        square = ((geometry.invert_3x3(spread) @ off.unsqueeze(-1)).squeeze(-1) * off).sum(-1)
        nearest = torch.minimum(nearest, torch.where(is_there, square, torch.inf))
        count = count + is_there
    distance = torch.full(is_known.shape, torch.inf, dtype=torch.float64, device=xyz.device)
    others = torch.zeros_like(is_known, dtype=torch.long)
    distance[rows, columns], others[rows, columns] = nearest, count
    return distance, others


@dataclass(frozen=True)
class _Frames:
    """What `far_from_neighbours` is given, for P points: a column each, and rows as asked for."""

    xyz: Tensor
    covariance: Tensor
    is_known: Tensor
    first: Tensor
    last: Tensor
    columns: Tensor

    def deviation(
        self, rows: Tensor, terms: tuple[tuple[int, float], ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return how far frames (P,) are from a prediction: (P, 3) [m], its covariance, (P,) where there is one."""
        k = self.columns
        off, spread, is_there = (
            self.xyz[rows, k].double(),
            self.covariance[rows, k],
            self.is_known[rows, k],
        )
        for offset, factor in terms:
            row = (rows + offset).clamp(self.first[rows], self.last[rows])
            off, spread = (
                off - factor * self.xyz[row, k],
                spread + factor**2 * self.covariance[row, k],
            )
            is_there = is_there & self.is_known[row, k] & (row == rows + offset)
        return off, spread, is_there

    def bend_around(self, rows: Tensor) -> Tensor:
        """Return the square of the acceleration around frames (P,) [m^2/frame^4], beyond what noise explains.

        The larger of those before and after it. Each is the smaller of two frames, in which the
        frame itself has
        no part: an acceleration lasts, a gross error next to it does not.
        """
        before, after = (
            torch.minimum(*(self._bend(rows, offset) for offset in pair))
            for pair in ((-2, -3), (2, 3))
        )
        return torch.maximum(before, after)

    def _bend(self, rows: Tensor, offset: int) -> Tensor:
        row = (rows + offset).clamp(self.first[rows], self.last[rows])
        off, spread, is_there = self.deviation(row, NEIGHBOURS[2])
        excess = 4 * (
            off.square().sum(-1) - NOISE_SHARE * spread.diagonal(dim1=-2, dim2=-1).sum(-1)
        )
        return torch.where(is_there, excess, 0.0).clamp_min(0.0)


def _fill_gaps(xyz: Tensor, info: Tensor, first: Tensor) -> Tensor:
    """Replace what is not triangulated by the nearest triangulated frame of the example, else by the mean of all."""
    is_known = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0  # (N, K)
    if not is_known.any():
        raise DataError(
            "no keypoint is seen by two views in any frame; nothing can be triangulated"
        )
    N = len(xyz)
    frame = torch.arange(N, device=xyz.device)[:, None]
    before = torch.where(is_known, frame, -1).cummax(0).values
    after = torch.where(is_known, frame, N).flip(0).cummin(0).values.flip(0)
    has_before = (before >= 0) & (first[before.clamp_min(0)] == first[:, None])
    has_after = (after < N) & (first[after.clamp_max(N - 1)] == first[:, None])
    take_after = has_after & (~has_before | (after - frame < frame - before))
    chosen = torch.where(take_after, after, before).clamp(0, N - 1)
    filled = xyz.gather(0, chosen[..., None].expand_as(xyz))
    return torch.where((has_before | has_after)[..., None], filled, xyz[is_known].mean(0))


def speeds(tracks: Tracks, frame_period_s: float) -> Tensor:
    """Return the true speed (N, K) [m/s]: the faster of the steps into and out of the frame."""
    if tracks.truth is None:
        raise DataError("speed needs the 3D truth")
    step = (tracks.truth[1:] - tracks.truth[:-1]).norm(dim=-1) / frame_period_s
    step = step * (tracks.first[1:] == tracks.first[:-1])[:, None]
    nothing = torch.zeros_like(step[:1])
    return torch.maximum(torch.cat([step, nothing]), torch.cat([nothing, step]))
