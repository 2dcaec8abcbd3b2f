"""What the network sees of windows: numbers without parameters, the same in every epoch.

They are worked out once for each window and kept as one row of numbers (`Seen.rows`). In use the
entries come first and the windows last: long rows of equal entries.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry import symmetric
from pose_obj_3d.models.consensus.context import Context, feature_count
from pose_obj_3d.tracks.types import Windows

SEEN = "what STC sees"
"""Name in the cache of tracks: (N, P) rows of numbers, one for each frame."""
_AT_ONCE = 2048  # windows looked at together


@dataclass(frozen=True)
class Seen:
    """Numbers about B windows; symmetric matrices as in `geometry.symmetric`.

    Attributes:
        features: (F, K, B) invariants of each keypoint.
        pairs: (6, K, K, B) invariants of pairs: of the other keypoint, and the one that looks.
        full: (H, 3, K, B) filters, from the reference; the first is the frame itself [m].
        blind: (H, 3, K, B) the same without the frame [m].
        info: (6, R, K, B) of the bins [1/m^2].
        push: (3, R, K, B) information of the bins times their offsets [1/m].
        is_used: (R, K, B) 1 where the bin holds a measurement, else 0.
        disagreement: (R, K, B) of the bins with the reference, in variances.
        unit: (6, K, B) information of a typical frame [1/m^2].
        spread: (6, K, B) its inverse [m^2].
        reference: (3, K, B) [m].
        velocity: (3, K, B) [m] a frame.
        acceleration: (3, K, B) [m].
        own: (6, K, B) information of the centre frame [1/m^2].
        is_measured: (K, B) 1 where the centre frame is measured, else 0.
        keypoint: (K, B) number of the keypoint, -1 where the task has fewer.
        claims: (6, K, B) covariance that a ground claims [m^2]; (0, K, B) without one.
    """

    features: Tensor
    pairs: Tensor
    full: Tensor
    blind: Tensor
    info: Tensor
    push: Tensor
    is_used: Tensor
    disagreement: Tensor
    unit: Tensor
    spread: Tensor
    reference: Tensor
    velocity: Tensor
    acceleration: Tensor
    own: Tensor
    is_measured: Tensor
    keypoint: Tensor
    claims: Tensor

    @staticmethod
    def of(
        windows: Windows, x: Context, full: Tensor, blind: Tensor, claims: Tensor | None
    ) -> "Seen":
        """Gather what is known with windows first: context, filters (B, K, H, 3), claims."""

        def last(y: Tensor) -> Tensor:
            return y.permute(*range(y.dim() - 1, 0, -1), 0)

        own = windows.info[:, windows.centre]
        is_measured = (own.diagonal(dim1=-2, dim2=-1).sum(-1) > 0) & (windows.keypoint >= 0)
        push = (x.info @ x.offset.unsqueeze(-1)).squeeze(-1)
        return Seen(
            features=last(x.features(blind)),
            pairs=last(x.pair_features()),
            full=last(full).transpose(0, 1),
            blind=last(blind).transpose(0, 1),
            info=symmetric.pack(last(x.info)),
            push=last(push),
            is_used=last(x.is_used.to(x.offset)),
            disagreement=last(x.disagreement()),
            unit=symmetric.pack(last(x.unit)),
            spread=symmetric.pack(last(geometry.invert_3x3(x.unit))),
            reference=last(x.reference),
            velocity=last(x.velocity),
            acceleration=last(x.acceleration),
            own=symmetric.pack(last(own)),
            is_measured=last(is_measured.to(x.offset)),
            keypoint=last(windows.keypoint.to(x.offset)),
            claims=last(x.reference)[:0] if claims is None else symmetric.pack(last(claims)),
        )

    def rows(self) -> Tensor:
        """Return the numbers of each window as a row (B, P)."""
        return torch.cat(
            [getattr(self, f.name).flatten(0, -2) for f in fields(self)]
        ).T.contiguous()

    @staticmethod
    def of_rows(rows: Tensor, shapes: dict[str, tuple[int, ...]]) -> "Seen":
        """Undo `rows`; the shapes, without the windows, are those of `shapes_of`."""
        sizes = [math.prod(shape) for shape in shapes.values()]
        parts = zip(shapes.items(), torch.split(rows.T.contiguous(), sizes), strict=True)
        values: dict[str, Any] = {
            name: part.view(*shape, len(rows)) for (name, shape), part in parts
        }
        return Seen(**values)


def shapes_of(
    K: int, R: int, H: int, num_near: int, has_ground: bool
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of `Seen` without the windows.

    Args:
        K: Keypoints of a frame.
        R: Bins.
        H: Filters.
        num_near: Bins of single frames.
        has_ground: Whether a ground claims covariances.
    """
    many: dict[str, tuple[int, ...]] = {
        "features": (feature_count(num_near, R, H),),
        "pairs": (6, K),
        "full": (H, 3),
        "blind": (H, 3),
        "info": (6, R),
        "push": (3, R),
        "is_used": (R,),
        "disagreement": (R,),
        "reference": (3,),
        "velocity": (3,),
        "acceleration": (3,),
        "is_measured": (),
        "keypoint": (),
        "claims": (6 if has_ground else 0,),
    }
    return {f.name: (*many.get(f.name, (6,)), K) for f in fields(Seen)}


def count_of(shapes: dict[str, tuple[int, ...]]) -> int:
    """Return P, how many numbers a window has."""
    return sum(math.prod(shape) for shape in shapes.values())


def rows_of(centres: Tensor, look: Callable[[Tensor], Seen]) -> Tensor:
    """Return the rows (N, P) of all windows, worked out many at a time.

    Args:
        centres: (N,) numbers of the centre frames.
        look: From such numbers to what is seen of their windows.
    """
    begin, found = 0, torch.empty(0)
    for some in torch.split(centres, _AT_ONCE):
        rows = look(some).rows()
        if not begin:  # each row once in memory
            found = rows.new_empty(len(centres), rows.shape[1])
        found[begin : begin + len(some)] = rows
        begin += len(some)
    return found
