"""Views that had no part: what a prediction is worth, seen by a camera that it does not know.

The errors of different views are independent even where those of different frames are not.
"""

import math

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.consensus.scene.witnesses import CORE, SHARES, WIDE
from pose_obj_3d.tracks.types import Tracks

DISPENSABLE = 4.0  # a view without which a point's variance grows by no more is dispensable
PRIOR_STD = 0.5  # of the log factor on a claimed covariance
_STEPS = 80
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


def left_out_views(tracks: Tracks, rig: Rig) -> Tensor:
    """Choose the view (N,) that each example is blind for: the dispensable ones in turn."""
    views = torch.tensor(dispensable_views(tracks, rig), device=tracks.first.device)
    _, number = tracks.first.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    found: Tensor = views[number % len(views)]
    return found


def fit_factor(
    features: Tensor, claimed: Tensor, residual: Tensor, spread: Tensor, width: float, shared: float
) -> Tensor:
    """Fit the factor on claimed covariances to the detections of views that had no part.

    A residual is a sum of the prediction's error and the detection's, which is good, poor or gross.
    How many are of which kind, and how large they are, is fitted too: the shares tell nothing about
    the prediction, and the same detections with surer predictions tell both apart.

    Args:
        features: (n, F) about each prediction, one of them constant.
        claimed: (n, 2, 2) covariance of the prediction in the image [px^2].
        residual: (n, 2) [px].
        spread: (n,) of a good detection [px].
        width: Image width [px].
        shared: Frames that share an error.

    Returns:
        (F,) weights of the log factor, float64.
    """
    x = features.double()
    weights = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device, requires_grad=True)
    shares = torch.tensor(SHARES, dtype=torch.float64, device=x.device).log().requires_grad_()
    scales = torch.zeros(len(CORE), dtype=torch.float64, device=x.device, requires_grad=True)
    prior = x.shape[1] * x.square().mean(0) / PRIOR_STD**2
    core = torch.tensor(CORE, dtype=torch.float64, device=x.device)
    wide = torch.tensor(WIDE, dtype=torch.float64, device=x.device) * width
    C, r = claimed.double(), residual.double()
    optimiser = torch.optim.LBFGS(
        [weights, shares, scales], max_iter=_STEPS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        factor = (x @ weights).clamp(-4, 4).exp()
        good = spread.double()[:, None] * core * scales.exp()
        variance = torch.cat([good, wide.expand(len(x), -1)], 1).square()  # (n, kinds)
        a, b, c = ((factor * y).unsqueeze(1) for y in (C[:, 0, 0], C[:, 0, 1], C[:, 1, 1]))
        a, c = a + variance, c + variance
        det = a * c - b * b
        square = (c * r[:, :1].square() - 2 * b * r[:, :1] * r[:, 1:] + a * r[:, 1:].square()) / det
        log = shares.log_softmax(0) - det.log() / 2 - square / 2 - math.log(2 * math.pi)
        loss = (
            -log.logsumexp(1).sum() / shared
            + (prior * weights.square()).sum() / 2
            + scales.square().sum()
        )
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()
