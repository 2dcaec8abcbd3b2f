"""Views that had no part: what a prediction is worth, seen by a camera that it does not know.

The errors of different views are independent even where those of different frames are not.
"""

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

DISPENSABLE = 4.0  # a view without which a point's variance grows by no more is dispensable
_MANY = 20_000  # points looked at, evenly spread


def dispensable_views(tracks: Tracks, rig: Rig) -> list[int]:
    """Return the views without which the others still see the depth; all if there are none.

    A prediction without any other view is another kind of prediction, whose errors say nothing
    about those of all views.
    """
    V = tracks.uv.shape[1]
    w = (tracks.weights > 0).transpose(1, 2).double().flatten(0, 1)
    xyz = tracks.xyz.double().flatten(0, 1)
    rows = ((w > 0).sum(-1) >= min(3, V)).nonzero().squeeze(-1)
    rows = rows[:: max(1, len(rows) // _MANY)]
    if not len(rows):
        return list(range(V))
    cameras = rig.intrinsics.double(), rig.extrinsics.double()
    _, J = geometry.projection_jacobian(xyz[rows], *cameras)
    each = torch.einsum("nvri,nvrj,nv->nvij", J, J, w[rows])
    found = []
    full = _size(each.sum(1))
    for v in range(V):
        is_used = w[rows, v] > 0
        without = _size(each.sum(1) - each[:, v])
        if is_used.any() and float((without / full)[is_used].median()) <= DISPENSABLE:
            found.append(v)
    return found or list(range(V))


def _size(info: Tensor) -> Tensor:
    eye = torch.eye(3, dtype=info.dtype, device=info.device)
    return geometry.invert_3x3(info + 1e-3 * eye).diagonal(dim1=-2, dim2=-1).sum(-1)


def views_of_examples(tracks: Tracks) -> tuple[Tensor, Tensor]:
    """Return the number of each frame's example (N,), and which views see in each (E, V) bool.

    Examples with calibrations of their own have their own views; those of the others see nothing.
    """
    _, number = tracks.first.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    counts = tracks.weights.new_zeros(int(number.max()) + 1, tracks.weights.shape[1])
    counts.index_add_(0, number, (tracks.weights > 0).any(2).to(counts))
    return number, counts > 0


def left_out_views(tracks: Tracks, rig: Rig) -> Tensor:
    """Choose the view (N,) that each example is blind for: the dispensable ones in turn.

    Of an example that some of them never see, the others take their turns.
    """
    views = torch.tensor(dispensable_views(tracks, rig), device=tracks.first.device)
    number, every = views_of_examples(tracks)
    sees = every[:, views]
    is_there = sees | ~sees.any(1, keepdim=True)
    turn = torch.arange(len(sees), device=views.device) % is_there.sum(1)
    place = (is_there & (is_there.cumsum(1) - 1 == turn[:, None])).int().argmax(1)
    found: Tensor = views[place][number]
    return found
