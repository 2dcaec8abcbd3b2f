"""Smoothing of measured sequences: Kalman smoothers and local polynomials. Pure tensor mathematics.

A measurement is a position (3) [m] with its information (3, 3) [1/m^2]; information 0 is a missing
frame, and its position may be anything finite. Everything is float64, batched, differentiable in
positions, information and process noise; the only loop is over time. `smoothers` applies this to tracks.

A motion of order d moves with d - 1 known derivatives; the d-th is white noise, constant over each frame
(Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, 6.3): constant
position d = 1, q in m/s; constant velocity d = 2, q in m/s^2; constant acceleration d = 3, q in m/s^3.
"""

import math

import torch
from torch import Tensor

from pose_obj_3d import geometry
from pose_obj_3d.estimators import Estimate
from pose_obj_3d.exceptions import ConfigError

MOTIONS = {"constant position": 1, "constant velocity": 2, "constant acceleration": 3}
PRIOR_INFO = 1e-6  # of every state at the first frame, SI units: 1 km, 1 km/s, 1 km/s^2; know nothing


def smooth(
    xyz: Tensor,
    info: Tensor,
    motion: str,
    q: float | Tensor,
    frame_period_s: float,
    leave_one_out: bool = False,
) -> Estimate:
    """Smooth sequences: the posterior of every frame given all frames (Rauch, Tung, Striebel 1965).

    Computed in the two-filter information form of Fraser and Potter (1969), which has the same result:
    a filter runs forwards, the same filter runs backwards in the same batch, and the posterior's
    information is the sum of both predictions and the frame's own. Against the recursion on covariances
    it needs 3 x 3 inverses only, begins without knowledge, holds for q = 0, and gives the posterior
    *without* the frame's own measurement as the sum of the predictions alone, where nothing cancels.

    Args:
        xyz: (T, B, 3) measured positions [m].
        info: (T, B, 3, 3) their information [1/m^2]; 0 = missing.
        motion: One of `MOTIONS`.
        q: Process noise, one number or (B,); unit by the motion.
        frame_period_s: Seconds between frames.
        leave_one_out: Leave each frame's own measurement out of its estimate.

    Returns:
        (T, B, 3) and covariance; NaN in sequences without any (other) measurement.
    """
    full, blind = smooth_both(xyz, info, motion, q, frame_period_s)
    return blind if leave_one_out else full


def smooth_both(
    xyz: Tensor, info: Tensor, motion: str, q: float | Tensor, frame_period_s: float
) -> tuple[Estimate, Estimate]:
    """Smooth sequences with and without each frame's own measurement, by one run of the filters.

    Arguments as in `smooth`, whose two results these are.
    """
    order = _order(motion)
    T, B, _ = xyz.shape
    is_measured, centre, moment, info = _centred(xyz, info)
    # In the state (x, -x', x'') time runs the same way backwards, so one filter serves both directions.
    both_moments, both_infos = (torch.cat([x, x.flip(0)], -1) for x in (moment, info))
    prior = torch.cat([torch.full((B,), PRIOR_INFO), torch.zeros(B)]).to(moment)
    q = torch.as_tensor(q, dtype=moment.dtype, device=moment.device).expand(B)
    infos, moments = _predictions(both_moments, both_infos, order, torch.cat([q, q]), frame_period_s, prior)
    sign = torch.tensor([(-1.0) ** i for i in range(order)]).to(moment)[:, None, None]
    Y_sign = (sign * sign[:, 0])[..., None, None]
    Y = torch.stack([f[..., :B] + b[..., B:] * Y_sign for f, b in zip(infos, reversed(infos), strict=True)], -2)
    y = torch.stack([f[..., :B] + b[..., B:] * sign for f, b in zip(moments, reversed(moments), strict=True)], -2)
    Y, y = _leading(Y.flatten(-2), y.flatten(-2))
    count = is_measured.sum(0)

    def read(Y: Tensor, y: Tensor, others: Tensor) -> Estimate:
        position, covariance = _position(Y, y)
        unknown = (others == 0).expand(T, B)
        return Estimate(
            (position.reshape(T, B, 3) + centre).masked_fill(unknown[..., None], torch.nan),
            covariance.reshape(T, B, 3, 3).masked_fill(unknown[..., None, None], torch.nan),
        )

    blind = read(Y, y, count - is_measured.long())
    full = read(Y + info.movedim(0, -2).flatten(-2), y + moment.movedim(0, -2).flatten(-2), count)
    return full, blind


def innovation_nll(
    xyz: Tensor, info: Tensor, motion: str, q: float | Tensor, frame_period_s: float
) -> tuple[Tensor, Tensor]:
    """Score every measurement by what the frames before it predict (the likelihood of the innovations).

    Arguments as in `smooth`. Nothing in it is the truth, so it can choose q on unlabelled data.

    Returns:
        Negative log likelihood (T, B) [nats], 0 where it does not count, and whether it counts (T, B):
        measured, with as many measurements before it as the motion has states.
    """
    order = _order(motion)
    is_measured, centre, moment, centred_info = _centred(xyz, info)
    prior = torch.full_like(moment[0, 0], PRIOR_INFO)
    q = torch.as_tensor(q, dtype=moment.dtype, device=moment.device).expand(len(prior))
    Y, y = (torch.cat(x, -1) for x in _predictions(moment, centred_info, order, q, frame_period_s, prior))
    position, covariance = (x.unflatten(0, is_measured.shape) for x in _position(*_leading(Y, y)))  # type: ignore[no-untyped-call]
    counts = is_measured & (is_measured.cumsum(0) > order)
    eye = torch.eye(3).to(moment)
    noise = geometry.invert_3x3(torch.where(is_measured[..., None, None], info.double(), eye))
    spread = torch.where(counts[..., None, None], covariance + noise, eye)
    r = torch.where(counts[..., None], xyz.double() - centre - position, 0.0)
    solved = (geometry.invert_3x3(spread) @ r.unsqueeze(-1)).squeeze(-1)
    nll = 0.5 * ((r * solved).sum(-1) + _logdet_3x3(spread) + 3 * math.log(2 * math.pi))
    return torch.where(counts, nll, 0.0), counts


def local_polynomial(xyz: Tensor, info: Tensor, offsets: Tensor, degree: int) -> Estimate:
    """Fit a polynomial in time to each sequence by weighted least squares and read it at offset 0.

    Equal information at equal steps gives the filter of Savitzky and Golay (Anal. Chem. 36, 1964).
    Degree 0 is the weighted mean. With n measured frames the degree is at most n - 1.

    Args:
        xyz: (*, T, 3) [m].
        info: (*, T, 3, 3) [1/m^2]; 0 = missing.
        offsets: (T,) times in any unit.
        degree: Degree of the polynomial.

    Returns:
        (*, 3) and covariance; NaN without any measurement.
    """
    if degree < 0:
        raise ConfigError(f"the degree of a polynomial is {degree}; allowed: 0 or more")
    *batch, T = xyz.shape[:-1]
    xyz, info = xyz.double().reshape(-1, T, 3), info.double().reshape(-1, T, 3, 3)
    is_measured = _is_measured(info)  # (B, T)
    count = is_measured.sum(-1)
    shares = is_measured / count.clamp_min(1).unsqueeze(-1)
    centre = (shares.unsqueeze(-1) * xyz).sum(-2)
    moment = (info @ (xyz - centre.unsqueeze(-2)).unsqueeze(-1)).squeeze(-1)
    degrees = torch.arange(degree + 1, device=xyz.device)
    powers = (offsets / offsets.abs().max().clamp_min(1)).to(xyz)[:, None] ** degrees
    keep = (count > degrees[:, None]).to(xyz)  # (degree + 1, B): what the frames can determine
    products = powers.unsqueeze(-1) * powers.unsqueeze(-2)
    Y = torch.einsum("tpq,btij->pqijb", products, info) * (keep * keep[:, None])[:, :, None, None]
    missing = torch.diag_embed((1 - keep).T).movedim(0, -1)[:, :, None, None]
    Y = Y + missing * torch.eye(3).to(xyz)[..., None]
    y = torch.einsum("tp,bti->pib", powers, moment) * keep[:, None]
    position, covariance = _position(*_leading(Y, y))
    is_unknown = count == 0
    return Estimate(
        (position + centre).masked_fill(is_unknown[:, None], torch.nan).reshape(*batch, 3),
        covariance.masked_fill(is_unknown[:, None, None], torch.nan).reshape(*batch, 3, 3),
    )


def _predictions(
    moment: Tensor, info: Tensor, order: int, q: Tensor, dt: float, prior: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Run the information filter: each frame's prediction from the frames before it.

    With Y the information of the state and y = Y times its mean, the prediction is
    Y' = (F Y^-1 F^T + q^2 g g^T)^-1 = M - q^2 M g (1 + q^2 g^T M g)^-1 g^T M, M = F^-T Y F^-1. F and g act
    on derivatives, not on axes, so Y is a (d, d) matrix of (3, 3) blocks. The batch is the last axis:
    3 to 8 times faster than batches of small matrices.

    Args:
        moment: (T, 3, B) information times position.
        info: (T, 3, 3, B).
        order: States per axis d.
        q: (B,).
        dt: Seconds between frames.
        prior: (B,) information of every state before the first frame.

    Returns:
        Y (d, d, 3, 3, B) and y (d, 3, B) of each of the T frames.
    """
    d, B = order, moment.shape[-1]
    backward, g = _transition(d, -dt, moment)[:, :d].T, _transition(d, dt, moment)[:, d]
    # M, M g and g^T M g are linear in the blocks of Y: one product gives all three, another those of y.
    moved = torch.cat([backward, (g @ backward)[None]])  # (d + 1, d)
    both = torch.kron(moved, moved)
    eye = torch.eye(3).to(moment)[..., None]
    Y = torch.eye(d).to(moment)[:, :, None, None, None] * eye * prior
    y = moment.new_zeros(d, 3, B)
    infos, moments = [Y], [y]
    noise = q.square()
    for t in range(len(moment) - 1):
        Y, y = _measured(Y, y, info[t], moment[t])
        N = (both @ Y.reshape(d * d, -1)).reshape(d + 1, d + 1, 3, 3, B)
        n = (moved @ y.reshape(d, -1)).reshape(d + 1, 3, B)
        Y, Mg = N[:d, :d], N[:d, d]  # M for the while, (d, 3, 3, B)
        gain = _product(Mg, _invert(eye + noise * N[d, d]) * noise)
        for k in range(3):  # sums of outer products need no room for the products
            Y = torch.addcmul(Y, gain[:, None, :, k, None], Mg[None, :, None, :, k], value=-1)
        # F^-1 grows, and the update damps errors of Y only as long as they are symmetric.
        Y = torch.lerp(Y, Y.permute(1, 0, 3, 2, 4), 0.5)
        y = n[:d] - (gain * n[d]).sum(-2)
        infos.append(Y)
        moments.append(y)
    return infos, moments


def _transition(order: int, dt: float, like: Tensor) -> Tensor:
    """Return (d, d + 1): the transition, and in the last column how a frame's noise enters the state."""
    f = torch.zeros(order, order + 1, dtype=torch.float64)
    for i in range(order):
        for j in range(i, order + 1):
            f[i, j] = dt ** (j - i) / math.factorial(j - i)
    return f.to(like)


def _measured(Y: Tensor, y: Tensor, info: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Add a measurement of the position to the information of a state."""
    Y, y = Y.clone(), y.clone()
    Y[0, 0] = Y[0, 0] + info
    y[0] = y[0] + moment
    return Y, y


def _leading(Y: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Eliminate all states but the first.

    Args:
        Y: (d, d, 3, 3, B) information.
        y: (d, 3, B) information times mean.

    Returns:
        Information (3, 3, B) of the position, and information times its mean (3, B).
    """
    while len(Y) > 1:
        C = _product(Y[:-1, -1], _invert(Y[-1, -1]))  # (d - 1, 3, 3, B)
        y = y[:-1] - (C * y[-1]).sum(2)
        Y = Y[:-1, :-1] - _product(C[:, None], Y[-1, :-1][None])
    return Y[0, 0], y[0]


def _position(info: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (B, 3) and covariance (B, 3, 3) of information (3, 3, B) and information times mean (3, B)."""
    covariance = _invert(info)
    covariance = (covariance + covariance.transpose(0, 1)) / 2
    return (covariance * moment).sum(1).movedim(0, -1), covariance.movedim((0, 1), (-2, -1))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices whose batch is the last axis: (*, 3, 3, B), (*, 3, 3, B) -> (*, 3, 3, B)."""
    return (a.unsqueeze(-2) * b.unsqueeze(-4)).sum(-3)


def _invert(m: Tensor) -> Tensor:
    """Invert (3, 3, B) by cofactors."""
    after = torch.tensor([1, 2, 0, 1], device=m.device)
    w = m[after[:, None], after]  # (4, 4, B): the entries after each, around both edges
    cofactors = w[:3, :3] * w[1:, 1:] - w[:3, 1:] * w[1:, :3]
    inverse: Tensor = cofactors.transpose(0, 1) / (m[0] * cofactors[0]).sum(0)
    return inverse


def _centred(xyz: Tensor, info: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return is_measured (T, B), centre (B, 3), information times centred position (T, 3, B), information."""
    xyz, info = xyz.double(), info.double()
    is_measured = _is_measured(info)
    shares = is_measured / is_measured.sum(0).clamp_min(1)
    centre = (shares.unsqueeze(-1) * xyz).sum(0)
    moment = (info @ (xyz - centre).unsqueeze(-1)).squeeze(-1)
    return is_measured, centre, moment.movedim(1, -1).contiguous(), info.movedim(1, -1).contiguous()


def _is_measured(info: Tensor) -> Tensor:
    return info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0


def _order(motion: str) -> int:
    if motion not in MOTIONS:
        raise ConfigError(f"motion {motion!r} is unknown; allowed: {', '.join(MOTIONS)}")
    return MOTIONS[motion]


def _logdet_3x3(m: Tensor) -> Tensor:
    logdet: Tensor = (torch.linalg.cross(m[..., 0, :], m[..., 1, :]) * m[..., 2, :]).sum(-1).log()
    return logdet
