"""What a detection tells: a mixture of good, poor and gross errors decides how much it counts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

# Standard deviations of good and poor detections, in those that are claimed; hidden points are
# poor.
CORE = (1.0, 3.3)
WIDE = (0.1, 0.3)  # of gross errors, in image widths
SHARES = (0.5, 0.3, 0.15, 0.05)  # of these four before anything is seen
ODDS_RANGE = (0.1, 10.0)  # how far the odds of a gross error may be from these shares


def image_width(rig: Rig) -> float:
    """Return the width of the images [px], whose centre is where the cameras look."""
    return float(2 * rig.intrinsics[:, 0, 2].double().mean())


@dataclass(frozen=True)
class Witnesses:
    """The detections of tracks, with the spreads and the odds of each kind of error.

    Attributes:
        spread: (N, V, K) standard deviation of a good detection [px].
        odds: (N, V, K) factor on the odds of a gross error, 1 where the detector claims nothing.
        width: Image width [px].
    """

    spread: Tensor
    odds: Tensor
    width: float

    @staticmethod
    def of(tracks: Tracks, rig: Rig) -> "Witnesses":
        """Read what is known of the tracks' noise; where nothing is, the rig's stands."""
        is_used = tracks.weights > 0
        weights = torch.where(is_used, tracks.weights, 1.0).double()
        spread, odds = rig.sigma_px / weights.sqrt(), torch.ones_like(weights)
        if tracks.noise is not None:
            rate = tracks.noise.gross_rates(tracks.keypoint, tracks.claims).double()
            usual = sum(SHARES[len(CORE) :])
            odds = ((rate / (1 - rate)) / (usual / (1 - usual))).clamp(*ODDS_RANGE)
        return Witnesses(spread, odds, image_width(rig))


def weigh(
    square: Tensor, spread: Tensor, odds: Tensor, width: float, stiffness: float
) -> tuple[Tensor, Tensor]:
    """Weigh detections by how far they are from what is estimated.

    The expected precision, over the kinds of errors, is the weight of one step of expectation and
    maximisation for the mixture.

    Args:
        square: (*) squared residual [px^2].
        spread: (*) of a good detection [px].
        odds: (*) factor on the odds of a gross error.
        width: Image width [px].
        stiffness: At least 1; the kinds whose spread is below so many good ones have that spread.
            It starts high, so that no detection is given up before the others have spoken.

    Returns:
        Precision (*) [1/px^2] and log density (*) up to a constant.
    """
    kinds = [f * spread for f in CORE] + [torch.full_like(spread, f * width) for f in WIDE]
    deviation = torch.stack(kinds, -1).maximum(stiffness * spread.unsqueeze(-1))
    shares = torch.tensor(SHARES, dtype=spread.dtype, device=spread.device)
    prior = shares * torch.stack([torch.ones_like(odds)] * 2 + [odds] * 2, -1)
    prior = prior / prior.sum(-1, keepdim=True)
    log = prior.log() - 2 * deviation.log() - square.unsqueeze(-1) / (2 * deviation.square())
    return (log.softmax(-1) / deviation.square()).sum(-1), log.logsumexp(-1)
