"""Which of many views of a point are sound: the consensus, and sets that differ by one view.

The same question as in `view_sets`, which triangulates each set anew: with V views that takes V^2
projections of each point. Here the sets are judged where the consensus lies: leaving out or adding
one view changes its normal equations by one term, so that V projections do. A point for which this
is no good approximation is left to `view_sets`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry import view_sets
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Errors, Scene, Verdict

# A set may move the point by this share of its distance to the nearest camera: the projection is
# then straight to the same share of the step. Sets that are out of the question may move it more.
MAX_STEP, MAX_STEP_UNLIKELY = 0.005, 0.1
_UNLIKELY = 1e-6  # probability of a set that is out of the question
_MIN_SHARE = 1e-4  # a set of views less probable than this adds no doubt


@dataclass(frozen=True)
class Weighed:
    """What the detections of n points say, all sets of views together.

    Attributes:
        xyz: (n, 3) from the most probable set [m].
        used: (n, V) 1 = the view is in that set.
        is_known: (n,) whether any set is possible.
        sound: (n, V) probability that the detection is sound.
        covariance: (n, 3, 3) of the point of the most probable set [m^2].
        doubt: (n, 3, 3) scatter of the sets' points around it [m^2].
    """

    xyz: Tensor
    used: Tensor
    is_known: Tensor
    sound: Tensor
    covariance: Tensor
    doubt: Tensor


def weigh(points: Tensor, errors: Errors, rig: Rig, scene: Scene) -> Weighed:
    """Weigh the sets of views of points (n, V, 2) [px] against each other.

    Args:
        points: (n, V, 2) [px].
        errors: How their detections may err.
        rig: The cameras; its `sigma_px` is not used.
        scene: Of `view_sets.describe_scene`.
    """
    if points.shape[1] <= view_sets.MAX_VIEWS_FOR_ALL_SETS:
        return _weigh_each(points, errors, rig, scene, None)
    base = view_sets.agreeing(points, errors, rig)
    found, is_near = _weigh_near(points, errors, rig, scene, base)
    rest = (~is_near).nonzero().squeeze(-1)
    if len(rest):
        of_rest = Errors(errors.variance[rest], errors.gross_rate[rest], errors.gross_scale)
        assert base.inliers is not None
        again = _weigh_each(points[rest], of_rest, rig, scene, base.inliers[rest])
        for name in Weighed.__dataclass_fields__:
            getattr(found, name)[rest] = getattr(again, name)
    return found


def _weigh_each(
    points: Tensor, errors: Errors, rig: Rig, scene: Scene, inliers: Tensor | None
) -> Weighed:
    """Triangulate every set; `inliers` (n, V) of the consensus, if it has been found."""
    fits = view_sets.fit_sets(points, errors, rig, inliers)
    verdict, fits = view_sets.judge(points, errors, rig, scene, fits)
    return _summed(verdict, fits.xyz, fits.members)


def _summed(verdict: Verdict, xyz: Tensor, members: Tensor) -> Weighed:
    best, number = verdict.share.argmax(0), torch.arange(xyz.shape[1], device=xyz.device)
    x, share = xyz[best, number], verdict.share[..., None]
    likely = share / verdict.share.sum(0)[:, None].clamp_min(1e-12)
    off = torch.where(likely > _MIN_SHARE, xyz - x, 0.0)
    return Weighed(
        x,
        members[best, number],
        verdict.share[best, number] > 0,
        torch.where(share > 0, share * members, 0.0).sum(0),
        verdict.covariance[best, number],
        (likely.unsqueeze(-1) * off.unsqueeze(-1) * off.unsqueeze(-2)).sum(0),
    )


@dataclass(frozen=True)
class _Sight:
    """Detections seen from the consensus; entries are rows over all points.

    Attributes:
        residual: (2, V, n) [px], 0 where missing.
        jacobian: (2, 3, V, n) [px/m], 0 where missing.
        precision: (V, n) [1/px^2], 0 where missing.
        there: (V, n) whether there is a detection.
        nearest: (n,) smallest depth in a view that has a detection [m].
    """

    residual: Tensor
    jacobian: Tensor
    precision: Tensor
    there: Tensor
    nearest: Tensor


def _look(points: Tensor, errors: Errors, rig: Rig, x: Tensor) -> _Sight:
    P = rig.intrinsics.double() @ rig.extrinsics.double()
    seen = (P[:, :, :3].reshape(-1, 3) @ x).reshape(len(P), 3, -1) + P[:, :, 3:]
    there = errors.is_there.T
    scale = seen[:, 2].clamp_min(geometry.MIN_DEPTH_M).reciprocal()
    residual, jacobian = [], []
    for axis in range(2):
        at = seen[:, axis] * scale
        residual.append(torch.where(there, points[..., axis].T - at, 0.0))
        rows = [
            torch.addcmul(P[:, axis, i, None], at, P[:, 2, i, None], value=-1) for i in range(3)
        ]
        jacobian.append(torch.stack(rows) * torch.where(there, scale, 0.0))
    depth = torch.where(there, seen[:, 2], torch.inf).amin(0)
    precision = errors.variance.T.reciprocal()
    return _Sight(torch.stack(residual), torch.stack(jacobian), precision, there, depth)


def _weigh_near(
    points: Tensor, errors: Errors, rig: Rig, scene: Scene, base: Estimate
) -> tuple[Weighed, Tensor]:
    """Judge the consensus (the first of S = V + 1 sets), and it without or with each view.

    Returns:
        What they say, and for which points (n,) it is near enough.
    """
    assert base.inliers is not None
    n, V = base.inliers.shape
    x = base.xyz.T.nan_to_num(0.0)
    sight = _look(points, errors, rig, x)
    member = (base.inliers.T > 0) & sight.there
    inside = member.to(x)
    sign = sight.there.to(x) - 2 * inside  # what toggling a view changes: 1, -1, 0 if missing
    # Normal equations [moment, information] of each view alone, of the consensus, of all sets.
    views = x.new_zeros(3, 4, V, n)
    for i in range(3):
        weighted = sight.precision * sight.jacobian[:, i]
        views[i, 0] = (weighted * sight.residual).sum(0)
        for j in range(i, 3):
            views[i, 1 + j] = (weighted * sight.jacobian[:, j]).sum(0)
    of_base = (views * inside).sum(2)
    normal = torch.cat([of_base[:, :, None], of_base[:, :, None] + sign * views], 2)
    prior = math.exp(-2 / 3 * scene.log_space)
    for i in range(3):
        normal[i, 1 + i] += prior
    mean, entries = geometry.solve_information(normal)
    step = torch.stack(mean)  # (3, S, n)
    count = inside.sum(0) + torch.cat([torch.zeros_like(sign[:1]), sign])
    is_whole = torch.cat([member.new_ones(1, n), sight.there]) & (count >= 2)
    sound, gross = _densities(sight, errors, step, inside, sign, of_base)
    together = sound + gross + _log_volume(normal) - scene.log_space
    together = torch.where(is_whole & together.isfinite(), together, -torch.inf)
    nothing = view_sets.none_sound(errors.gross_rate, sight.there.T.double(), scene)
    share = (together - torch.logsumexp(torch.cat([together, nothing[None]]), 0)).exp()
    limit = torch.where(share > _UNLIKELY, MAX_STEP, MAX_STEP_UNLIKELY) * sight.nearest
    is_far = is_whole & ~(step.square().sum(0).sqrt() < limit)
    is_near = ~is_far.any(0) & base.xyz.isfinite().all(-1) & is_whole[0]
    best, number = share.argmax(0), torch.arange(n, device=x.device)
    total = share.sum(0).clamp_min(1e-12)
    off = step - step[:, best, number][:, None]
    likely = torch.where(share > _MIN_SHARE * total, share / total, 0.0)
    doubt = torch.einsum("isn,sn,jsn->nij", off, likely, off)
    # A view is sound in all sets that it is in: those of the consensus, less those without it.
    sound_share = inside * share.sum(0) + sign * share[1:]
    toggled = torch.arange(V, device=x.device)[:, None] == best - 1
    used = torch.where(toggled, inside + sign, inside).T
    A, B, C, D, E, F = (entry[best, number] for entry in entries)
    covariance = torch.stack([A, B, C, B, D, E, C, E, F], -1).reshape(n, 3, 3)
    cameras = (rig.intrinsics.double(), rig.extrinsics.double())
    start = (x + step[:, best, number]).T
    # `precision` is that of detections in view; one more step makes the point of the set exact.
    xyz = geometry.refine_ml(start, points, used * sight.precision.T, *cameras, iterations=1)
    found = Weighed(xyz, used, share[best, number] > 0, sound_share.T, covariance, doubt)
    return found, is_near


def _log_volume(normal: Tensor) -> Tensor:
    """Return the logarithm of the volume (S, n) that the normal equations (3, 4, S, n) leave."""
    (a, b, c), (d, e), f = normal[0, 1:], normal[1, 2:], normal[2, 3]
    determinant = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d)
    volume: Tensor = 1.5 * view_sets.LOG_TWO_PI - 0.5 * determinant.log()
    return volume


def _densities(
    sight: _Sight, errors: Errors, step: Tensor, inside: Tensor, sign: Tensor, of_base: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the log densities (S, n) of each set's sound detections, and of the others."""
    rate, scale = errors.gross_rate.T, errors.gross_scale
    there, residual, jacobian = sight.there, sight.residual, sight.jacobian
    constant = torch.log1p(-rate) - view_sets.LOG_TWO_PI + sight.precision.log()
    constant = torch.where(there, constant, 0.0)
    # The toggled view's own squared residual [px^2] at the point of its set.
    own = sum(
        (residual[axis] - (jacobian[axis] * step[:, 1:]).sum(0)).square() for axis in range(2)
    )
    assert isinstance(own, Tensor)
    # Squared residuals of the consensus' views are quadratic in the step.
    square = (inside * sight.precision * residual.square().sum(0)).sum(0)
    (a, b, c), (d, e), f = of_base[0, 1:], of_base[1, 2:], of_base[2, 3]
    u, v, w = step
    bent = u * (a * u + 2 * (b * v + c * w)) + v * (d * v + 2 * e * w) + f * w * w
    squares = square - 2 * (of_base[:, 0][:, None] * step).sum(0) + bent
    squares[1:] += sign * sight.precision * own
    sound = (inside * constant).sum(0) - 0.5 * squares
    sound[1:] += sign * constant
    level = rate.log() + math.log(scale) - view_sets.LOG_TWO_PI
    of_own = level - 1.5 * (own + scale**2).log()
    gross = torch.zeros_like(sound)
    gross[1:] += torch.where(sign < 0, of_own, 0.0)  # left out of the consensus
    # Views that the consensus lacks are gross in all sets but their own: few, so one by one.
    views, points = (sign > 0).nonzero(as_tuple=True)
    there_step = step[:, :, points]
    off = sum(
        (
            residual[axis, views, points]
            - (jacobian[axis][:, views, points][:, None] * there_step).sum(0)
        ).square()
        for axis in range(2)
    )
    assert isinstance(off, Tensor)
    density = level[views, points] - 1.5 * (off + scale**2).log()  # (S, m)
    density[1 + views, torch.arange(len(views), device=views.device)] = 0.0
    gross.index_add_(1, points, density)
    return sound, gross
