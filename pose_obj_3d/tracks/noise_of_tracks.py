"""The noise of tracks in three parts, found from how the views disagree. Reads no truth."""

import math

import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_in_time import Lasting, fit_lasting
from pose_obj_3d.geometry.noise_mixture import Mixture, Sample, fit_mixture
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Scene
from pose_obj_3d.tracks.types import Tracks

# Points that variances are learned from, with four views: evenly spread frames.
MAX_POINTS = 8000
POINTS_PER_KEYPOINT = 250  # more than `MAX_POINTS` where there are many keypoints
MAX_POINTS_IN_TIME = 16000  # the same for correlations in time: some keypoints of each sequence
# The same, only to see whether errors last at all.
_GLANCE_POINTS, _GLANCE_IN_TIME, _GLANCE_ROUNDS = 2000, 6000, 5
_PIECE = 400  # frames of a long sequence that are used
_ROUNDS, _ROUNDS_AGAIN = 8, 4


def estimate_noise_parts(tracks: Tracks, rig: Rig) -> NoiseParts:
    """Estimate the noise by view and keypoint.

    Args:
        tracks: The data; `uv`, `weights`, `keypoint` and `first` are read.
        rig: The cameras; its `sigma_px` is not used.

    Raises:
        DataError: No point is seen by two views.
    """
    return noise_parts(tracks.uv, tracks.weights, tracks.keypoint, tracks.first, rig)


def noise_parts(
    uv: Tensor, weights: Tensor, keypoint: Tensor, first: Tensor, rig: Rig
) -> NoiseParts:
    """Estimate the noise of detections, arguments as in `Tracks`."""
    device = uv.device
    uv, weights, keypoint, first = (x.detach().cpu() for x in (uv, weights, keypoint, first))
    rig = rig.to(torch.device("cpu"))
    weights = torch.where((keypoint >= 0)[:, None], weights, 0.0)
    count = int(keypoint.max()) + 1
    sample, step = _sample(uv, weights, keypoint, count)
    mixture, scene, _ = fit_mixture(sample, rig, rounds=_ROUNDS)
    lasting = _lasting(uv, weights, keypoint, first, rig, (mixture, scene))
    if lasting.slow + lasting.offset > 0:
        length = len(first) / max(1, len(first.unique()))  # type: ignore[no-untyped-call]
        repeats = _repeats(lasting, step, length)
        sample = Sample(sample.points, sample.weights, sample.keypoint, count, repeats)
        mixture, _, _ = fit_mixture(sample, rig, mixture, _ROUNDS_AGAIN)
    return _parts(mixture, lasting).to(device)


def do_errors_last(uv: Tensor, weights: Tensor, keypoint: Tensor, first: Tensor, rig: Rig) -> bool:
    """Look at few detections, arguments as in `Tracks`: are errors of near frames alike?"""
    same = torch.where(keypoint >= 0, 0, -1)
    weights = torch.where((keypoint >= 0)[:, None], weights, 0.0)
    sample, _ = _sample(uv, weights, same, 1, _GLANCE_POINTS)
    mixture, scene, _ = fit_mixture(sample, rig, rounds=_GLANCE_ROUNDS)
    lasting = _lasting(uv, weights, same, first, rig, (mixture, scene), _GLANCE_IN_TIME)
    return lasting.slow + lasting.offset > 0


def _lasting(
    uv: Tensor,
    weights: Tensor,
    keypoint: Tensor,
    first: Tensor,
    rig: Rig,
    model: tuple[Mixture, Scene],
    max_points: int = MAX_POINTS_IN_TIME,
) -> Lasting:
    frames, is_used = _choose_in_time(weights, first, max_points)
    in_time = (weights * is_used[:, None])[frames]
    return fit_lasting(
        uv[frames], in_time, keypoint[frames], _starts(first[frames], frames), rig, model
    )


def _sample(
    uv: Tensor, weights: Tensor, keypoint: Tensor, count: int, max_points: int = MAX_POINTS
) -> tuple[Sample, int]:
    """Choose evenly spread frames. Returns them, and the frames from one to the next."""
    V = uv.shape[1]
    seen = geometry.count_views(weights.transpose(1, 2)) >= 2  # (N, K)
    if not seen.any():
        raise DataError(
            "no keypoint is seen by two views in any frame, so neither noise nor 3D can be found; "
            "check the views' points and confidence"
        )
    wanted = max(max_points, POINTS_PER_KEYPOINT * count) * 4 / max(4, V)
    step = max(1, math.ceil(int(seen.sum()) / wanted))
    chosen = torch.zeros_like(seen)
    chosen[::step] = seen[::step]
    if not chosen.any():
        chosen, step = seen, 1
    return (
        Sample(
            uv.transpose(1, 2)[chosen].double(),
            weights.transpose(1, 2)[chosen].double(),
            keypoint[chosen],
            count,
        ),
        step,
    )


def _choose_in_time(weights: Tensor, first: Tensor, max_points: int) -> tuple[Tensor, Tensor]:
    """Choose what correlations in time are taken from: as many sequences as there are.

    What is constant in a sequence is learned from the number of sequences. So all of them are used,
    or pieces of long ones, with some of their keypoints in turn.

    Returns:
        Numbers of frames, and which points (N, K) are used.
    """
    seen = geometry.count_views(weights.transpose(1, 2)) >= 2  # (N, K)
    number = (first == torch.arange(len(first))).cumsum(0) - 1
    is_used = seen & (torch.arange(len(first)) - first < _PIECE)[:, None]
    wanted = max_points * 16 / max(16, weights.shape[1] ** 2)
    every = max(1, math.ceil(int(is_used.sum()) / wanted))
    is_used &= (number[:, None] + torch.arange(seen.shape[1])) % every == 0
    return is_used.any(1).nonzero().squeeze(-1), is_used


def _starts(first: Tensor, frames: Tensor) -> Tensor:
    """Number the first frames of chosen frames' sequences among the chosen ones."""
    begins = torch.ones_like(frames, dtype=torch.bool)
    begins[1:] = (first[1:] != first[:-1]) | (frames[1:] != frames[:-1] + 1)
    numbers = torch.arange(len(frames))
    return torch.where(begins, numbers, 0).cummax(0).values


def _repeats(lasting: Lasting, step: int, length: float) -> float:
    """Return how many of the sampled frames tell as much as one about a variance.

    The squares of Gaussian errors of correlation c have the correlation c^2.
    """
    lags = torch.arange(step, max(step + 1, int(length)), step, dtype=torch.float64)
    c = torch.full_like(lags, lasting.offset)
    if lasting.slow > 0:
        c += lasting.slow * (-lags / lasting.time_constant).exp()
    within = (1 - lags / length).clamp_min(0.0)
    return 1 + 2 * float((c.square() * within).sum())


def _parts(mixture: Mixture, lasting: Lasting) -> NoiseParts:
    sigma = mixture.sigma
    white = max(0.0, 1 - lasting.slow - lasting.offset)
    return NoiseParts(
        white=sigma * math.sqrt(white),
        slow=sigma * math.sqrt(lasting.slow),
        offset=sigma * math.sqrt(lasting.offset),
        time_constant=lasting.time_constant,
        gross_rate=mixture.gross_rate,
        gross_scale=mixture.gross_scale * math.sqrt(3),
    )
