"""Triangulated frames that cannot be right: vague ones, and strays far from their neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry

# Standard deviation along the worst direction, in those of the keypoint's median frame.
VAGUE_FACTOR = 20.0
STRAY_SIGMAS = 5.0  # a stray is so many standard deviations from every prediction
# Of the variance. 95 % of a Gaussian's squares are below 3.84 of it along a line, 2.6 in a ball.
NOISE_SHARE = 4.0
Predictions = tuple[tuple[tuple[int, float], ...], ...]
# What neighbours predict, each a sum of (offset, factor): the one before, the one after, their
# mean; straight on.
NEIGHBOURS: Predictions = (((-1, 1.0),), ((1, 1.0),), ((-1, 0.5), (1, 0.5)))
LINES: Predictions = (((-1, 2.0), (-2, -1.0)), ((1, 2.0), (2, -1.0)))


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
    """Find frames that are far from whatever their neighbours predict.

    These are gross errors that the residuals of the views did not show. The predictions are the
    neighbour before, the one after, their mean, and the straight lines through two frames before
    and after. A frame is a stray only if all of them are far, so a neighbour's error makes no
    stray, and a stray makes none of its neighbours.

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
    """Return which frames are measured (N, K), and covariances (N, K, 3, 3), 1 elsewhere."""
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
        """Return how far frames (P,) are from a prediction.

        Returns:
            Differences (P, 3) [m], their covariance (P, 3, 3), and whether there is one (P,).
        """
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
        """Return the squared acceleration near frames (P,) [m^2/frame^4], less the noise's.

        The larger of those before and after the frame. Each is the smaller of two frames', in which
        the frame itself has no part: an acceleration lasts, a gross error beside it does not.
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
