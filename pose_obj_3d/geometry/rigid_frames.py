"""Poses of right-angled frames from three of their points, with the covariance of the pose.

A frame is given by its origin and one point on its x axis and one on its y axis, as the keypoint
group `frames` has them. `*` is any batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.multi_view import check_shape

_STEPS = 6
_PRIOR = 1e-9  # of the largest information: points that coincide leave an angle open


@dataclass(frozen=True)
class FramePoses:
    """Poses of frames.

    Attributes:
        rotation: (*, 3, 3) frame to world.
        position: (*, 3) of the origin, in the unit of the points.
        covariance: (*, 6, 6) of (rotation vector [rad], position), both in world axes: the true
            rotation is exp(error) @ rotation. NaN where a point has no covariance.
    """

    rotation: Tensor
    position: Tensor
    covariance: Tensor


def fit_frames(points: Tensor, lengths: Tensor, covariance: Tensor | None = None) -> FramePoses:
    """Fit poses to lifted points, weighted by their covariances.

    The start is the rigid fit by singular values (Kabsch); Gauss-Newton steps on rotation and
    position then minimise the squared Mahalanobis distances. Errors of the three points count as
    independent.

    Args:
        points: (*, 3, 3) origin, point on the x axis, point on the y axis; NaN gives NaN.
        lengths: (2,) or (*, 2) distance of the last two from the origin, same unit.
        covariance: (*, 3, 3, 3) of each point; where it is None, or NaN for one of the three,
            all three count alike and the pose has no covariance.

    Returns:
        Poses in float64.

    Raises:
        PoseObj3DError: wrong shapes.
    """
    check_shape(points, "* 3 3", "points")
    check_shape(lengths, "* 2", "lengths")
    x = points.double()
    batch = x.shape[:-2]
    model = _model(lengths.double().to(x.device)).expand(*batch, 3, 3)
    eye = torch.eye(3, dtype=x.dtype, device=x.device)
    C = eye.expand(*batch, 3, 3, 3) if covariance is None else covariance.double()
    is_whole = x.isfinite().all(-1).all(-1)
    is_claimed = C.isfinite().flatten(-3).all(-1)
    x = torch.where(is_whole[..., None, None], x, model)
    C = torch.where(is_claimed[..., None, None, None], C, eye)
    W = torch.linalg.inv(C)
    R, p = _kabsch(model, x)
    for _ in range(_STEPS):
        step, _ = _solve(model, x, W, R, p)
        R, p = torch.linalg.matrix_exp(_cross(step[..., :3])) @ R, p + step[..., 3:]
    _, information = _solve(model, x, W, R, p)
    found = torch.linalg.inv(information)
    is_known = is_whole & is_claimed & (covariance is not None)
    return FramePoses(
        torch.where(is_whole[..., None, None], R, torch.nan),
        torch.where(is_whole[..., None], p, torch.nan),
        torch.where(is_known[..., None, None], found, torch.nan),
    )


def turn_between(a: Tensor, b: Tensor) -> Tensor:
    """Return the rotation vectors (*, 3) [rad] that turn b into a, both (*, 3, 3)."""
    R = a.double() @ b.double().transpose(-1, -2)
    axis = torch.stack([R[..., 2, 1], R[..., 0, 2], R[..., 1, 0]], -1)
    axis = axis - torch.stack([R[..., 1, 2], R[..., 2, 0], R[..., 0, 1]], -1)
    twice_sine = axis.norm(dim=-1)
    twice_cosine = R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1
    angle = torch.atan2(twice_sine, twice_cosine)
    # Near 180 degrees the sine vanishes: the axis is the largest column of R + 1.
    halved = R + torch.eye(3, dtype=R.dtype, device=R.device)
    column = halved.norm(dim=-2).nan_to_num().argmax(-1)
    index = column[..., None, None].expand(*halved.shape[:-1], 1)
    other = torch.nn.functional.normalize(halved.gather(-1, index).squeeze(-1), dim=-1)
    is_small = twice_sine < 1e-9
    direction = axis / torch.where(is_small, torch.ones_like(angle), twice_sine)[..., None]
    is_half_turn = (is_small & (twice_cosine < 0))[..., None]
    turned: Tensor = torch.where(is_half_turn, other, direction) * angle[..., None]
    return turned


def _model(lengths: Tensor) -> Tensor:
    """Return the points in the frame's own axes: (*, 3, 3)."""
    x, y = lengths.unbind(-1)
    o = torch.zeros_like(x)
    rows = [torch.stack(row, -1) for row in ((o, o, o), (x, o, o), (o, y, o))]
    return torch.stack(rows, -2)


def _kabsch(model: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    m, x = model.mean(-2, keepdim=True), points.mean(-2, keepdim=True)
    U, _, Vh = torch.linalg.svd((points - x).transpose(-1, -2) @ (model - m))
    turn = torch.ones_like(m.squeeze(-2))
    turn[..., 2] = torch.linalg.det(U @ Vh)
    R = U @ (turn.unsqueeze(-1) * Vh)
    return R, (x - m @ R.transpose(-1, -2)).squeeze(-2)


def _cross(w: Tensor) -> Tensor:
    """Return the matrices of the cross product w x: (*, 3) -> (*, 3, 3)."""
    x, y, z = w.unbind(-1)
    o = torch.zeros_like(x)
    rows = [torch.stack(row, -1) for row in ((o, -z, y), (z, o, -x), (-y, x, o))]
    return torch.stack(rows, -2)


def _solve(model: Tensor, x: Tensor, W: Tensor, R: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Return a Gauss-Newton step (*, 6) and the information (*, 6, 6) of the pose."""
    turned = model @ R.transpose(-1, -2)
    eye = torch.eye(3, dtype=x.dtype, device=x.device).expand(*turned.shape, 3)
    J = torch.cat([-_cross(turned), eye], -1)  # (*, 3 points, 3, 6)
    residual = x - turned - p.unsqueeze(-2)
    JW = J.transpose(-1, -2) @ W
    information = (JW @ J).sum(-3)
    largest = information.diagonal(dim1=-2, dim2=-1).amax(-1)[..., None, None]
    information = information + _PRIOR * largest * torch.eye(6, dtype=x.dtype, device=x.device)
    gradient = (JW @ residual.unsqueeze(-1)).sum(-3)
    return torch.linalg.solve(information, gradient).squeeze(-1), information
