"""The noise of tracks in three parts, found from how the views disagree. Reads no truth."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_in_time import Lasting, fit_lasting
from pose_obj_3d.geometry.noise_mixture import Mixture, Sample, fit_mixture
from pose_obj_3d.geometry.noise_parts import ClaimScale, NoiseParts, relative_claims
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Scene
from pose_obj_3d.tracks.types import Tracks

# Points that variances are learned from, with four views: evenly spread frames.
MAX_POINTS = 6000
POINTS_PER_KEYPOINT = 250  # more than `MAX_POINTS` where there are many keypoints
MAX_POINTS_IN_TIME = 12000  # the same for correlations in time: some keypoints of each sequence
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
"""Powers of claimed deviations that are compared by their likelihood."""
# The same, only to see whether errors last at all, and to compare powers.
_GLANCE_POINTS, _GLANCE_IN_TIME, _GLANCE_ROUNDS = 2000, 5000, 5
_SAME_CLAIM = 1e-6  # claims that are so alike tell nothing
_PIECE = 400  # frames of a long sequence that are used
_ROUNDS, _ROUNDS_AGAIN = 8, 4


@dataclass(frozen=True)
class _Seen:
    """What the noise is learned from; shapes as in `Tracks`.

    Attributes:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K); 0 = missing.
        keypoint: (N, K), -1 = none.
        first: (N,).
        claimed: (N, V, K) logarithm of claimed deviations beside the usual one; 0 = no claim.
        rig: The cameras.
    """

    uv: Tensor
    weights: Tensor
    keypoint: Tensor
    first: Tensor
    claimed: Tensor
    rig: Rig


def estimate_noise_parts(tracks: Tracks, rig: Rig) -> NoiseParts:
    """Estimate the noise by view and keypoint, of detections whose weight in the tracks is 1.

    Args:
        tracks: The data; `uv`, `weights`, `keypoint`, `first` and `claims` are read. Where
            `noise` is there, it has been estimated before, and the weights are by it.
        rig: The cameras; its `sigma_px` is not used.

    Raises:
        DataError: No point is seen by two views.
    """
    return noise_parts(tracks.uv, tracks.weights, tracks.keypoint, tracks.first, rig, tracks.claims)


def noise_parts(
    uv: Tensor,
    weights: Tensor,
    keypoint: Tensor,
    first: Tensor,
    rig: Rig,
    claims: Tensor | None = None,
    weighed_by_claims: float = 0.0,
    count: int | None = None,
) -> NoiseParts:
    """Estimate the noise of detections, arguments as in `Tracks`.

    With claims (N, V, K, 2, 2) [px^2] also what these are worth. Where the weights are already
    those of claims to some power (1 = 1 / claimed variance), the power that is found is the rest of
    it, and may be negative. `count` is the number of keypoints I, as many as there are by default;
    those without detections get what is common. The tensors of the result are where `uv` is.
    """
    usual = None if claims is None else _usual(claims.detach().cpu(), weights.detach().cpu())
    seen = _seen(uv, weights, keypoint, first, rig, claims, usual)
    if float(seen.claimed.abs().max()) < _SAME_CLAIM:
        usual = None
    count = int(seen.keypoint.max()) + 1 if count is None else count
    exponent = 0.0
    if usual is not None:
        exponent = _best_exponent(seen, count, weighed_by_claims)
        seen = replace(seen, weights=seen.weights * (-2 * exponent * seen.claimed).exp())
    sample, step = _sample(seen, count)
    mixture, scene, _ = fit_mixture(sample, seen.rig, rounds=_ROUNDS)
    lasting = _lasting(seen, (mixture, scene))
    if lasting.slow + lasting.offset > 0:
        length = len(first) / max(1, len(seen.first.unique()))  # type: ignore[no-untyped-call]
        sample = replace(sample, repeats=_repeats(lasting, step, length))
        mixture, _, _ = fit_mixture(sample, seen.rig, mixture, _ROUNDS_AGAIN)
    scale = None if usual is None else ClaimScale(usual, exponent, mixture.gross_slope)
    return _parts(mixture, lasting, scale).to(uv.device)


def do_errors_last(uv: Tensor, weights: Tensor, keypoint: Tensor, first: Tensor, rig: Rig) -> bool:
    """Look at few detections, arguments as in `Tracks`: are errors of near frames alike?"""
    seen = _seen(uv, weights, torch.where(keypoint >= 0, 0, -1), first, rig)
    sample, _ = _sample(seen, 1, _GLANCE_POINTS)
    mixture, scene, _ = fit_mixture(sample, seen.rig, rounds=_GLANCE_ROUNDS)
    lasting = _lasting(seen, (mixture, scene), _GLANCE_IN_TIME)
    return lasting.slow + lasting.offset > 0


def _seen(
    uv: Tensor,
    weights: Tensor,
    keypoint: Tensor,
    first: Tensor,
    rig: Rig,
    claims: Tensor | None = None,
    usual: Tensor | None = None,
) -> _Seen:
    uv, weights, keypoint, first = (x.detach().cpu() for x in (uv, weights, keypoint, first))
    weights = torch.where((keypoint >= 0)[:, None], weights, 0.0).double()
    claimed = torch.zeros_like(weights)
    if claims is not None and usual is not None:
        claimed = relative_claims(claims.detach().cpu(), usual)
    return _Seen(uv, weights, keypoint, first, claimed, rig.to(torch.device("cpu")))


def _usual(claims: Tensor, weights: Tensor) -> Tensor | None:
    """Return the median claimed deviation of each view (V,) [px], of all where a view has none."""
    one = torch.ones(claims.shape[1], dtype=torch.float64)
    deviation = torch.where(weights > 0, relative_claims(claims, one).exp(), torch.nan)
    claims_something = claims[..., 0, 0].isfinite() & (weights > 0)
    if not claims_something.any():
        return None
    deviation = torch.where(claims_something, deviation, torch.nan)
    of_views = deviation.transpose(0, 1).flatten(1).nanmedian(1).values
    return torch.where(of_views.isfinite(), of_views, deviation.nanmedian())


def _best_exponent(seen: _Seen, count: int, already: float) -> float:
    """Return the power of the claims, beyond `already`, under which detections are most likely."""
    scores, exponents = [], [exponent - already for exponent in EXPONENTS]
    for exponent in exponents:
        weighed = replace(seen, weights=seen.weights * (-2 * exponent * seen.claimed).exp())
        sample, _ = _sample(weighed, count, _GLANCE_POINTS, per_keypoint=0)
        scores.append(fit_mixture(sample, seen.rig, rounds=_GLANCE_ROUNDS)[2])
    return exponents[max(range(len(scores)), key=scores.__getitem__)]


def _lasting(
    seen: _Seen, model: tuple[Mixture, Scene], max_points: int = MAX_POINTS_IN_TIME
) -> Lasting:
    frames, is_used = _choose_in_time(seen.weights, seen.first, max_points)
    in_time = (seen.weights * is_used[:, None])[frames]
    starts = _starts(seen.first[frames], frames)
    return fit_lasting(
        seen.uv[frames],
        in_time,
        seen.keypoint[frames],
        starts,
        seen.rig,
        model,
        seen.claimed[frames],
    )


def _sample(
    seen: _Seen,
    count: int,
    max_points: int = MAX_POINTS,
    per_keypoint: int = POINTS_PER_KEYPOINT,
) -> tuple[Sample, int]:
    """Choose evenly spread frames. Returns them, and the frames from one to the next."""
    V = seen.uv.shape[1]
    is_seen = geometry.count_views(seen.weights.transpose(1, 2)) >= 2  # (N, K)
    if not is_seen.any():
        raise DataError(
            "no keypoint is seen by two views in any frame, so neither noise nor 3D can be found; "
            "check the views' points and confidence"
        )
    wanted = max(max_points, per_keypoint * count) * 4 / max(4, V)
    step = max(1, math.ceil(int(is_seen.sum()) / wanted))
    chosen = torch.zeros_like(is_seen)
    chosen[::step] = is_seen[::step]
    if not chosen.any():
        chosen, step = is_seen, 1
    return (
        Sample(
            seen.uv.transpose(1, 2)[chosen].double(),
            seen.weights.transpose(1, 2)[chosen].double(),
            seen.keypoint[chosen],
            count,
            seen.claimed.transpose(1, 2)[chosen].double(),
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


def _parts(mixture: Mixture, lasting: Lasting, claims: ClaimScale | None) -> NoiseParts:
    sigma = mixture.sigma
    white = max(0.0, 1 - lasting.slow - lasting.offset)
    return NoiseParts(
        white=sigma * math.sqrt(white),
        slow=sigma * math.sqrt(lasting.slow),
        offset=sigma * math.sqrt(lasting.offset),
        time_constant=lasting.time_constant,
        gross_rate=mixture.gross_rate,
        gross_scale=mixture.gross_scale * math.sqrt(3),
        claims=claims,
    )
