"""Poses of waypoints from all that is known of them.

A waypoint has three points, 8 cm apart. Where a method has lifted all of them, they give its pose.
Where it has not, more is known: a point that one camera alone sees lies on a ray, and waypoints
that always lie alike to each other are one rigid body, whose points count together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from data_generation.RLBench.executing.poses import LiftedPose, lifted_pose
from pose_obj_3d.common.facts import FRAME_AXIS_M

Float = npt.NDArray[np.float64]
Points = tuple[int, int, int]
"""A waypoint's origin, x and y, in a `Sight`."""
MODEL: Float = FRAME_AXIS_M * np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
"""(3, 3) a waypoint's points in its own frame [m]: origin, x, y."""
UNCLAIMED_M = 0.005
"""Stands for the standard deviation of a point whose method claims none [m]."""
LOOSEST_DEG = 20.0
"""A pose whose rotation is claimed less sure than that is not known: angles do not add there."""
_STARTS, _STEPS, _GRID = 64, 40, 1e-9
_OTHER_COST, _OTHER_DISTANCE = 9.0, 25.0
_FAR = 1e6  # [px] residual of a point behind its camera


@dataclass(frozen=True)
class Sight:
    """What a look tells of K points.

    Attributes:
        xyz: (K, 3) lifted [m]; NaN where two views did not see the point.
        covariance: (K, 3, 3) of that [m^2], NaN where nothing is claimed.
        uv: (V, K, 2) mean of what a view has detected [px].
        variance: (V, K) of that [px^2]; infinite where the view has not seen the point.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
    """

    xyz: Float
    covariance: Float
    uv: Float
    variance: Float
    intrinsics: Float
    extrinsics: Float


@dataclass(frozen=True)
class Relation:
    """How a waypoint lies to another one.

    Attributes:
        source: the other waypoint.
        T: (4, 4) the waypoint in the frame of `source` [m].
        looseness: how much the two differ between examples, in units of what noise explains.
        error_m: standard deviation of where `T`, a mean of examples, puts a point [m].
    """

    source: str
    T: Float
    looseness: float
    error_m: float


@dataclass(frozen=True)
class _Body:
    """Points of a rigid body, in the frame of the waypoint that is asked for.

    Attributes:
        lifted: (P, 3) in that frame [m]; lifted to
        xyz: (P, 3) [m], with
        root: (P, 3, 3) roots of the information [1/m].
        rayed: (Q, 3) in that frame [m]; not lifted, seen by a view at
        uv: (Q, 2) [px], with
        sd: (Q,) [px].
        P: (Q, 3, 4) projections of the views.
    """

    lifted: Float
    xyz: Float
    root: Float
    rayed: Float
    uv: Float
    sd: Float
    P: Float

    @property
    def freedom(self) -> int:
        """Count what is measured beyond the six numbers of a pose."""
        return 3 * len(self.lifted) + 2 * len(self.rayed) - 6


def find_pose(
    sight: Sight, own: Points, others: Sequence[tuple[Points, Relation]] = ()
) -> LiftedPose | None:
    """Find a waypoint's pose, or None where what was seen leaves it open.

    Args:
        sight: of a look.
        own: the waypoint's points in it.
        others: points of waypoints that always lie alike to it, and how.
    """
    is_whole = bool(np.isfinite(sight.xyz[list(own)]).all())
    alone, claims = _body(sight, own, ())
    body, all_claim = _body(sight, own, others) if others else (alone, claims)
    found = _fitted(body)
    if others and (found is None or _is_strange(found[2], body.freedom)):
        agreeing = _agreeing(body)
        if agreeing is not None:  # some points are grossly wrong
            body, found = agreeing
        elif is_whole:  # the others have moved
            body, all_claim, found = alone, claims, _fitted(alone)
    if found is None:
        return None
    T, C, cost = found
    if body.freedom > 0 and _is_strange(cost, body.freedom):
        C = C * cost / body.freedom  # what disagrees is less sure than it claims
    if not is_whole and np.sqrt(np.linalg.eigvalsh(C[:3, :3])[-1]) > np.radians(LOOSEST_DEG):
        return None
    claimed = C if all_claim else np.full((6, 6), np.nan)
    return lifted_pose(T, torch.from_numpy(claimed), is_inferred=not is_whole)


def _agreeing(body: _Body) -> tuple[_Body, tuple[Float, Float, float]] | None:
    """Leave lifted points out, the strangest first, until the others agree; None: most must go."""
    least = (len(body.lifted) + len(body.rayed)) / 2
    while len(body.lifted) + len(body.rayed) > least:
        found = _fitted(body)
        if found is None:
            return None
        if not _is_strange(found[2], body.freedom):
            return body, found
        T = found[0]
        r, _ = _residuals(body, T[None, :3, :3], T[None, :3, 3])
        off = (r[0, : 3 * len(body.lifted)].reshape(-1, 3) ** 2).sum(-1)
        kept = np.arange(len(off)) != off.argmax()
        body = replace(body, lifted=body.lifted[kept], xyz=body.xyz[kept], root=body.root[kept])
    return None


def _is_strange(cost: float, freedom: int) -> bool:
    """Tell whether a sum of squares is improbable, 1 in 1000 (Wilson and Hilferty)."""
    if freedom <= 0:
        return False
    part = 2.0 / (9.0 * freedom)
    return bool((cost / freedom) ** (1 / 3) > 1 - part + 3.09 * np.sqrt(part))


def _body(
    sight: Sight, own: Points, others: Sequence[tuple[Points, Relation]]
) -> tuple[_Body, bool]:
    """Gather what was seen of a waypoint and of those that lie alike; tell whether all claim."""
    points, places, extra = list(own), [MODEL], [0.0] * 3
    for theirs, relation in others:
        T = np.linalg.inv(relation.T)
        points += theirs
        places.append(MODEL @ T[:3, :3].T + T[:3, 3])
        extra += [relation.error_m] * 3
    place, spread = np.concatenate(places), np.array(extra)
    xyz, C = sight.xyz[points], sight.covariance[points]
    is_lifted = ~np.isnan(xyz.sum(-1))
    claims = np.isfinite(C.sum((-1, -2)))
    C = np.where(claims[:, None, None], C, UNCLAIMED_M**2 * np.eye(3))
    C = C + (spread**2 + _GRID**2)[:, None, None] * np.eye(3)
    root = np.linalg.cholesky(np.linalg.inv(C[is_lifted])).swapaxes(-1, -2)
    variance = sight.variance[:, points]
    views, rays = np.nonzero(np.isfinite(variance) & ~is_lifted)
    P = sight.intrinsics[views] @ sight.extrinsics[views]
    uv = sight.uv[views, np.array(points)[rays]]
    body = _Body(
        place[is_lifted],
        xyz[is_lifted],
        root,
        place[rays],
        uv,
        np.sqrt(variance[views, rays]),
        P,
    )
    return body, bool(claims[is_lifted].all())


def _fitted(body: _Body) -> tuple[Float, Float, float] | None:
    """Return the (4, 4) pose, its covariance (6, 6) and the sum of squares; None: not one pose."""
    if not len(body.lifted) or body.freedom < 0:
        return None
    R, p = _starts(body)
    R, p, cost = _descended(body, R, p)
    best = int(cost.argmin())
    r, J = _residuals(body, R[[best]], p[[best]])
    information = J[0].T @ J[0]
    values = np.linalg.eigvalsh(information)
    if not values[0] > 1e-10 * values[-1]:
        return None
    if len(R) > 1 and _is_ambiguous(R, p, cost, best, information):
        return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R[best], p[best]
    return T, np.linalg.inv(information), float(r[0] @ r[0])


def _is_ambiguous(R: Float, p: Float, cost: Float, best: int, information: Float) -> bool:
    """Tell whether another pose, far from the best one, explains what was seen as well."""
    near = cost < cost[best] + _OTHER_COST
    turn = R[near] @ R[best].T
    # The sine's axis is enough: what is far must only be told from what is near.
    axis = np.stack(
        [
            turn[:, 2, 1] - turn[:, 1, 2],
            turn[:, 0, 2] - turn[:, 2, 0],
            turn[:, 1, 0] - turn[:, 0, 1],
        ],
        -1,
    )
    cosine = (np.trace(turn, axis1=1, axis2=2) - 1) / 2
    error = np.concatenate([axis / 2, p[near] - p[best]], -1)
    distance = np.einsum("si,ij,sj->s", error, information, error)
    return bool(((distance > _OTHER_DISTANCE) | (cosine < 0)).any())


def _starts(body: _Body) -> tuple[Float, Float]:
    """Return (S, 3, 3) and (S, 3) poses to begin from."""
    middle = body.lifted.mean(0)
    spread = np.linalg.svd(body.lifted - middle, compute_uv=False)
    if len(body.lifted) >= 3 and spread[1] > 0.1 * FRAME_AXIS_M:
        R, p = _kabsch(body.lifted, body.xyz)
        return R[None], p[None]
    q = np.random.default_rng(0).standard_normal((_STARTS, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    R = np.stack([np.stack(row, -1) for row in rows], -2)
    return R, body.xyz.mean(0) - R @ middle


def _kabsch(model: Float, points: Float) -> tuple[Float, Float]:
    m, x = model.mean(0), points.mean(0)
    U, _, Vt = np.linalg.svd((points - x).T @ (model - m))
    R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    return R, x - R @ m


def _descended(body: _Body, R: Float, p: Float) -> tuple[Float, Float, Float]:
    """Improve S poses by damped Gauss-Newton steps; return them and their sums of squares."""
    damping = np.full(len(R), 1e-3 if len(R) > 1 else 1e-9)  # one start is near its end
    r, J = _residuals(body, R, p)
    cost = (r**2).sum(-1)
    for _ in range(_STEPS):
        JT = J.swapaxes(-1, -2)
        A = JT @ J
        scale = A.diagonal(axis1=-2, axis2=-1) + 1e-12 * np.trace(A, axis1=1, axis2=2)[:, None]
        damped = A + damping[:, None, None] * scale[:, :, None] * np.eye(6)
        step = -np.linalg.solve(damped, JT @ r[..., None])[..., 0]
        new_R, new_p = _turned(step[:, :3]) @ R, p + step[:, 3:]
        new_r, new_J = _residuals(body, new_R, new_p)
        new_cost = (new_r**2).sum(-1)
        better = new_cost < cost
        done = np.abs(cost - new_cost) <= 1e-9 * (1 + cost)
        R = np.where(better[:, None, None], new_R, R)
        p, J = np.where(better[:, None], new_p, p), np.where(better[:, None, None], new_J, J)
        r, cost = np.where(better[:, None], new_r, r), np.where(better, new_cost, cost)
        damping = np.where(better, damping / 4, damping * 6).clip(1e-9, 1e9)
        if done.all():
            break
    return R, p, cost


def _residuals(body: _Body, R: Float, p: Float) -> tuple[Float, Float]:
    """Return residuals (S, M) in standard deviations, and their derivatives (S, M, 6)."""
    arm = np.einsum("sij,pj->spi", R, body.lifted)
    off = arm + p[:, None] - body.xyz
    r = np.einsum("pij,spj->spi", body.root, off)
    J = body.root @ _moving(arm)
    arm = np.einsum("sij,qj->sqi", R, body.rayed)
    seen = np.einsum("qij,sqj->sqi", body.P[..., :3], arm + p[:, None]) + body.P[..., 3]
    depth = seen[..., 2:]
    is_front = depth > 0.01
    safe = np.where(is_front, depth, 1.0)
    uv = seen[..., :2] / safe
    moved = np.where(is_front, (uv - body.uv) / body.sd[:, None], _FAR)
    rows = body.P[..., :2, :3] - uv[..., None] * body.P[..., 2:, :3]
    slope = (rows / safe[..., None]) @ _moving(arm) / body.sd[:, None, None]
    slope = np.where(is_front[..., None], slope, 0.0)
    count = len(R)
    return (
        np.concatenate([r.reshape(count, -1), moved.reshape(count, -1)], -1),
        np.concatenate([J.reshape(count, -1, 6), slope.reshape(count, -1, 6)], -2),
    )


def _moving(arm: Float) -> Float:
    """Return how points (*, 3) on a turning and shifting body move: (*, 3, 6)."""
    eye = np.broadcast_to(np.eye(3), (*arm.shape, 3))
    return np.concatenate([-_cross(arm), eye], -1)


def _cross(w: Float) -> Float:
    x, y, z = np.moveaxis(w, -1, 0)
    o = np.zeros_like(x)
    return np.stack([np.stack(row, -1) for row in ((o, -z, y), (z, o, -x), (-y, x, o))], -2)


def _turned(w: Float) -> Float:
    """Return the (S, 3, 3) rotations of rotation vectors (S, 3)."""
    angle = np.linalg.norm(w, axis=-1)[:, None, None]
    safe = np.where(angle > 1e-12, angle, 1.0)
    K = _cross(w)
    sine = np.where(angle > 1e-12, np.sin(angle) / safe, 1.0)
    cosine = np.where(angle > 1e-12, (1 - np.cos(angle)) / safe**2, 0.5)
    turned: Float = np.eye(3) + sine * K + cosine * K @ K
    return turned
