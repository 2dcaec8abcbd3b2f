"""What STC sees of each keypoint: bins and filters about a reference, and their invariants."""

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.models.blocks import asinh
from pose_obj_3d.tracks.types import Windows

MAX_DISAGREEMENT = 1e3
TELLING = 0.1  # least share of a typical frame's information


class Context:
    """Bins of every keypoint about a reference point, with the vectors that span its motion.

    Nothing here has seen the keypoint's own measurement in the centre frame.

    Attributes:
        info: (B, K, R, 3, 3) of the bins [1/m^2].
        is_used: (B, K, R) whether the bin holds a measurement.
        reference: (B, K, 3) mean of the nearest frames, by their information [m].
        offset: (B, K, R, 3) of the bins from the reference; 0 where unused [m].
        unit: (B, K, 3, 3) information of a typical single frame [1/m^2].
        velocity: (B, K, 3) a frame, from the mean after and before [m].
        acceleration: (B, K, 3) outermost against innermost frames [m].
    """

    def __init__(self, windows: Windows, near: slice) -> None:
        bins = windows.bins
        assert bins is not None
        self.near = near
        xyz, self.info = bins.xyz, bins.info
        self.is_used = self.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
        eye = torch.eye(3, device=xyz.device)
        total = self.info.sum(2)
        frames = (bins.frames[:, None] * self.is_used).sum(-1).clamp_min(1)
        unit = total / frames[..., None, None]
        self.unit = unit + eye * (
            1e-3 * unit.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + 1.0
        )
        self.is_used[..., near] &= self.is_telling(self.info[:, :, near])
        used = self.is_used[:, :, near]
        is_near = used.any(-1)[..., None]
        near_info = self.info[:, :, near] * used[..., None, None]
        known = torch.where(is_near[..., None], near_info.sum(2), self.unit)
        far = (geometry.invert_3x3(total + eye) @ (self.info @ xyz.unsqueeze(-1)).sum(2)).squeeze(
            -1
        )
        close = (xyz[:, :, near] * used[..., None]).sum(2) / used.sum(-1).clamp_min(1)[..., None]
        # From a point among them: in float32 the information of two nearly parallel rays leaves few
        # digits.
        moment = (near_info @ (xyz[:, :, near] - close.unsqueeze(2)).unsqueeze(-1)).sum(2)
        close = close + (geometry.invert_3x3(known) @ moment).squeeze(-1)
        self.reference = torch.where(is_near, close, far)
        self._reference_info = known
        fallback = windows.xyz[:, windows.centre]  # measured nowhere else
        self.reference = torch.where(self.is_used.any(-1, keepdim=True), self.reference, fallback)
        self.offset = torch.where(self.is_used[..., None], xyz - self.reference.unsqueeze(2), 0.0)
        o = self.offset[:, :, near]
        half = o.shape[2] // 2
        self.velocity = (o[:, :, half:].mean(2) - o[:, :, :half].mean(2)) / (half + 1)
        self.acceleration = o[:, :, 0] + o[:, :, -1] - o[:, :, half - 1] - o[:, :, half]

    def is_telling(self, info: Tensor) -> Tensor:
        """Return which frames know about as much as a typical one: (B, K, n), of (B, K, n, 3, 3).

        Means and fits that count every frame alike must not count one that hardly knows anything,
        such as a pair of views that disagree.
        """
        trace = info.diagonal(dim1=-2, dim2=-1).sum(-1)
        return trace > TELLING * self.unit.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)

    def disagreement(self) -> Tensor:
        """Return (B, K, R): squared distance to the reference in variances, per coordinate.

        What lies beyond a bin that disagrees is not trusted either: the keypoint has moved.
        """
        # With the information I of the bin and N of the reference, (I^-1 + N^-1)^-1 = I (I + N)^-1
        # N.
        near, offset = self._reference_info.unsqueeze(2), self.offset.unsqueeze(-1)
        joint = geometry.invert_3x3(self.info + near) @ (near @ offset)
        square = ((self.info @ offset) * joint).sum((-2, -1)) / 3
        square = square.clamp(0, MAX_DISAGREEMENT) * self.is_used
        half = square.shape[-1] // 2
        before = square[..., :half].flip(-1).cummax(-1).values.flip(-1)
        return torch.cat([before, square[..., half:].cummax(-1).values], -1)

    def features(self, bank: Tensor) -> Tensor:
        """Return the invariants (B, K, F) that a token is made of.

        Args:
            bank: (B, K, H, 3) blind filters, from the reference [m].
        """
        near, U = self.offset[:, :, self.near], self.unit
        own = torch.einsum("bkri,bkrij,bkrj->bkr", self.offset, self.info, self.offset)
        along = [
            torch.einsum("bkri,bkij,bkj->bkr", self.offset, U, v)
            for v in (self.velocity, self.acceleration)
        ]
        along.append(torch.einsum("bkhi,bkij,bkj->bkh", bank, U, self.velocity))
        scale = (
            U.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True).log() / 2 - 6.0
        )  # about 0 at 2.5 mm
        squares = torch.cat([_gram(near, U), own, *along, _gram(bank, U)], -1)
        return torch.cat([asinh(squares / 2), self.is_used.float(), scale], -1)

    def pair_features(self) -> Tensor:
        """Return invariants (B, K, K, 6) of pairs: do they move alike, how far apart are they."""
        K = self.unit.shape[1]

        def square(y: Tensor) -> Tensor:
            return asinh(torch.einsum("bkji,bkil,bkjl->bkj", y, self.unit, y))

        v, a, r = self.velocity, self.acceleration, self.reference
        apart = (r.unsqueeze(1) - r.unsqueeze(2)).norm(dim=-1).clamp_min(1e-3).log()
        parts = [
            square(v.unsqueeze(1) - v.unsqueeze(2)),
            square((a.unsqueeze(1) - a.unsqueeze(2)) / 2),
            square(v.unsqueeze(1).expand(-1, K, -1, -1)),
            square(v.unsqueeze(2)).expand(-1, -1, K),
            apart,
            torch.eye(K, device=r.device).expand_as(apart),
        ]
        return torch.stack(parts, -1)


def feature_count(num_near: int, num_bins: int, num_filters: int) -> int:
    """Return F of `Context.features`."""
    return num_near * (num_near + 1) // 2 + 4 * num_bins + num_filters * (num_filters + 3) // 2 + 1


def _gram(vectors: Tensor, info: Tensor) -> Tensor:
    """Return (B, K, n (n + 1) / 2): the products of n vectors (B, K, n, 3) under `info`."""
    i, j = torch.triu_indices(vectors.shape[2], vectors.shape[2], device=vectors.device)
    return torch.einsum("bkri,bkij,bksj->bkrs", vectors, info, vectors)[:, :, i, j]
