"""What averages over frames and views know where these share errors: less than their number says.

The error of a triangulated frame is taken apart. One part varies: neighbouring frames have
some of it in common, so n frames tell as much as n / inflation. The other, `Tracks.floor`, stays
however many frames are averaged: the constant errors of the detections, and the doubt which views
are sound. Without `Tracks.noise` all errors are independent and nothing changes.

Views share errors, too: a detector that guesses where a hidden point is, or takes a finger for the
other one, does so in all of its pictures. The views then agree on a wrong point, and no comparison
of views shows it, neither residuals nor left-out cameras. But a detector that was calibrated on
labelled pictures claims it: its claims are larger than the errors that the views show. What is too
much is taken for a shift in space that all views see (`with_shared`).
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.smoothing.kalman import local_polynomial, unit_spectrum
from pose_obj_3d.tracks.types import Tracks

# Of the variance that is claimed beyond what views show, the share that they have in common: by the
# coverage of half of the test demonstrations from pixels.
SHARED = 0.5
_LITTLE = 1e-12
_FREQUENCIES, _DECADES, _ROUNDS = 600, 5, 30  # of the sums over frequencies
_LEAST = 1e-3  # factor on variances, where all errors are constant


def smoothing_info(tracks: Tracks) -> Tensor:
    """Return information (N, K, 3, 3) [1/m^2] by which a smoother's process noise is chosen.

    Of the varying part of the error, divided by its inflation over the time that it lasts. Errors
    that last look like motion: with what the smoother itself averages (`smoother_inflation`), they
    would be followed.
    """
    if tracks.noise is None:
        return tracks.info
    frames = torch.tensor(1 + tracks.noise.time_constant)
    return tracks.info / float(tracks.noise.varying_inflation(frames))


def smoother_inflation(tracks: Tracks, motion: str, index: Tensor) -> Tensor:
    """Return by what smoothers of whole tracks must divide the information of frames.

    A smoother that follows fast motion averages over few frames, and these are worth what they
    claim; one of a point at rest averages over many, which have errors in common. How much a
    smoother averages depends on the information that it is given, so this is the factor that fits
    itself: with it, the claimed variance of what varies is the true one.

    Args:
        tracks: The data.
        motion: One of `kalman.MOTIONS`.
        index: (H,) tracking indices: process noise over a frame, in standard deviations of a
            frame's position.

    Returns:
        (H,): 1 where errors do not last; what is constant in them is no part of it (`floor`).
    """
    factor = torch.ones_like(index)
    if tracks.noise is None:
        return factor
    frequency = torch.logspace(-_DECADES, 0, _FREQUENCIES, dtype=torch.float64) * math.pi
    spectrum = tracks.noise.varying_spectrum(frequency)
    track = index.square()[:, None] * unit_spectrum(motion, frequency)
    for _ in range(_ROUNDS):
        # The smoother's answer to a frequency, squared; log spacing weighs by the frequency.
        power = (track / (track + factor[:, None])).square() * frequency
        factor = ((power * spectrum).sum(-1) / power.sum(-1)).clamp_min(_LEAST)
    return factor


def with_floor(found: Estimate, tracks: Tracks, reach: int | None = None) -> Estimate:
    """Add what lasts to the covariance of an average over frames.

    Args:
        found: Positions (N, K, 3), with the covariance of what varies.
        tracks: The data.
        reach: Frames on each side over which the floor is averaged; by default the time that errors
            last.
    """
    if tracks.noise is None or tracks.floor is None:
        return found
    half = round(tracks.noise.time_constant) if reach is None else reach
    return Estimate(found.xyz, found.covariance + _local_mean(tracks, tracks.floor.double(), half))


def _local_mean(tracks: Tracks, values: Tensor, half: int) -> Tensor:
    """Average values (N, K, 3, 3) over the measured frames near each frame of its example.

    Where none is near: over all of the example.
    """
    is_known = (tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0).double()
    known = torch.cat([torch.zeros_like(is_known[:1]), is_known.cumsum(0)])
    sums = values * is_known[..., None, None]
    sums = torch.cat([torch.zeros_like(sums[:1]), sums.cumsum(0)])
    frame = torch.arange(len(values), device=values.device)
    low, high = torch.maximum(frame - half, tracks.first), torch.minimum(frame + half, tracks.last)
    near = known[high + 1] - known[low]
    all_known = known[tracks.last + 1] - known[tracks.first]
    everywhere = sums[tracks.last + 1] - sums[tracks.first]
    total = torch.where((near > 0)[..., None, None], sums[high + 1] - sums[low], everywhere)
    count = torch.where(near > 0, near, all_known).clamp_min(1)
    mean: Tensor = total / count[..., None, None]
    return mean


def window_inflation(tracks: Tracks, offsets: Tensor, is_used: Tensor, degree: int) -> Tensor:
    """Return by what fits of polynomials to windows claim too little of what varies.

    Args:
        tracks: The data.
        offsets: (T,) frames from the centre.
        is_used: (N, T) which frames of each window are used.
        degree: Degree of the polynomial.

    Returns:
        (N,) factor on the covariance.
    """
    N, T = is_used.shape
    if tracks.noise is None:
        return torch.ones(N, dtype=torch.float64, device=is_used.device)
    correlation = tracks.noise.varying_autocorrelation(offsets[:, None] - offsets)
    kinds, which = is_used.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
    # The weights of frames in a fit are what it makes of each frame's unit impulse.
    eye = torch.eye(T, dtype=torch.float64, device=is_used.device)
    impulse = eye[None, ..., None].expand(len(kinds), T, T, 3)
    info = torch.eye(3).to(eye) * kinds[:, None, :, None, None]
    weights = local_polynomial(impulse, info.expand(-1, T, -1, -1, -1), offsets, degree).xyz[..., 0]
    weights = weights.nan_to_num()
    both = torch.einsum("pt,ts,ps->p", weights, correlation, weights)
    factor: Tensor = (both / weights.square().sum(1).clamp_min(1e-12))[which]
    return factor


def with_shared(found: Estimate, tracks: Tracks, rig: Rig) -> Estimate:
    """Add what views share of their errors, by the detector's claims, to a covariance.

    Args:
        found: Positions (N, K, 3) of all frames, with the covariance of what views do not share.
        tracks: The data that they are of.
        rig: The cameras.

    Returns:
        The same where no detector claims anything.
    """
    variance = shared_variance(tracks, rig)
    if variance is None:
        return found
    assert tracks.noise is not None
    eye = torch.eye(3, dtype=torch.float64, device=variance.device)
    near = _local_mean(tracks, variance[..., None, None] * eye, round(tracks.noise.time_constant))
    return replace(found, covariance=found.covariance + near.to(found.covariance))


def shared_variance(tracks: Tracks, rig: Rig) -> Tensor | None:
    """Return the variance along each axis (N, K) [m^2] of the shift that a frame's views share.

    Each view's excess of its claimed variance over what `Tracks.noise` says, as a distance in
    space, weighed by the precision that it claims: a view that claims to know little shares little.
    None where no detector claims anything.
    """
    if tracks.claims is None or tracks.noise is None or tracks.noise.claims is None:
        return None
    K, E = rig.intrinsics.double(), rig.extrinsics.double()
    _, J = geometry.projection_jacobian(tracks.xyz.double(), K, E)  # (N, K, V, 2, 3)
    per_metre = J.square().sum((-1, -2)).transpose(1, 2) / 2  # (N, V, K) [px^2/m^2]
    precision = tracks.noise.precision(tracks.keypoint, tracks.claims)
    own = 1 / precision.clamp_min(_LITTLE)
    determinant = torch.linalg.det(tracks.claims.double())
    claims_something = determinant > 0  # False where NaN
    claimed = torch.where(claims_something, determinant, 1.0).sqrt()
    counts = (tracks.weights > 0) & claims_something & (precision > 0)
    total = (counts * per_metre / claimed).sum(1)
    excess = (counts * (1 - own / claimed)).sum(1)
    shared: Tensor = SHARED * (excess / total.clamp_min(_LITTLE)).clamp_min(0)
    return shared
