"""What moves together: the displacement of one keypoint from those of the others on its body."""

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry


def rigid_displacement(
    delta: Tensor, info: Tensor, weight: Tensor, position: Tensor, prior: Tensor, turn_info: Tensor
) -> tuple[Tensor, Tensor]:
    """Predict each keypoint's displacement from those of the others, moved as one rigid body.

    For each keypoint k, a small rigid motion is fitted to the displacements of the keypoints j, as
    k sees them, and read at k. The motion u(r) = v + omega x (r - r_k) that is most likely given
    the displacements and a prior: v ~ N(0, prior^-1), omega ~ N(0, 1 / turn_info). omega is
    eliminated by its Schur complement.

    Args:
        delta: (B, K, 3, n, K) n displacements of keypoint j for keypoint k, at [b, j, :, i, k] [m].
        info: (B, K, 3, 3) information of a displacement of keypoint j at weight 1 [1/m^2].
        weight: (B, K, n, K) how much k believes j, at [b, j, i, k]; 0 = not at all.
        position: (B, K, 3) of the keypoints; any common origin [m].
        prior: (B, n, K, 3, 3) information of v before [1/m^2].
        turn_info: (B, n, K) information of omega before [1/rad^2].

    Returns:
        v (B, n, K, 3) [m] and its covariance (B, n, K, 3, 3) [m^2].
    """
    # float64: the sums hold squares of lever arms about the origin, from which those about r_k are
    # made.
    delta, info, weight, r, prior = (x.double() for x in (delta, info, weight, position, prior))
    n, K = weight.shape[2:]
    weight = weight.flatten(2)
    J = -_cross_matrix(r - r.mean(1, keepdim=True))  # omega -> omega x r
    info_J = info @ J
    # Force and torque of every displacement: (B, K, 6, n K); J^T f = r x f.
    pull = torch.cat([info, info_J], -1).transpose(-1, -2) @ delta.flatten(3)
    both = (pull * weight.unsqueeze(2)).sum(1).transpose(1, 2)
    moment, torque = torch.split(both.reshape(-1, n, K, 6), 3, -1)
    parts = torch.cat([x.flatten(2) for x in (info, info_J, J.transpose(-1, -2) @ info_J)], -1)
    U, UJ, JUJ = (weight.transpose(1, 2) @ parts).reshape(-1, n, K, 3, 3, 3).unbind(3)
    # About r_k: J_j - J_k takes the place of J_j.
    J = J.unsqueeze(1)
    torque = torque - (J.transpose(-1, -2) @ moment.unsqueeze(-1)).squeeze(-1)
    side, half = UJ - U @ J, J.transpose(-1, -2) @ UJ
    turn = JUJ - half - half.transpose(-1, -2) + J.transpose(-1, -2) @ U @ J
    eye = torch.eye(3, dtype=turn.dtype, device=turn.device)
    gain = side @ geometry.invert_3x3(turn + eye * turn_info.double()[..., None, None])
    covariance = geometry.invert_3x3(U - gain @ side.transpose(-1, -2) + prior)
    v = covariance @ (moment.unsqueeze(-1) - gain @ torque.unsqueeze(-1))
    return v.squeeze(-1).float(), covariance.float()


def _cross_matrix(r: Tensor) -> Tensor:
    """Return (*, 3, 3) with [r] x = r x x."""
    zero = torch.zeros_like(r[..., 0])
    x, y, z = r.unbind(-1)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*r.shape, 3)
