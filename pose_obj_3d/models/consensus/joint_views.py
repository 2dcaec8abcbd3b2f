"""How far a point with a covariance is from what all views measure of it, with its gradient."""

from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry import symmetric

BEHIND_SIGMAS = 300.0  # residual of a prediction behind the camera, in noise standard deviations


def joint(
    x: Tensor, info: Tensor, uv: Tensor, w: Tensor, cameras: tuple[Tensor, Tensor], sigma_px: float
) -> tuple[Tensor, Tensor]:
    """Join a prediction's information with that of the views; entries first, windows last.

    With residuals r and the derivatives J of the projection, both in standard deviations of the
    noise, T = info + J^T W J and b = J^T W r.

    Args:
        x: (3, K, B) predicted [m].
        info: (6, K, B) claimed for it [1/m^2].
        uv: (2, V, K, B) measured [px]; gets no gradient.
        w: (V, K, B), 0 = unused; gets no gradient.
        cameras: intrinsics (V, 3, 3) [px], extrinsics (V, 3, 4) world to camera [m].
        sigma_px: Noise per coordinate [px].

    Returns:
        log |T| and the squared distance r^T W r - b^T T^-1 b, at least 0; each (K, B).
    """
    P = cameras[0] @ cameras[1]
    log_det, distance = _Joint.apply(x, info, uv, w, P, sigma_px)  # type: ignore[no-untyped-call]
    return log_det, distance


class _Joint(torch.autograd.Function):
    """The gradient by hand: a few long rows in place of hundreds of small steps."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, info: Tensor, uv: Tensor, w: Tensor, P: Tensor, sigma_px: float
    ) -> tuple[Tensor, Tensor]:
        seen = torch.einsum("vij,jkb->ivkb", P[:, :, :3], x) + P[:, :, 3].T[..., None, None]
        is_ahead = seen[2] > geometry.MIN_DEPTH_M
        scale = 1 / seen[2].clamp_min(geometry.MIN_DEPTH_M)
        predicted = seen[:2] * scale
        rows = P.permute(2, 1, 0)[:3, :, :, None, None]  # (3, 3, V, 1, 1): columns, rows
        J = (rows[:, :2] - predicted * rows[:, 2:]) * (scale / sigma_px)
        # A prediction behind a camera that sees the keypoint is as wrong as can be; no gradient
        # leads out of there.
        J = torch.where(is_ahead, J, 0.0)
        r = torch.where(is_ahead, (uv - predicted) / sigma_px, BEHIND_SIGMAS)
        JtW = J * w  # (3, 2, V, K, B)
        pairs = [JtW[i] * J[j] for i in range(3) for j in range(i, 3)]
        total = info + torch.stack(pairs).sum((1, 2))
        b = (JtW * r).sum((1, 2))
        inverse, determinant = symmetric.invert_with_determinant(total)
        u = symmetric.apply(inverse, b)
        distance = (r.square().sum(0) * w).sum(0) - (b * u).sum(0)
        # float32 cancels where residuals are huge, and a squared distance is not negative.
        ctx.save_for_backward(J, JtW, r, w, u, inverse, scale, rows[:, 2], distance >= 0)
        return symmetric.log_of(determinant), distance.clamp_min_(0)

    @staticmethod
    def backward(
        ctx: Any, of_log_det: Tensor, of_distance: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        J, JtW, r, w, u, inverse, scale, third, is_positive = ctx.saved_tensors
        g = of_distance * is_positive
        of_matrix = of_log_det * inverse
        # With the row p of P that gives the depth, dJ_i / dx_k = -scale (J_k p_i + J_i p_k).
        along = (J * u[:, None, None]).sum(0)  # (2, V, K, B)
        left = g * (r - along)
        turned = symmetric.apply(of_matrix[:, None, None], J)
        by_depth = (turned * third[:, None]).sum(0) - left * (u[:, None] * third).sum(0)
        own = ((turned * J).sum(0) - left * along).sum(0)
        of_x = (JtW * (left + scale * by_depth)).sum((1, 2))
        of_x += (third * (scale * w * own)).sum(1)
        # Off the diagonal, an entry of (6, *) stands for two of the matrix.
        of_info = symmetric.scale_off_diagonal(of_matrix.addcmul_(g, symmetric.outer(u)), 2)
        return of_x.mul_(-2), of_info, None, None, None, None
