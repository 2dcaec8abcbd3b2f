"""Smoothing of tracks without learning: window means, Savitzky-Golay, Kalman smoothers.

They work on the triangulated frames and their information (`Tracks.xyz`, `Tracks.info`); no
estimate reaches beyond its example, and a frame with fewer than two usable views is a missing
frame. Every function can leave each frame's own measurement out of its estimate (`leave_one_out`:
*blind*).
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.progress import loop
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.smoothing.filter_banks import Smoothers
from pose_obj_3d.smoothing.kalman import (
    innovation_nll,
    local_polynomial,
    smooth,
    smooth_both,
    tracking_index,
)
from pose_obj_3d.tracks.lasting import (
    smoother_inflation,
    smoothing_info,
    window_inflation,
    with_floor,
)
from pose_obj_3d.tracks.strays import NEIGHBOURS, covariances, far_from_neighbours
from pose_obj_3d.tracks.types import Tracks

Q_RANGE = {
    "constant position": (1e-3, 10.0),  # [m/s]
    "constant velocity": (1e-2, 100.0),  # [m/s^2]
    "constant acceleration": (0.1, 1000.0),  # [m/s^3]
}
"""Motion -> process noise that is searched."""
Q_UNIT = {
    "constant position": "m/s",
    "constant velocity": "m/s^2",
    "constant acceleration": "m/s^3",
}
# Motion and tracking index of the smoother that stands in where another one runs away.
CAUTIOUS = ("constant position", 0.4)
RUNAWAY = 30.0  # standard deviation of a smoothed position, in those of a frame, that says nothing
# Motion and tracking index of the smoother that strays are far from.
STRAY = ("constant velocity", 10.0)
STRAY_SIGMAS = 4.5  # how far, in standard deviations
_Q_PRECISION = 1.03  # the search ends when the bracket is this ratio wide
_FRAME_CHUNK = 512
# Sequences smoothed at once: enough to keep the processor busy, few enough for its cache.
_COLUMN_CHUNK = 1024
CELL_CHUNK = 600_000  # frames of all of them; bounds the memory where examples are long


def window_index(tracks: Tracks, num_frames: int) -> tuple[Tensor, Tensor]:
    """Return the frames (N, T) of every frame's window, and which of them are in its example."""
    if num_frames % 2 == 0 or num_frames < 1:
        raise ConfigError(f"a window of {num_frames} frames has no centre; allowed: odd numbers")
    half = num_frames // 2
    device = tracks.xyz.device
    wanted = torch.arange(len(tracks), device=device)[:, None] + torch.arange(
        -half, half + 1, device=device
    )
    index = wanted.clamp(tracks.first[:, None], tracks.last[:, None])
    return index, index == wanted


def window_mean(tracks: Tracks, num_frames: int = 7, leave_one_out: bool = False) -> Estimate:
    """Average each window by information: (N, K, 3) [m]; the best for a point at rest."""
    return savitzky_golay(tracks, num_frames, 0, leave_one_out)


def savitzky_golay(
    tracks: Tracks, num_frames: int = 7, degree: int = 2, leave_one_out: bool = False
) -> Estimate:
    """Fit a polynomial to each window, weighted by information, and read it at the centre frame.

    At the edges of an example the window is cut, so the fit is one-sided there.

    Args:
        tracks: The data.
        num_frames: Window length, odd.
        degree: Degree of the polynomial, lower where the window has too few measured frames.
        leave_one_out: Fit without the centre frame.

    Returns:
        (N, K, 3) and covariance; NaN in windows without measurement.
    """
    index, is_used = window_index(tracks, num_frames)
    half = num_frames // 2
    offsets = torch.arange(-half, half + 1, device=index.device)
    if leave_one_out:
        is_used = is_used & (offsets != 0)
    parts = []
    for rows, used in zip(
        torch.split(index, _FRAME_CHUNK), torch.split(is_used, _FRAME_CHUNK), strict=True
    ):
        info = tracks.info[rows].double() * used[..., None, None, None]
        xyz = tracks.xyz[rows].double()
        parts.append(local_polynomial(xyz.transpose(1, 2), info.transpose(1, 2), offsets, degree))
    xyz, covariance = torch.cat([p.xyz for p in parts]), torch.cat([p.covariance for p in parts])
    inflation = window_inflation(tracks, offsets, is_used, degree)
    return with_floor(Estimate(xyz, covariance * inflation[:, None, None, None]), tracks, half)


def rts(
    tracks: Tracks,
    motion: str,
    q: float | Tensor,
    frame_period_s: float,
    leave_one_out: bool = False,
) -> Estimate:
    """Smooth whole examples by a Kalman smoother (Rauch, Tung, Striebel).

    Args:
        tracks: The data.
        motion: One of `kalman.MOTIONS`.
        q: Process noise, one number or (K,); `Q_UNIT` has its unit.
        frame_period_s: Seconds between frames.
        leave_one_out: Leave each frame's own measurement out of its estimate.

    Returns:
        (N, K, 3) and covariance; NaN where an example has no (other) measurement of the keypoint.
    """
    found = Estimate(
        torch.full_like(tracks.xyz, torch.nan, dtype=torch.float64),
        torch.full_like(tracks.info, torch.nan, dtype=torch.float64),
    )
    q = torch.as_tensor(q, dtype=torch.float64, device=tracks.xyz.device)
    q = q.expand(tracks.xyz.shape[1])
    index = tracking_index(motion, q, frame_period_s, measurement_noise(tracks))
    factor = smoother_inflation(tracks, motion, index)
    for rows, keypoints, is_there in loop(_columns(tracks), f"smoothing, {motion}"):
        info = tracks.info[rows, keypoints] * is_there[..., None, None]
        info, noise = info / factor[keypoints, None, None], q[keypoints]
        xyz = tracks.xyz[rows, keypoints]
        part = smooth(xyz, info, motion, noise, frame_period_s, leave_one_out)
        at = rows[is_there], keypoints.expand_as(rows)[is_there]
        found.xyz[at], found.covariance[at] = part.xyz[is_there], part.covariance[is_there]
    return with_floor(found, tracks)


def filter_bank(tracks: Tracks, smoothers: Smoothers) -> tuple[Tensor, Tensor]:
    """Smooth whole examples by each of some smoothers; computed once for the tracks.

    Args:
        tracks: The data.
        smoothers: H pairs of a motion and its tracking index.

    Returns:
        Full and blind (without the frame's own measurement), each (N, H, K, 3) [m]; where an
        example has no (other) measurement the tracks' own positions stand.
    """
    name = f"bank {smoothers}"
    if name not in tracks.cache:
        unit = measurement_noise(tracks)
        banks = [tracks.xyz.unsqueeze(1).repeat(1, 1, 1, 1) for _ in range(2)]
        if smoothers:
            # Velocities run away over a long gap; a position does not, and stands where they say
            # nothing.
            _smooth_into(banks, tracks, CAUTIOUS[0], {0: CAUTIOUS[1] * unit}, math.inf)
        banks = [bank.repeat(1, len(smoothers), 1, 1) for bank in banks]
        for motion in dict.fromkeys(motion for motion, _ in smoothers):
            of_motion = {
                i: s[1] * unit for i, s in enumerate(smoothers) if s[0] == motion and s != CAUTIOUS
            }
            _smooth_into(banks, tracks, motion, of_motion, (RUNAWAY * unit) ** 2)
        tracks.cache[name] = (banks[0], banks[1])
    found: tuple[Tensor, Tensor] = tracks.cache[name]
    return found


def _smooth_into(
    banks: list[Tensor], tracks: Tracks, motion: str, qs: dict[int, float], limit: float
) -> None:
    """Write a motion's smoothers into the full and the blind bank, each (N, H, K, 3).

    `qs` has the smoothers' numbers in the bank, and their process noise. Where the variance along
    some axis is not below the limit [m^2], the banks stay as they are.
    """
    if not qs:
        return
    numbers = torch.tensor(list(qs), device=tracks.xyz.device)
    q = torch.tensor(list(qs.values()), dtype=torch.float64, device=tracks.xyz.device)[:, None]
    for rows, keypoints, is_there in _columns(tracks, num_smoothers=len(qs)):
        info = tracks.info[rows, keypoints] * is_there[..., None, None]
        # All smoothers of a motion run at once: what a step costs hardly depends on its size.
        found = smooth_both(tracks.xyz[rows, keypoints], info, motion, q, 1.0)
        # By one number for (frame, smoother, keypoint): several times faster than by three.
        frame = (rows * banks[0].shape[1])[is_there][:, None] + numbers
        at = (frame * banks[0].shape[2] + keypoints.expand_as(rows)[is_there][:, None]).flatten()
        for bank, smoothed in zip(banks, found, strict=True):
            variance = smoothed.covariance.diagonal(dim1=-2, dim2=-1).amax(-1)  # (T, H, B)
            says = (variance < limit).transpose(1, 2)[is_there].flatten()  # False where NaN
            position = smoothed.xyz.transpose(1, 2)[is_there].flatten(0, 1).to(bank)
            places = bank.view(-1, 3)
            places[at] = torch.where(says[:, None], position, places[at])


def drop_strays(tracks: Tracks) -> Tracks:
    """Drop frames far from their neighbours and from a smoother of the whole example.

    These are gross errors that `strays.find_strays` cannot see. Two views whose rays are nearly
    parallel fit any error along both epipolar lines: the point is decimetres off, and its
    covariance does not show it. Straight lines through two such frames are too noisy to tell. A
    smoother that follows motions of up to 10 standard deviations of a frame, but hardly along the
    direction that the pair does not know, can tell.

    Here a frame's measurement decides about its neighbours. What is predicted from the result is
    therefore not blind: no measurement may score it, in training or in calibration.

    Returns:
        The tracks, with information 0 in the frames dropped, if any; computed once for the tracks.
    """
    name = "without strays"
    if name not in tracks.cache:
        is_known, covariance = covariances(tracks.info)
        others = rts(
            tracks, STRAY[0], STRAY[1] * measurement_noise(tracks), 1.0, leave_one_out=True
        )
        off = tracks.xyz.double() - others.xyz
        square = (
            off
            * (geometry.invert_3x3(others.covariance + covariance) @ off.unsqueeze(-1)).squeeze(-1)
        ).sum(-1)
        is_far = is_known & (square > STRAY_SIGMAS**2)  # False where NaN
        near, _ = far_from_neighbours(
            tracks.xyz, covariance, is_known, tracks.first, tracks.last, NEIGHBOURS, is_far
        )
        is_stray = is_far & (near > STRAY_SIGMAS**2)
        kept = tracks.info.masked_fill(is_stray[..., None, None], 0.0)
        # None where nothing is dropped: tracks that held themselves would outlive their use.
        tracks.cache[name] = replace(tracks, info=kept) if is_stray.any() else None
    found: Tracks | None = tracks.cache[name]
    return tracks if found is None else found


def measurement_noise(tracks: Tracks) -> float:
    """Return the typical standard deviation [m] of a frame's position, by its median information.

    It is rounded to quarter octaves, so that no single measurement has a say in it.
    """
    trace = tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1)
    typical = float(trace[trace > 0].median())
    return float(2 ** (round(4 * math.log2(math.sqrt(3 / typical))) / 4))


def fit_process_noise(
    tracks: Tracks, motion: str, frame_period_s: float, max_examples: int = 60
) -> float:
    """Choose q so that each measurement is most likely, given those before it. Reads no truth.

    Args:
        tracks: The data.
        motion: One of `kalman.MOTIONS`.
        frame_period_s: Seconds between frames.
        max_examples: Examples used, evenly spread; one number needs no more.
    """
    columns, measured = list(_columns(tracks, max_examples)), smoothing_info(tracks)

    def mean_nll(q: float) -> float:
        total, count = 0.0, 0
        for rows, keypoints, is_there in columns:
            info = measured[rows, keypoints] * is_there[..., None, None]
            nll, counts = innovation_nll(
                tracks.xyz[rows, keypoints], info, motion, q, frame_period_s
            )
            total, count = total + float(nll.sum()), count + int(counts.sum())
        return total / max(count, 1)

    return _minimise(mean_nll, motion)


def fit_motion(tracks: Tracks, frame_period_s: float, max_examples: int = 60) -> tuple[str, float]:
    """Choose motion and q so that each measurement is most likely, given those before it.

    No truth is read. The motions are compared on the measurements that all of them predict: those
    with three others before.
    """
    fitted = {
        motion: fit_process_noise(tracks, motion, frame_period_s, max_examples)
        for motion in Q_RANGE
    }
    totals, measured = dict.fromkeys(fitted, 0.0), smoothing_info(tracks)
    for rows, keypoints, is_there in _columns(tracks, max_examples):
        info = measured[rows, keypoints] * is_there[..., None, None]
        scores = {
            m: innovation_nll(tracks.xyz[rows, keypoints], info, m, q, frame_period_s)
            for m, q in fitted.items()
        }
        counted = torch.stack([counts for _, counts in scores.values()]).all(0)
        for motion, (nll, _) in scores.items():
            totals[motion] += float(nll[counted].sum())
    best = min(totals, key=totals.__getitem__)
    return best, fitted[best]


def hindsight_process_noise(
    tracks: Tracks, motion: str, frame_period_s: float, mask: Tensor
) -> float:
    """Choose q by the error against the truth: for benchmarks only, no method could know it.

    Args:
        tracks: The data, with truth.
        motion: One of `kalman.MOTIONS`.
        frame_period_s: Seconds between frames.
        mask: (N, K) bool, the points whose mean error is minimised.
    """
    if tracks.truth is None:
        raise DataError("tuning in hindsight needs the 3D truth; fit_process_noise needs none")
    truth = tracks.truth

    def mean_error(q: float) -> float:
        xyz = rts(tracks, motion, q, frame_period_s).filled(tracks.xyz)
        return float((xyz - truth).norm(dim=-1)[mask].mean())

    return _minimise(mean_error, motion)


def _columns(
    tracks: Tracks, max_examples: int | None = None, num_smoothers: int = 1
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Pad examples to batches of sequences, one for each example and keypoint that it has.

    Args:
        tracks: The data.
        max_examples: Examples used, evenly spread.
        num_smoothers: So many smoothers run over each sequence at once.

    Returns:
        Batches of frames (T, B), padded with the last one, keypoints (B,) and which frames exist
        (T, B).
    """
    first = tracks.first.unique()  # type: ignore[no-untyped-call]
    if max_examples is not None and len(first) > max_examples:
        chosen = torch.linspace(0, len(first) - 1, max_examples, device=first.device).round().long()
        first = first[chosen]
    last = tracks.last[first]
    longest = int((last - first).max()) + 1
    chunk = max(1, min(_COLUMN_CHUNK, CELL_CHUNK // longest) // num_smoothers)
    order = (last - first).argsort(stable=True)  # batches of like lengths need little padding
    example, keypoint = tracks.is_real[first[order]].nonzero(as_tuple=True)
    batches = []
    for some, keypoints in zip(
        torch.split(order[example], chunk), torch.split(keypoint, chunk), strict=True
    ):
        length = int((last - first)[some].max()) + 1 if len(some) else 0
        wanted = first[some] + torch.arange(length, device=first.device)[:, None]
        rows = torch.minimum(wanted, last[some])
        batches.append((rows, keypoints, rows == wanted))
    return batches


def _minimise(function: Callable[[float], float], motion: str) -> float:
    """Minimise over q on a logarithmic scale: by a grid, then by golden sections."""
    if motion not in Q_RANGE:
        raise ConfigError(f"motion {motion!r} is unknown; allowed: {', '.join(Q_RANGE)}")
    low, high = (math.log(q) for q in Q_RANGE[motion])
    steps = round((high - low) / math.log(10.0))
    grid = [low + (high - low) * i / steps for i in range(steps + 1)]
    values = [function(math.exp(x)) for x in grid]
    best = min(range(len(grid)), key=values.__getitem__)
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, steps)]
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(math.exp(a)), function(math.exp(b))
    while high - low > math.log(_Q_PRECISION):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(math.exp(a))
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(math.exp(b))
    return math.exp((low + high) / 2)
