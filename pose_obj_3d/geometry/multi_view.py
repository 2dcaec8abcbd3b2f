"""Batched multi-view geometry in PyTorch: projection, triangulation, averaging, error bounds.

Shapes: `*` is any batch, V views, T frames. Intrinsics (V, 3, 3) [px] and world-to-camera
extrinsics (V, 3, 4) [m] are OpenCV's and shared by the batch. A weight of 0 means that a
measurement must not influence the result; its coordinates may be anything finite. "Hartley,
Zisserman" is Multiple View Geometry, 2nd edition.
"""

import math
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.geometry.view_rows import seen_rows, sum_of_products

MAX_STEP_M = 0.3  # a Gauss-Newton step beyond this comes from a near-singular system
MIN_DEPTH_M = 1e-3
_QUADRATURE_NODES = 96


def check_shape(x: Tensor, spec: str, name: str) -> None:
    """Raise PoseObj3DError unless x has the shape `spec`.

    Args:
        x: Any tensor.
        spec: Axes separated by blanks: a number is checked, a word is free, a leading `*` is any
            batch.
        name: Names the argument in the message.
    """
    axes = spec.split()
    is_batched = axes[:1] == ["*"]
    tail = axes[1:] if is_batched else axes
    shape = tuple(x.shape)
    fits = len(shape) >= len(tail) if is_batched else len(shape) == len(tail)
    shown = shape[len(shape) - len(tail) :]
    if not fits or any(a.isdigit() and int(a) != n for a, n in zip(tail, shown, strict=True)):
        raise PoseObj3DError(f"{name} must have shape ({spec}), found {shape}")


def normalise_uv(uv: Tensor, intrinsics: Tensor) -> Tensor:
    """Convert pixels to normalised camera coordinates (x/z, y/z).

    Args:
        uv: (*, V, 2) [px].
        intrinsics: (V, 3, 3) [px]; no skew.

    Returns:
        (*, V, 2), no unit.
    """
    check_shape(uv, "* V 2", "uv")
    centre = intrinsics[:, :2, 2]
    focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], -1)
    normalised: Tensor = (uv - centre) / focal
    return normalised


def project(xyz_world: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Project points into every view (Hartley, Zisserman 6.1).

    Args:
        xyz_world: (*, 3) [m].
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].

    Returns:
        uv (*, V, 2) [px] and depth (*, V) along the camera's z axis [m].
    """
    check_shape(xyz_world, "* 3", "xyz_world")
    P = intrinsics @ extrinsics
    p = torch.einsum("vij,...j->...vi", P[:, :, :3], xyz_world) + P[:, :, 3]
    depth = p[..., 2]
    # A point at or behind the camera has no image; the clamp keeps the result and its gradient
    # finite.
    return p[..., :2] / depth.clamp_min(MIN_DEPTH_M).unsqueeze(-1), depth


def projection_jacobian(
    xyz_world: Tensor, intrinsics: Tensor, extrinsics: Tensor
) -> tuple[Tensor, Tensor]:
    """Project and differentiate.

    Returns:
        uv (*, V, 2) [px] and J (*, V, 2, 3) = d uv / d xyz [px/m].
    """
    P = intrinsics @ extrinsics
    uv, depth = project(xyz_world, intrinsics, extrinsics)
    rows = P[:, :2, :3] - uv.unsqueeze(-1) * P[:, 2:3, :3]  # (*, V, 2, 3)
    return uv, rows / depth.clamp_min(MIN_DEPTH_M)[..., None, None]


def is_in_front(xyz_world: Tensor, extrinsics: Tensor) -> Tensor:
    """Return which views have a point before them: (*, 3) [m], (V, 3, 4) -> (*, V) bool."""
    depth = torch.einsum("vj,...j->...v", extrinsics[:, 2, :3], xyz_world) + extrinsics[:, 2, 3]
    return depth > MIN_DEPTH_M


def count_views(weights: Tensor) -> Tensor:
    """Count usable views: weights (*, V) -> (*) int64."""
    count: Tensor = (weights > 0).sum(-1)
    return count


def triangulate_dlt(uv: Tensor, weights: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> Tensor:
    """Triangulate linearly, by the smallest singular vector of the stacked rows.

    Hartley, Zisserman 12.2. The rows are built in normalised camera coordinates, so that their
    entries are of order one, and the vector is found as the smallest eigenvector of the 4 x 4
    normal matrix: 20 times faster than a batched SVD and, in float64, as good.

    Args:
        uv: (*, V, 2) [px].
        weights: (*, V), 0 = unused.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].

    Returns:
        xyz_world (*, 3) [m], NaN where fewer than two views are usable.
    """
    check_shape(uv, "* V 2", "uv")
    xy = normalise_uv(uv, intrinsics).double()
    P = extrinsics.double()
    rows = xy.unsqueeze(-1) * P[:, 2:3] - P[:, :2]  # (*, V, 2, 4)
    rows = rows * weights.double()[..., None, None]
    normal = torch.einsum("...vri,...vrj->...ij", rows, rows)
    smallest: Tensor = torch.linalg.eigh(normal).eigenvectors[..., 0]  # (*, 4)
    w = smallest[..., 3:]
    xyz: Tensor = smallest[..., :3] / torch.where(w.abs() < 1e-12, torch.full_like(w, 1e-12), w)
    few = (count_views(weights) < 2).unsqueeze(-1)
    xyz = xyz.masked_fill(few, math.nan)
    return xyz.to(uv.dtype)


def invert_3x3(m: Tensor) -> Tensor:
    """Invert (*, 3, 3) by cofactors: 10 times faster in small batches than LAPACK."""
    if m.requires_grad and torch.is_grad_enabled():
        found: Tensor = _Inverse.apply(m)  # type: ignore[no-untyped-call]
        return found
    return _inverse(m)


class _Inverse(torch.autograd.Function):
    """Its gradient takes two products of matrices, that of the cofactors a hundred small steps."""

    @staticmethod
    def forward(ctx: Any, m: Tensor) -> Tensor:
        inverse = _inverse(m)
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        transposed = inverse.transpose(-1, -2)
        found: Tensor = transposed @ (-grad) @ transposed
        return found


def _inverse(m: Tensor) -> Tensor:
    # Long rows of equal entries, and all cofactors at once from a matrix that repeats itself.
    entries = m.reshape(-1, 3, 3).permute(1, 2, 0)
    rows = torch.cat([entries, entries[:2]])
    e = torch.cat([rows, rows[:, :2]], 1)  # (5, 5, n)
    cofactors = torch.addcmul(e[1:4, 1:4] * e[2:5, 2:5], e[1:4, 2:5], e[2:5, 1:4], value=-1)
    determinant = (e[0, :3] * cofactors[0]).sum(0)
    return (cofactors / determinant).permute(2, 1, 0).reshape(m.shape)


def solve_information(S: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Solve for the mean, entry by entry from the upper triangle, as `invert_3x3` does.

    Args:
        S: (3, 4, *) information times mean, and information.

    Returns:
        The entries of the mean and those of the covariance's upper triangle, row by row, each (*);
        infinite or NaN without information.
    """
    y, (a, b, c), (d, e), f = S[:, 0], S[0, 1:], S[1, 2:], S[2, 3]
    A, B, C = (
        torch.addcmul(p * q, r, s, value=-1)
        for p, q, r, s in ((d, f, e, e), (c, e, b, f), (b, e, c, d))
    )
    D, E, F = (
        torch.addcmul(p * q, r, s, value=-1)
        for p, q, r, s in ((a, f, c, c), (b, c, a, e), (a, d, b, b))
    )
    scale = torch.addcmul(torch.addcmul(a * A, b, B), c, C).reciprocal()
    A, B, C, D, E, F = (cofactor * scale for cofactor in (A, B, C, D, E, F))
    rows = ((A, B, C), (B, D, E), (C, E, F))
    mean = [torch.addcmul(torch.addcmul(p * y[0], q, y[1]), r, y[2]) for p, q, r in rows]
    return mean, [A, B, C, D, E, F]


def huber_weights(residual_px: Tensor, huber_px: float) -> Tensor:
    """Return the IRLS weights of the Huber loss: residual (*, 2) [px] -> (*) in (0, 1]."""
    weights: Tensor = huber_px / residual_px.norm(dim=-1).clamp_min(huber_px)
    return weights


def refine_ml(
    xyz_world: Tensor,
    uv: Tensor,
    weights: Tensor,
    intrinsics: Tensor,
    extrinsics: Tensor,
    iterations: int = 8,
    huber_px: float | None = None,
) -> Tensor:
    """Minimise the (robust) reprojection error by Gauss-Newton from a start.

    Without `huber_px` this is the maximum likelihood estimate under equal Gaussian noise. With it,
    residuals longer than `huber_px` are reweighted (IRLS for the Huber loss).

    Args:
        xyz_world: (*, 3) start [m]; NaN stays NaN.
        uv: (*, V, 2) [px].
        weights: (*, V), 0 = unused.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        iterations: Number of steps; 3 suffice at 1 px noise, Huber needs more.
        huber_px: Residual length where the loss turns linear [px].

    Returns:
        xyz_world (*, 3) [m].
    """
    V = uv.shape[-2]
    # Views first and entry by entry: sums over long rows, 4 times faster than small matrices.
    u, v = uv.expand(*xyz_world.shape[:-1], V, 2).movedim((-1, -2), (0, 1)).contiguous()
    w = weights.expand(*xyz_world.shape[:-1], V).movedim(-1, 0).contiguous()
    P = (intrinsics @ extrinsics).permute(1, 2, 0)  # (3, 4, V)
    P = P[(...,) + (None,) * (xyz_world.dim() - 1)]
    x = xyz_world.movedim(-1, 0)
    for _ in range(iterations):
        x = x + _gauss_newton_step(x, u, v, w, P, huber_px)
    return x.movedim(0, -1)


def _gauss_newton_step(
    x: Tensor, u: Tensor, v: Tensor, weights: Tensor, P: Tensor, huber_px: float | None
) -> Tensor:
    """Return a step (3, *) of points x (3, *) seen at u, v (V, *) with weights (V, *).

    The camera matrices P are (3, 4, V, *).
    """
    seen = [row[0] * x[0] + row[1] * x[1] + row[2] * x[2] + row[3] for row in P]
    scale = seen[2].clamp_min(MIN_DEPTH_M).reciprocal()
    residuals, jacobians = [], []
    for seen_at, row, at in ((seen[0] * scale, P[0], u), (seen[1] * scale, P[1], v)):
        residuals.append(at - seen_at)
        jacobians.append(
            [torch.addcmul(row[i], seen_at, P[2, i], value=-1) * scale for i in range(3)]
        )
    w = weights
    if huber_px is not None:
        w = weights * (huber_px / torch.hypot(*residuals).clamp_min(huber_px))
    (a, b), (r, s) = jacobians, residuals
    S = x.new_zeros(3, 4, *x.shape[1:])
    for i in range(3):
        wa, wb = w * a[i], w * b[i]
        S[i, 0] = torch.addcmul(wa * r, wb, s).sum(0)
        for j in range(i, 3):
            S[i, 1 + j] = torch.addcmul(wa * a[j], wb, b[j]).sum(0)
    ridge = 1e-9 * (S[0, 1] + S[1, 2] + S[2, 3]) + 1e-12
    for i in range(3):
        S[i, 1 + i] += ridge
    step = torch.stack(solve_information(S)[0])
    length = step.square().sum(0).sqrt()
    return step * (MAX_STEP_M / length.clamp_min(MAX_STEP_M))


def information(
    xyz_world: Tensor, weights: Tensor, intrinsics: Tensor, extrinsics: Tensor, sigma_px: float
) -> Tensor:
    """Compute the Fisher information of a point seen with Gaussian noise: sum of J^T J / sigma^2.

    Args:
        xyz_world: (*, 3) where the projection is linearised [m].
        weights: (*, V), 0 = unused, 1 = noise of sigma_px.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        sigma_px: Noise per coordinate [px].

    Returns:
        (*, 3, 3) [1/m^2]; its inverse is the Cramer-Rao bound on the covariance.
    """
    P = intrinsics @ extrinsics
    seen, w = seen_rows(xyz_world, weights, P)
    scale = seen[2].clamp_min(MIN_DEPTH_M).reciprocal()
    # Behind a camera the clamped depth would make J huge: one gross error would claim to know a
    # point to nanometres.
    w = w * (seen[2] > MIN_DEPTH_M) / sigma_px**2
    a, b = (
        [torch.addcmul(P[:, r, i, None], at, P[:, 2, i, None], value=-1) * scale for i in range(3)]
        for r, at in enumerate((seen[0] * scale, seen[1] * scale))
    )
    return sum_of_products(a, b, w, xyz_world.shape[:-1])


def averaging_bias(
    xyz_world: Tensor, weights: Tensor, intrinsics: Tensor, extrinsics: Tensor, sigma_px: float
) -> Tensor:
    """Compute what to subtract from triangulated points before averaging them by their information.

    A point triangulated nearer to the cameras than it is also claims more information, so the
    weighted mean of many frames of a still point does not converge to it. To second order in the
    noise, with the Jacobian row J and the Hessian H of each coordinate, W = weight / sigma^2 and C
    = (sum W J^T J)^-1, the moment I x of a maximum likelihood estimate is off by E[(dI) e] + I b,
    with e its error and b = -C sum W J tr(H C) / 2 its bias (Box 1971):

        sum W (H C J^T + J^T tr(H C) / 2)

    Args:
        xyz_world: (*, 3) triangulated [m].
        weights: (*, V), 0 = unused, 1 = noise of sigma_px.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        sigma_px: Noise per coordinate [px].

    Returns:
        (*, 3) [m]: C times that; 0 with fewer than two views.
    """
    seen, w = seen_rows(xyz_world, weights, extrinsics)
    W, z = w / sigma_px**2, seen[2]
    # With e the camera's rows and p = e_r - (x_r / z) e_z, the row of J is f / z p, and
    # H = -f / z^2 (p e_z^T + e_z p^T). So the sum is that of -W f^2 / z^3 (2 p e_z^T C p +
    # e_z p^T C p).
    e = extrinsics[:, :, :3, None]  # (V, 3, 3, 1)
    p = [[e[:, r, i] - seen[r] / z * e[:, 2, i] for i in range(3)] for r in range(2)]
    factor = [intrinsics[:, r, r, None] / z for r in range(2)]
    J = [[f * x for x in row] for f, row in zip(factor, p, strict=True)]
    info = sum_of_products(J[0], J[1], W, xyz_world.shape[:-1])
    few = (count_views(weights) < 2)[..., None, None]
    eye = torch.eye(3, dtype=info.dtype, device=info.device)
    C = invert_3x3(torch.where(few, eye, info))
    c = C.reshape(-1, 3, 3).permute(1, 2, 0)  # (3, 3, n)
    moment = [torch.zeros_like(z[0])] * 3
    for row, f in zip(p, factor, strict=True):
        Cp = [c[i, 0] * row[0] + c[i, 1] * row[1] + c[i, 2] * row[2] for i in range(3)]
        across = e[:, 2, 0] * Cp[0] + e[:, 2, 1] * Cp[1] + e[:, 2, 2] * Cp[2]
        along = row[0] * Cp[0] + row[1] * Cp[1] + row[2] * Cp[2]
        scale = -W * f.square() / z
        moment = [
            moment[i] + (scale * (2 * row[i] * across + e[:, 2, i] * along)).sum(0)
            for i in range(3)
        ]
    bias = (C @ torch.stack(moment, -1).reshape(*xyz_world.shape, 1)).squeeze(-1)
    return torch.where(few.squeeze(-1), 0.0, bias)


def weighted_mean(xyz_world: Tensor, info: Tensor) -> tuple[Tensor, Tensor]:
    """Average frames by their information matrices: the optimum for a point that does not move.

    Args:
        xyz_world: (*, T, 3) [m]; frames without information may hold anything finite.
        info: (*, T, 3, 3) [1/m^2]; 0 excludes a frame (padded or with fewer than two views).

    Returns:
        Mean (*, 3) [m], NaN where no frame has information, and its information (*, 3, 3).
    """
    total = info.sum(-3)
    moment = torch.einsum("...tij,...tj->...i", info, xyz_world)
    mean = (invert_3x3(total) @ moment.unsqueeze(-1)).squeeze(-1)
    return mean, total


def expected_error(info: Tensor) -> Tensor:
    """Return E|e| for e ~ N(0, info^-1): the Cramer-Rao bound in the units of MPJPE.

    With the eigenvalues l_i of the covariance, E|e| = 1/sqrt(pi) * integral over u > 0 of
    (1 - prod_i (1 + 2 l_i u^2)^(-1/2)) / u^2 (from sqrt(q) as an integral of 1 - exp(-s q)); the
    substitution u = x / (1 - x) makes it finite on (0, 1), where Gauss-Legendre with 96 nodes is
    exact to 1e-6 relative.

    Args:
        info: (*, 3, 3) positive definite [1/m^2].

    Returns:
        (*) [m].
    """
    check_shape(info, "* 3 3", "info")
    variances = 1 / torch.linalg.eigvalsh(info.double()).clamp_min(1e-12)  # (*, 3)
    scale = variances.amax(-1, keepdim=True)
    nodes, node_weights = _gauss_legendre(_QUADRATURE_NODES)
    nodes, node_weights = nodes.to(info.device), node_weights.to(info.device)
    u2 = (nodes / (1 - nodes)).square()
    phi = (1 + 2 * (variances / scale).unsqueeze(-1) * u2).rsqrt().prod(-2)  # (*, nodes)
    integral = ((1 - phi) / nodes.square() * node_weights).sum(-1)
    error: Tensor = integral * scale.squeeze(-1).sqrt() / math.sqrt(math.pi)
    return error.to(info.dtype)


def _gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Return nodes and weights on (0, 1): eigenvalues of the Jacobi matrix (Golub, Welsch 1969)."""
    k = torch.arange(1, n, dtype=torch.float64)
    beta = k / (4 * k * k - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(beta, 1) + torch.diag(beta, -1))
    return (values + 1) / 2, vectors[0].square()
