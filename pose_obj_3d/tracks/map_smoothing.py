"""The maximum a posteriori estimate of whole tracks: examples in, points with covariance out.

No truth and no learning: the scale of each keypoint's motion is chosen by how likely left-out views
are. The mathematics is in `smoothing.maximum_posterior`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.common.progress import loop
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.smoothing.maximum_posterior import scale_choice
from pose_obj_3d.smoothing.maximum_posterior.detections import LADDER, Detections
from pose_obj_3d.smoothing.maximum_posterior.estimation import Posterior, Problem, estimate
from pose_obj_3d.tracks.track_smoothing import measurement_noise
from pose_obj_3d.tracks.types import Tracks

MIN_GROSS, MAX_GROSS = 0.02, 0.6  # probability of a gross error, whatever was estimated
DEFAULT_GROSS = 0.05  # where it is not known
MIN_CLAIM, MAX_CLAIM = 0.1, 10.0  # of a deviation, in those of the median detection
# By how much the track may be smoothed more because errors last: the first by default, or what
# predicts left-out views best. Much is wrong where things move further than errors reach.
INFLATIONS = (6.0, 1.0, 20.0)
SCALE_CELLS = 4000  # keypoint-frames that choose the scales,
LASTING_CELLS = 8000  # where errors last, and frames tell less,
PIECE_FRAMES = 100  # in pieces of sequences
_COLUMN_CHUNK, _CELL_CHUNK = 1024, 60_000  # tracks and frames estimated at once; bounds the memory
_SHARE_ROUNDS, _SHARE_ITERATIONS, _SHARE_STEPS = 2, 8, 30
_NEAR = 20  # frames to both sides whose information is averaged to see how many frames count


@dataclass(frozen=True)
class Motions:
    """How keypoints move, and how exact claims are: chosen once for some tracks.

    Attributes:
        chosen: (I,) number of `scale_choice.candidates` for each keypoint id.
        inflation: Frames that count as one, since errors last.
        shares: (L,) of the scales of `detections.LADDER`.
        unit: Typical standard deviation of a frame [m].
        reach: Typical distance from points to cameras [m].
    """

    chosen: Tensor
    inflation: float
    shares: Tensor
    unit: float
    reach: float

    def describe(self, keypoint: int, unit_m: float = 1.0) -> str:
        """Say how a keypoint moves; `unit_m` is the tracks' unit of length [m]."""
        motion = scale_choice.candidates()[int(self.chosen[keypoint])]
        if not motion.has_order:
            return "no order"
        if motion.still:
            return "still"
        rests = ", rests" if motion.rests else ""
        return f"steps of {motion.step * self.reach * unit_m:.2g} m a frame{rests}"


@dataclass(frozen=True)
class _Batch:
    """B tracks of T frames: rows of `Tracks`, columns, and which frames exist."""

    rows: Tensor
    columns: Tensor
    is_there: Tensor


def smooth(tracks: Tracks, rig: Rig, motions: Motions | None = None) -> Estimate:
    """Estimate whole examples: (N, K, 3) [m] and covariance.

    Args:
        tracks: The data; a weight w means a standard deviation of rig.sigma_px / sqrt(w). Its
            `noise` says how long errors last and how many are gross.
        rig: The cameras.
        motions: As from `choose_motions`; chosen for these tracks by default.

    Returns:
        NaN for keypoints that no frame of the example triangulates, and in frames with fewer than
        two views of keypoints whose frames say nothing about each other.
    """
    motions = choose_motions(tracks, rig) if motions is None else motions
    found = Estimate(
        torch.full_like(tracks.xyz, torch.nan, dtype=torch.float64),
        torch.full_like(tracks.info, torch.nan, dtype=torch.float64),
        torch.zeros_like(tracks.weights.transpose(1, 2), dtype=torch.float64),
    )
    assert found.inliers is not None
    for batch in loop(_batches(tracks), "most probable tracks"):
        problem = _problem(tracks, rig, batch, motions)
        chosen = motions.chosen[tracks.keypoint[batch.rows[0], batch.columns]]
        has_order = _has_order(chosen)
        problem = replace(problem, inflation=torch.where(has_order, problem.inflation, 1.0))
        posterior = estimate(problem, scale_choice.scale_of(chosen, problem))
        covariance = _covariance(posterior, problem, tracks, batch)
        few = (problem.found.is_used.sum(0) < 2) & ~has_order
        at = batch.rows[batch.is_there], batch.columns.expand_as(batch.rows)[batch.is_there]
        lost = few[batch.is_there]
        x = posterior.x.permute(1, 2, 0)[batch.is_there]
        found.xyz[at] = x.masked_fill(lost[:, None], torch.nan)
        spread = covariance.permute(2, 3, 0, 1)[batch.is_there]
        found.covariance[at] = spread.masked_fill(lost[:, None, None], torch.nan)
        found.inliers[at] = (posterior.sound * problem.found.is_used).permute(1, 2, 0)[
            batch.is_there
        ]
    return found


def choose_motions(tracks: Tracks, rig: Rig) -> Motions:
    """Choose the scale and order of motion of each keypoint; arguments as in `smooth`."""
    count = int(tracks.keypoint.max()) + 1
    unit = measurement_noise(tracks)
    equal = torch.full((len(LADDER),), 1 / len(LADDER), dtype=torch.float64)
    inflations = _inflations(tracks)
    motions = Motions(
        torch.zeros(count, dtype=torch.long),
        inflations[0],
        equal,
        unit,
        _reach(tracks, rig),
    )
    batch = _pieces(tracks)
    problem = _problem(tracks, rig, batch, motions)
    used = replace(problem, found=replace(problem.found, shares=_shares(problem)))
    owner = tracks.keypoint[batch.rows[0], batch.columns]
    best = (-math.inf, motions)
    for inflation in inflations:
        inflated = replace(used, inflation=torch.full_like(used.inflation, inflation))
        scores = scale_choice.left_out_scores(inflated)
        scored = (scores != 0).any(0).long() * problem.found.is_used.sum(0)
        chosen = scale_choice.choose(scores, scored, owner, count)
        total = float(scores.sum(1).gather(0, chosen[owner][None]).sum())
        if total > best[0]:
            best = (total, replace(motions, chosen=chosen, inflation=inflation))
    return replace(best[1], shares=used.found.shares)


def _inflations(tracks: Tracks) -> list[float]:
    """List the numbers of frames that may count as one: 1 alone where errors do not last."""
    long_run = 1.0 if tracks.noise is None else tracks.noise.long_run
    return list(dict.fromkeys(min(long_run, x) for x in INFLATIONS))


def _reach(tracks: Tracks, rig: Rig) -> float:
    """Return the median distance from triangulated points to the cameras [m]."""
    is_known = tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    _, depth = geometry.project(tracks.xyz[is_known].double(), *_cameras(rig))
    depth = depth[depth > 0]
    return float(depth.median()) if len(depth) else 1.0


def _cameras(rig: Rig) -> tuple[Tensor, Tensor]:
    return rig.intrinsics.double(), rig.extrinsics.double()


def _shares(problem: Problem) -> Tensor:
    """Find how often sound errors have each scale of `LADDER`, under a loose motion."""
    loose = torch.full((problem.start.shape[2],), scale_choice.DEFAULT, device=problem.start.device)
    scale = scale_choice.scale_of(loose, problem)
    found = problem.found
    for _ in range(_SHARE_ROUNDS):
        posterior = estimate(replace(problem, found=found), scale, _SHARE_ITERATIONS)
        sound = (posterior.sound * found.is_used)[found.is_used]
        ladder = posterior.ladder[:, found.is_used]
        shares = found.shares
        for _ in range(_SHARE_STEPS):
            likely = ladder * (shares / found.shares)[:, None]
            total = (likely / likely.sum(0) * sound).sum(1)
            shares = (total / total.sum().clamp_min(1e-9)).clamp_min(1e-4)
        found = replace(found, shares=shares)
    return found.shares


def _has_order(chosen: Tensor) -> Tensor:
    table = torch.tensor([c.has_order for c in scale_choice.candidates()], device=chosen.device)
    return table[chosen]


def _problem(tracks: Tracks, rig: Rig, batch: _Batch, motions: Motions) -> Problem:
    """Gather what the estimate needs of some tracks."""
    noise = tracks.noise
    rows, columns = batch.rows, batch.columns
    uv = tracks.uv.double()[rows, :, columns].permute(2, 3, 0, 1).contiguous()
    weights = tracks.weights.double()[rows, :, columns].permute(2, 0, 1)
    is_used = (weights > 0) & batch.is_there
    sigma = rig.sigma_px / weights.clamp_min(1e-12).sqrt()
    sigma = torch.where(is_used, sigma, rig.sigma_px).contiguous()
    gross = torch.full_like(sigma, DEFAULT_GROSS)
    if noise is not None:
        keypoint = tracks.keypoint[rows, columns].clamp_min(0)
        gross = noise.gross_rate.to(sigma)[:, keypoint]
    claimed = _relative_claims(tracks)
    if claimed is not None:
        relative = claimed[rows, :, columns].permute(2, 0, 1)
        sigma = sigma * relative.sqrt()
        gross = gross * relative / (1 + gross * (relative - 1))
    gross = gross.clamp(MIN_GROSS, MAX_GROSS)
    start = tracks.xyz.double()[rows, columns].permute(2, 0, 1).contiguous()
    K, E = _cameras(rig)
    width = torch.where(K[:, 0, 2] > 0, 2 * K[:, 0, 2], K[:, 0, 0])
    found = Detections(uv, None, sigma, gross, is_used, K @ E, width, motions.shares)
    return Problem(
        found,
        start,
        batch.is_there,
        start.new_full((len(columns),), motions.inflation),
        motions.unit,
        motions.reach,
    )


def _relative_claims(tracks: Tracks) -> Tensor | None:
    """Return claimed deviations (N, V, K) in those of the view's and keypoint's median detection.

    Claims are overconfident, but rank well: a detection with twice the deviation has the square
    root of two times the error, and twice the odds of being a gross error. 1 where nothing is
    claimed; None where no detector claims anything.
    """
    if tracks.claims is None:
        return None
    if "relative claims" not in tracks.cache:
        claims = tracks.claims.double()
        determinant = claims[..., 0, 0] * claims[..., 1, 1] - claims[..., 0, 1] ** 2
        deviation = determinant.clamp_min(0.0).pow(0.25)
        is_known = (tracks.weights > 0) & (deviation > 0)
        deviation = deviation.masked_fill(~is_known, torch.nan)
        relative = torch.ones_like(deviation)
        for keypoint in tracks.keypoint.unique().tolist():  # type: ignore[no-untyped-call]
            own = (tracks.keypoint == keypoint)[:, None] & is_known
            if not own.any():
                continue
            some = deviation.masked_fill(~own, torch.nan)
            median = some.nanmedian(0, keepdim=True).values.nanmedian(2, keepdim=True).values
            relative = torch.where(own, deviation / median, relative)
        tracks.cache["relative claims"] = relative.nan_to_num(1.0).clamp(MIN_CLAIM, MAX_CLAIM)
    found: Tensor = tracks.cache["relative claims"]
    return found


def _covariance(posterior: Posterior, problem: Problem, tracks: Tracks, batch: _Batch) -> Tensor:
    """Return the covariance (3, 3, T, B) with what lasts of the errors.

    The posterior counts a frame as 1 / inflation of an independent one. How many frames an estimate
    rests on shows from its information in units of a frame's; for that number, `tracks.noise` knows
    how much errors average out, and `tracks.floor` what never does.
    """
    covariance = posterior.covariance
    if tracks.noise is None:
        return covariance
    frame = torch.stack([posterior.frame_info[i, i] for i in range(3)]).sum(0)
    near = _local_mean(frame, batch.is_there)
    known = torch.stack([covariance[i, i].reciprocal() for i in range(3)]).sum(0)
    frames = (problem.inflation * known / near.clamp_min(1e-12)).clamp_min(1.0)
    covariance = covariance * (tracks.noise.varying_inflation(frames) / problem.inflation)
    if tracks.floor is None:
        lasting = tracks.noise.floor_share * frames / problem.inflation
        return covariance + posterior.covariance * lasting
    floor = tracks.floor.double()[batch.rows, batch.columns].permute(2, 3, 0, 1)
    is_known = (floor[0, 0] > 0) & batch.is_there
    return covariance + _local_mean(floor, is_known)


def _local_mean(values: Tensor, is_there: Tensor) -> Tensor:
    """Average values (*, T, B) over the frames (T, B) around each that are there."""
    there = is_there.to(values)
    T = values.shape[-2]
    frame = torch.arange(T, device=values.device)
    low, high = (frame - _NEAR).clamp_min(0), (frame + _NEAR + 1).clamp_max(T)
    sums = [
        torch.cat([torch.zeros_like(v[..., :1, :]), v.cumsum(-2)], -2)
        for v in (values * there, there)
    ]
    total, count = (s[..., high, :] - s[..., low, :] for s in sums)
    return total / count.clamp_min(1)


def _batches(tracks: Tracks) -> list[_Batch]:
    """Split all tracks into batches of like lengths."""
    first = tracks.first.unique()  # type: ignore[no-untyped-call]
    return _columns(tracks, first, tracks.last[first])


def _pieces(tracks: Tracks) -> _Batch:
    """Choose pieces of sequences, evenly spread, as one batch."""
    frame = torch.arange(len(tracks), device=tracks.first.device)
    begins = tracks.first + (frame - tracks.first) // PIECE_FRAMES * PIECE_FRAMES
    starts = begins.unique()  # type: ignore[no-untyped-call]
    stops = torch.minimum(starts + PIECE_FRAMES - 1, tracks.last[starts])
    per_piece = float((stops - starts + 1).double().mean()) * tracks.keypoint.shape[1]
    cells = SCALE_CELLS if tracks.noise is None else LASTING_CELLS
    views = tracks.weights.shape[1]
    wanted = max(1, round(cells * 4 / max(4, views) / max(per_piece, 1)))
    if len(starts) > wanted:
        chosen = torch.linspace(0, len(starts) - 1, wanted).round().long().to(starts.device)
        starts, stops = starts[chosen], stops[chosen]
    batches = _columns(tracks, starts, stops, chunk=10**9)
    return batches[0]


def _columns(
    tracks: Tracks, first: Tensor, last: Tensor, chunk: int = _COLUMN_CHUNK
) -> list[_Batch]:
    """Pad stretches of frames (S,) to batches, one track for each keypoint that they have."""
    order = (last - first).argsort(stable=True)
    stretch, column = tracks.is_real[first[order]].nonzero(as_tuple=True)
    longest = int((last - first).max()) + 1
    size = chunk if chunk > _COLUMN_CHUNK else max(1, min(chunk, _CELL_CHUNK // longest))
    batches = []
    parts: Sequence[Tensor] = torch.split(order[stretch], size)
    for some, columns in zip(parts, torch.split(column, size), strict=True):
        if not len(some):
            continue
        length = max(3, int((last - first)[some].max()) + 1)
        wanted = first[some] + torch.arange(length, device=first.device)[:, None]
        rows = torch.minimum(wanted, last[some])
        batches.append(_Batch(rows, columns, rows == wanted))
    return batches
