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
from pose_obj_3d.tracks.types import Tracks

# Points that variances are learned from, with four views: evenly spread frames.
MAX_POINTS = 8000
POINTS_PER_KEYPOINT = 400  # more than `MAX_POINTS` where there are many keypoints
MAX_POINTS_IN_TIME = 32000  # the same for correlations in time: whole sequences, evenly spread
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
    frames = _frames_in_time(first, uv.shape[1], uv.shape[2])
    starts = _starts(first[frames], frames)
    lasting = fit_lasting(
        uv[frames], weights[frames], keypoint[frames], starts, rig, (mixture, scene)
    )
    if lasting.slow + lasting.offset > 0:
        length = len(first) / max(1, len(first.unique()))  # type: ignore[no-untyped-call]
        repeats = _repeats(lasting, step, length)
        sample = Sample(sample.points, sample.weights, sample.keypoint, count, repeats)
        mixture, _, _ = fit_mixture(sample, rig, mixture, _ROUNDS_AGAIN)
    return _parts(mixture, lasting).to(device)


def _sample(uv: Tensor, weights: Tensor, keypoint: Tensor, count: int) -> tuple[Sample, int]:
    """Choose evenly spread frames. Returns them, and the frames from one to the next."""
    V = uv.shape[1]
    seen = geometry.count_views(weights.transpose(1, 2)) >= 2  # (N, K)
    if not seen.any():
        raise DataError(
            "no keypoint is seen by two views in any frame, so neither noise nor 3D can be found; "
            "check the views' points and confidence"
        )
    wanted = max(MAX_POINTS, POINTS_PER_KEYPOINT * count) * 4 / max(4, V)
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


def _frames_in_time(first: Tensor, views: int, keypoints: int) -> Tensor:
    """Choose whole sequences, or pieces of long ones, evenly spread: numbers of frames."""
    starts = first.unique()  # type: ignore[no-untyped-call]
    ends = torch.cat([starts[1:], torch.tensor([len(first)])])
    lengths = (ends - starts).clamp_max(_PIECE)
    budget = MAX_POINTS_IN_TIME * 16 / max(16, views**2) / keypoints
    wanted = max(1, int(len(starts) * budget / max(1, int(lengths.sum()))))
    if wanted < len(starts):
        chosen = torch.linspace(0, len(starts) - 1, wanted).round().long()
        starts, lengths = starts[chosen], lengths[chosen]
    return torch.cat(
        [torch.arange(s, s + n) for s, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
    )


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
