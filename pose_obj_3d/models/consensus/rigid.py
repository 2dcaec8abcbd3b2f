"""What moves together: the displacement of one keypoint from those of the others on its body."""

from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.geometry import symmetric
from pose_obj_3d.models.consensus.layers import sum_of_products


def rigid_displacement(
    force: Tensor, weight: Tensor, info: Tensor, position: Tensor, prior: Tensor, turn_info: Tensor
) -> tuple[Tensor, Tensor]:
    """Predict each keypoint's displacement from those of the others, moved as one rigid body.

    For each keypoint k, a small rigid motion is fitted to the displacements of the keypoints j, as
    k sees them, and read at k. The motion u(r) = v + omega x (r - r_k) that is most likely given
    the displacements and a prior: v ~ N(0, prior^-1), omega ~ N(0, 1 / turn_info). omega is
    eliminated by its Schur complement.

    Entries come first and windows last; symmetric matrices are those of `geometry.symmetric`.

    Args:
        force: (3, K, n, K, B) information of j times the displacement i of keypoint j for keypoint
            k, at [:, j, i, k, b] [1/m].
        weight: (K, n, K, B) how much k believes j, at [j, i, k, b]; 0 = not at all.
        info: (6, K, B) information of a displacement of keypoint j at weight 1 [1/m^2].
        position: (3, K, B) of the keypoints; any common origin [m].
        prior: (6, n, K, B) information of v before [1/m^2].
        turn_info: (n, K, B) information of omega before [1/rad^2].

    Returns:
        v (3, n, K, B) [m] and its covariance (6, n, K, B) [m^2].
    """
    v, covariance = _Rigid.apply(force, weight, info, position, prior, turn_info)  # type: ignore[no-untyped-call]
    return v, covariance


class _Rigid(torch.autograd.Function):
    """The gradient by hand: a few long rows in place of a hundred small steps.

    `info` and `position` get none: they are data.
    """

    @staticmethod
    def forward(
        ctx: Any,
        force: Tensor,
        weight: Tensor,
        info: Tensor,
        r: Tensor,
        prior: Tensor,
        turn: Tensor,
    ) -> tuple[Tensor, Tensor]:
        # float64: the sums hold squares of lever arms about the origin, from which those about r_k
        # are made.
        force, weight, info, r, prior, turn = (
            x.double() for x in (force, weight, info, r, prior, turn)
        )
        r = r - r.mean(1, keepdim=True)
        # J: omega -> omega x r; its columns are the axes x r, and J^T f = r x f.
        eye = torch.eye(3, dtype=r.dtype, device=r.device)
        J = _cross(eye[..., None, None], r.unsqueeze(1))  # (3, column, K, B)
        info_J = symmetric.apply(info.unsqueeze(1), J)
        parts = torch.cat(
            [info, info_J.flatten(0, 1), symmetric.pack(_cross(r.unsqueeze(1), info_J))]
        )
        sums = sum_of_products(parts.transpose(0, 1)[..., None, None, :], weight.unsqueeze(1))
        U, UJ, JUJ = sums[:6], sums[6:15].view(3, 3, *sums.shape[1:]), sums[15:]
        pull = force * weight
        moment, torque = pull.sum(1), _cross(r[:, :, None, None], pull).sum(1)
        # About r_k: J_j - J_k takes the place of J_j.
        at = r.unsqueeze(1)
        torque = torque - _cross(at, moment)
        side = UJ - symmetric.apply(U.unsqueeze(1), J.unsqueeze(2))
        # J^T UJ + (J^T UJ)^T - J^T U J, of the lever arm of k.
        own = _cross(at.unsqueeze(1), UJ + side)
        turned = JUJ - symmetric.pack(own + own.transpose(0, 1)) / 2
        spread = symmetric.invert(symmetric.add_to_diagonal(turned, turn))
        gain = symmetric.apply(spread.unsqueeze(1), side.transpose(0, 1)).transpose(0, 1)
        lost = symmetric.pack(_product(gain, side.transpose(0, 1)))
        covariance = symmetric.invert(U - lost + prior)
        v = symmetric.apply(covariance, moment - _product(gain, torque))
        turned_by = symmetric.apply(spread, torque)
        ctx.save_for_backward(force, weight, parts, r, v, covariance, gain, turned_by)
        return v.float(), covariance.float()

    @staticmethod
    def backward(ctx: Any, grad_v: Tensor, grad_covariance: Tensor) -> tuple[Tensor | None, ...]:
        force, weight, parts, r, v, covariance, gain, turned_by = ctx.saved_tensors
        of_covariance = symmetric.scale_off_diagonal(
            grad_covariance.to(torch.float64, copy=True), 1 / 2
        )
        of_moment = symmetric.apply(covariance, grad_v.double())
        of_info = -symmetric.between(covariance, of_covariance)
        of_info -= symmetric.symmetric_outer(of_moment, v)
        of_prior = symmetric.scale_off_diagonal(of_info.clone(), 2)
        gained = symmetric.apply(of_info.unsqueeze(1), gain)
        slack = _product(gain.transpose(0, 1), of_moment)
        of_side = -2 * gained - of_moment.unsqueeze(1) * turned_by
        of_turn = symmetric.pack(_product(gain.transpose(0, 1), gained))
        of_turn += symmetric.symmetric_outer(slack, turned_by)
        of_turn_info = of_turn[list(symmetric.DIAGONAL)].sum(0)
        # From lever arms about r_k back to those about the origin.
        at = r.unsqueeze(1)
        of_moment = of_moment + _cross(slack, at)
        twisted = _cross(symmetric.unpack(of_turn), at.unsqueeze(1))
        levered = _cross((twisted - of_side).transpose(0, 1), at.unsqueeze(1))
        of_info = of_info + symmetric.pack(levered + levered.transpose(0, 1)) / 2
        symmetric.scale_off_diagonal(of_info, 2)
        symmetric.scale_off_diagonal(of_turn, 2)
        of_sums = torch.cat([of_info, (of_side - 2 * twisted).flatten(0, 1), of_turn])
        of_pull = of_moment.unsqueeze(1) - _cross(slack.unsqueeze(1), r[:, :, None, None])
        of_weight = sum_of_products(parts[..., None, None, :], of_sums.unsqueeze(1))
        of_weight += (force * of_pull).sum(0)
        return (
            (weight * of_pull).float(),
            of_weight.float(),
            None,
            None,
            of_prior.float(),
            of_turn_info.float(),
        )


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Return a x b, entries first; the other axes broadcast."""
    p, q = a.unbind(0), b.unbind(0)
    pairs = ((1, 2), (2, 0), (0, 1))
    return torch.stack([torch.addcmul(p[i] * q[j], p[j], q[i], value=-1) for i, j in pairs])


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Return A B or A v: (3, 3, *) times (3, n, *) or (3, *)."""
    n = b.dim() - a.dim() + 1
    A = (a if n == 0 else a.unsqueeze(2)).unbind(1)
    x, y, z = b.unbind(0)
    return torch.addcmul(torch.addcmul(A[0] * x, A[1], y), A[2], z)
