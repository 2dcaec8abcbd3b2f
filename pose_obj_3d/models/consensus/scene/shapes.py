"""Which keypoints keep their distance: learned from many examples, without labels."""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

RIGID_QUANTILE, RIGID_SIGMAS = 0.9, 4.5
"""Keypoints keep their distance where this share of the frames is within so many deviations."""
MAX_SPREAD = 8.0  # of such a distance, in standard deviations of a frame
MIN_SPREAD = 0.5  # what is believed at best
MAX_BROKEN = 0.2  # share of the frames with motion that may break a distance, by `MAX_SPREAD` too
MIN_FRAMES = 50
MAX_BODY = 16  # keypoints that are estimated together
_TRIM = 2.5  # median absolute deviations
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Shapes:
    """Distances of keypoints.

    Attributes:
        distance: (P, P) of the P different keypoints [m].
        spread: (P, P) its standard deviation [m]; infinite where they do not keep it.
    """

    distance: Tensor
    spread: Tensor

    @staticmethod
    def none(num_keypoints: int, device: torch.device | None = None) -> "Shapes":
        """Return shapes that know no distance."""
        zero = torch.zeros(num_keypoints, num_keypoints, dtype=torch.float64, device=device)
        return Shapes(zero, torch.full_like(zero, torch.inf))

    def bodies(self) -> list[list[int]]:
        """Group the keypoints: those that keep their distances, closest ties first.

        A body has at most `MAX_BODY` keypoints; keypoints on their own are bodies too.
        """
        number = list(range(len(self.spread)))
        members = {n: [n] for n in number}
        tied = self.spread.isfinite().triu(1).nonzero().tolist()
        for i, j in sorted(tied, key=lambda pair: float(self.spread[pair[0], pair[1]])):
            a, b = number[i], number[j]
            if a == b or len(members[a]) + len(members[b]) > MAX_BODY:
                continue
            for k in members[b]:
                number[k] = a
            members[a] += members.pop(b)
        return [sorted(body) for body in members.values()]


def learn_shapes(
    xyz: Tensor,
    covariance: Tensor,
    keypoint: Tensor,
    first: Tensor,
    num_keypoints: int,
    unit: float,
) -> Shapes:
    """Find the pairs of keypoints whose distance is the same in all frames, but for the errors.

    A pair's spread is what its deviations are typically: that claimed errors explain them does not
    say that the distance is kept better. One example would not do: what rests keeps its distance to
    all else that rests. And what moves rarely would seem to keep it to what it left. So frames in
    which one of the two is not where it is most of the time in its example count apart.

    Args:
        xyz: (N, K, 3) estimated positions [m].
        covariance: (N, K, 3, 3) of their errors [m^2].
        keypoint: (N, K) index, -1 = none.
        first: (N,) first frame of each frame's example.
        num_keypoints: P.
        unit: Standard deviation of a frame's position [m]; scales what counts as rigid.
    """
    shapes = Shapes.none(num_keypoints, xyz.device)
    has_left = _has_left(xyz, covariance, first, MAX_SPREAD * unit)
    column: dict[int, int] = {}
    for k in range(keypoint.shape[1]):
        for index in keypoint[:, k].unique().tolist():  # type: ignore[no-untyped-call]
            if index >= 0:
                column.setdefault(index, k)
    for (i, a), (j, b) in combinations(column.items(), 2):
        rows = (keypoint[:, a] == i) & (keypoint[:, b] == j)
        if a == b or int(rows.sum()) < MIN_FRAMES:
            continue
        found = _distance(
            xyz[rows, a].double() - xyz[rows, b].double(),
            (covariance[rows, a] + covariance[rows, b]).double(),
            has_left[rows, a] | has_left[rows, b],
            unit,
        )
        if found is not None:
            shapes.distance[i, j] = shapes.distance[j, i] = found[0]
            shapes.spread[i, j] = shapes.spread[j, i] = found[1]
    return shapes


def _has_left(xyz: Tensor, covariance: Tensor, first: Tensor, distance: float) -> Tensor:
    """Say where keypoints (N, K, 3) are not where they are most of the time in their example.

    They are further from there than `distance` [m], and than their errors reach, with covariance
    (N, K, 3, 3). Else what is only seen badly would seem to move, and break no distance.
    """
    _, sizes = first.unique(return_counts=True)  # type: ignore[no-untyped-call]
    parts = torch.split(xyz.double(), sizes.tolist())
    off = torch.cat([x - x.nanmedian(0).values for x in parts])
    length = off.norm(dim=-1)
    along = off / length.clamp_min(1e-9).unsqueeze(-1)
    reach = torch.einsum("nki,nkij,nkj->nk", along, covariance.double(), along).sqrt()
    has_left: Tensor = (length > distance) & (length > RIGID_SIGMAS * reach)
    return has_left


def _distance(
    off: Tensor, covariance: Tensor, has_motion: Tensor, unit: float
) -> tuple[float, float] | None:
    """Return a pair's distance and its spread [m]; None if it is not kept.

    Args:
        off: (n, 3) offsets [m].
        covariance: (n, 3, 3) of their errors [m^2].
        has_motion: (n,) whether one of the two has left its place.
        unit: As of `learn_shapes` [m].
    """
    length = off.norm(dim=-1)
    along = off / length.clamp_min(1e-9).unsqueeze(-1)
    noise = torch.einsum("ni,nij,nj->n", along, covariance, along)
    total = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    middle = length.median()
    typical = 1.4826 * (length - middle).abs().median()
    kept = (length - middle).abs() <= _TRIM * typical
    # Errors across the line make it longer on average.
    squares = (length.square() - (total - noise) / 2)[kept] / total[kept]
    distance = (squares.sum() / (1 / total[kept]).sum()).clamp_min(0).sqrt()
    off_by = (length - distance).abs()
    z, furthest = off_by / noise.sqrt(), MAX_SPREAD * unit
    if float(z.quantile(RIGID_QUANTILE)) > RIGID_SIGMAS or float(typical) > furthest:
        return None
    is_broken = (z > RIGID_SIGMAS) & (off_by > furthest)
    if (
        int(has_motion.sum()) >= MIN_FRAMES
        and float(is_broken[has_motion].double().mean()) > MAX_BROKEN
    ):
        return None
    return float(distance), max(float(typical), MIN_SPREAD * unit)


def tie(
    xyz: Tensor, pairs: Tensor, distance: Tensor, spread: Tensor, slack: float
) -> tuple[Tensor, Tensor]:
    """Linearise the distances about estimated positions.

    Keypoints that are nearly at one place are tied as points, since their line has no direction.
    Distances that are far off count less, as with heavy tails.

    Args:
        xyz: (T, S, n, 3) [m].
        pairs: (2, p) columns of n.
        distance: (p,) [m].
        spread: (p,) [m].
        slack: Further standard deviation [m]; large at first.

    Returns:
        Information (T, S, p, 3, 3) of the offset from the second to the first of a pair [1/m^2],
        and that information times the offset wanted (T, S, p, 3).
    """
    off = xyz[:, :, pairs[0]] - xyz[:, :, pairs[1]]
    length = off.norm(dim=-1).clamp_min(1e-9)
    along = off / length.unsqueeze(-1)
    is_near = distance < 2 * spread
    variance = torch.where(is_near, spread.square() + distance.square() / 3, spread.square())
    variance = variance + slack**2
    square = torch.where(is_near, length, length - distance).square()
    weight = 1 / (variance * (1 + square / (9 * variance)))
    eye = torch.eye(3, dtype=xyz.dtype, device=xyz.device)
    line = along.unsqueeze(-1) * along.unsqueeze(-2)
    info = torch.where(is_near[:, None, None], eye, line) * weight[..., None, None]
    wanted = torch.where(is_near[:, None], 0.0, distance[:, None] * along)
    return info, (info @ wanted.unsqueeze(-1)).squeeze(-1)
