"""What moves together: the displacement of one keypoint from those of the others on its body."""

import torch
from torch import Tensor

from pose_obj_3d import geometry


def rigid_displacement(
    delta: Tensor, info: Tensor, weight: Tensor, position: Tensor, prior: Tensor, turn_info: Tensor
) -> tuple[Tensor, Tensor]:
    """Fit a small rigid motion to displacements of keypoints j, as each keypoint k sees them, and read it at k.

    The motion u(r) = v + omega x (r - r_k) that is most likely given the displacements and a prior:
    v ~ N(0, prior^-1), omega ~ N(0, 1 / turn_info). omega is eliminated by its Schur complement.

    Args:
        delta: (B, K, K, 3) displacement of keypoint j for keypoint k, at [b, k, j] [m].
        info: (B, K, 3, 3) information of a displacement of keypoint j at weight 1 [1/m^2].
        weight: (B, K, K) how much k believes j; 0 = not at all.
        position: (B, K, 3) of the keypoints; any common origin [m].
        prior: (B, K, 3, 3) information of v before [1/m^2].
        turn_info: (B, K) information of omega before [1/rad^2].

    Returns:
        v (B, K, 3) [m] and its covariance (B, K, 3, 3) [m^2].
    """
    # float64: the sums hold squares of lever arms about the origin, from which those about r_k are made.
    delta, info, weight, r, prior = (x.double() for x in (delta, info, weight, position, prior))
    r = r - r.mean(1, keepdim=True)
    J = -_cross_matrix(r)  # omega -> omega x r
    U = torch.einsum("bkj,bjxy->bkxy", weight, info)
    UJ = torch.einsum("bkj,bjxy->bkxy", weight, info @ J)
    JUJ = torch.einsum("bkj,bjxy->bkxy", weight, J.transpose(-1, -2) @ info @ J)
    y = weight.unsqueeze(-1) * torch.einsum("bjxy,bkjy->bkjx", info, delta)
    moment = y.sum(2)
    torque = torch.linalg.cross(r.unsqueeze(1).expand_as(y), y).sum(2) - torch.linalg.cross(r, moment)
    # About r_k: J_j - J_k takes the place of J_j.
    side = UJ - U @ J
    turn = JUJ - J.transpose(-1, -2) @ UJ - UJ.transpose(-1, -2) @ J + J.transpose(-1, -2) @ U @ J
    eye = torch.eye(3, dtype=turn.dtype, device=turn.device)
    gain = side @ geometry.invert_3x3(turn + eye * turn_info.double()[..., None, None])
    covariance = geometry.invert_3x3(U - gain @ side.transpose(-1, -2) + prior)
    v = covariance @ (moment - (gain @ torque.unsqueeze(-1)).squeeze(-1)).unsqueeze(-1)
    return v.squeeze(-1).float(), covariance.float()


def _cross_matrix(r: Tensor) -> Tensor:
    """Return (*, 3, 3) with [r] x = r x x."""
    zero = torch.zeros_like(r[..., 0])
    x, y, z = r.unbind(-1)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*r.shape, 3)
