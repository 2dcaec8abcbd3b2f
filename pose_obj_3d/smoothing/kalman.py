"""Smoothing of measured sequences: Kalman smoothers and local polynomials. Pure tensor mathematics.

A measurement is a position (3) [m] with its information (3, 3) [1/m^2]; information 0 is a missing
frame, and its position may be anything finite. Everything is float64, batched, differentiable in
positions, information and process noise; the only loop is over time. `smoothers` applies this to
tracks.

A motion of order d moves with d - 1 known derivatives; the d-th is white noise, constant over each
frame (Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, 6.3):
constant position d = 1, q in m/s; constant velocity d = 2, q in m/s^2; constant acceleration d = 3,
q in m/s^3.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate

MOTIONS = {"constant position": 1, "constant velocity": 2, "constant acceleration": 3}
PRIOR_INFO = (
    1e-6  # of every state at the first frame, SI units: 1 km, 1 km/s, 1 km/s^2; know nothing
)


def smooth(
    xyz: Tensor,
    info: Tensor,
    motion: str,
    q: float | Tensor,
    frame_period_s: float,
    leave_one_out: bool = False,
) -> Estimate:
    """Smooth sequences: the posterior of every frame given all frames (Rauch, Tung, Striebel 1965).

    Computed in the two-filter information form of Fraser and Potter (1969), which has the same
    result: a filter runs forwards, the same filter runs backwards in the same batch, and the
    posterior's information is the sum of both predictions and the frame's own. Against the
    recursion on covariances it needs 3 x 3 inverses only, begins without knowledge, holds for q =
    0, and gives the posterior *without* the frame's own measurement as the sum of the predictions
    alone, where nothing cancels.

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

    Arguments as in `smooth`, whose two results these are. With q of shape (H, 1) or (H, B), every
    sequence is smoothed by each of H process noises: (T, H, B, 3) and (T, H, B, 3, 3).
    """
    order, T = _order(motion), len(xyz)
    is_measured, centre, measured = _centred(xyz, info)
    q = torch.as_tensor(q, dtype=measured.dtype, device=measured.device)
    # In the state (x, -x', x'') time runs the same way backwards, so one filter serves both
    # directions.
    both = torch.stack([measured, measured.flip(0)], 3).unsqueeze(4)  # (T, 3, 4, 2, 1, B)
    prior = torch.tensor([PRIOR_INFO, 0.0]).to(measured)[:, None, None]
    sign = torch.tensor([1.0, -1.0, 1.0]).to(measured)[:order].repeat_interleave(3)
    signs = (sign[:, None] * torch.cat([sign[:1], sign]))[..., None, None, None]
    # Step t has what frames before t say about t, and what those behind say about frame T - 1 - t.
    # In the first half both wait for their counterparts, which come in the second, in the mirrored
    # step.
    waiting: list[Tensor] = []
    batch = torch.broadcast_shapes((1, 1), q.shape, (1, xyz.shape[1]))  # type: ignore[no-untyped-call]
    others = measured.new_empty(3, 4, T, *batch)
    for t, S in enumerate(_predictions(both, order, q, frame_period_s, prior)):
        if 2 * t < T:
            waiting.append(S.flip(2))
        if 2 * (t + 1) > T:
            found = _leading(torch.addcmul(S, waiting[T - 1 - t], signs))
            others[:, :, t], others[:, :, T - 1 - t] = found[:, :, 0], found[:, :, 1]
    measured, count = measured.movedim(0, 2).unsqueeze(3), is_measured.sum(0)

    def read(moment_and_info: Tensor, known_frames: Tensor) -> Estimate:
        position, covariance = _position(moment_and_info)  # (T, H, B, 3), (T, H, B, 3, 3)
        position, unknown = position + centre, (known_frames == 0).expand(T, -1).unsqueeze(1)
        if unknown.any():
            position = position.masked_fill(unknown[..., None], torch.nan)
            covariance = covariance.masked_fill(unknown[..., None, None], torch.nan)
        return (
            Estimate(position, covariance)
            if q.ndim == 2
            else Estimate(position.squeeze(1), covariance.squeeze(1))
        )

    return read(others + measured, count), read(others, count - is_measured.long())


def innovation_nll(
    xyz: Tensor, info: Tensor, motion: str, q: float | Tensor, frame_period_s: float
) -> tuple[Tensor, Tensor]:
    """Score every measurement by its likelihood, given the frames before it.

    Arguments as in `smooth`. Nothing in it is the truth, so it can choose q on unlabelled data.

    Returns:
        Negative log likelihood (T, B) [nats], 0 where it does not count, and whether it counts (T,
        B): measured, with as many measurements before it as the motion has states.
    """
    order = _order(motion)
    is_measured, centre, measured = _centred(xyz, info)
    q = torch.as_tensor(q, dtype=measured.dtype, device=measured.device)
    prior = measured.new_tensor(PRIOR_INFO)
    predicted = [
        _leading(S.clone()) for S in _predictions(measured, order, q, frame_period_s, prior)
    ]
    position, covariance = _position(torch.stack(predicted, 2))
    counts = is_measured & (is_measured.cumsum(0) > order)
    eye = torch.eye(3).to(measured)
    noise = geometry.invert_3x3(torch.where(is_measured[..., None, None], info.double(), eye))
    spread = torch.where(counts[..., None, None], covariance + noise, eye)
    r = torch.where(counts[..., None], xyz.double() - centre - position, 0.0)
    solved = (geometry.invert_3x3(spread) @ r.unsqueeze(-1)).squeeze(-1)
    nll = 0.5 * ((r * solved).sum(-1) + _logdet_3x3(spread) + 3 * math.log(2 * math.pi))
    return torch.where(counts, nll, 0.0), counts


def tracking_index(motion: str, q: Tensor, frame_period_s: float, sigma: float) -> Tensor:
    """Return process noises q over a frame, in standard deviations of a measurement [m]."""
    return q * frame_period_s ** _order(motion) / sigma


def unit_spectrum(motion: str, frequency: Tensor) -> Tensor:
    """Return the power spectrum of positions at frequencies > 0 [radians a frame].

    Of a process noise of 1 in units of position a frame (a frame squared, cubed). The d-th
    difference of positions is a moving average of the noise: of one frame, two, or three.
    """
    order, cos = _order(motion), torch.cos(frequency)
    average = {1: torch.ones_like(cos), 2: (1 + cos) / 2, 3: ((2 + cos) / 3).square()}[order]
    return average / (2 - 2 * cos) ** order


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
    # Rows and columns by degree, then axis.
    Y = torch.einsum("tpq,btij->piqjb", products, info) * (keep * keep[:, None])[:, None, :, None]
    missing = torch.diag_embed((1 - keep).T).movedim(0, -1)[:, None, :, None]
    Y = Y + missing * torch.eye(3).to(xyz)[:, None, :, None]
    y = torch.einsum("tp,bti->pib", powers, moment) * keep[:, None]
    S = torch.cat([y.flatten(0, 1).unsqueeze(1), Y.flatten(2, 3).flatten(0, 1)], 1)
    position, covariance = _position(_leading(S))
    is_unknown = count == 0
    return Estimate(
        (position + centre).masked_fill(is_unknown[:, None], torch.nan).reshape(*batch, 3),
        covariance.masked_fill(is_unknown[:, None, None], torch.nan).reshape(*batch, 3, 3),
    )


def _predictions(
    measured: Tensor, order: int, q: Tensor, dt: float, prior: Tensor
) -> Iterator[Tensor]:
    """Run the information filter: each frame's prediction from the frames before it.

    With Y the information of the state and y = Y times its mean, the prediction is
    Y' = (F Y^-1 F^T + q^2 G G^T)^-1, where the columns of G move one axis each. In M = F^-T Y F^-1
    the noise of one axis after the other is accounted for: M - M g g^T M / (q^-2 + g^T M g), and
    likewise m - M g g^T m / (...) for m = F^-T y. So y is carried as a column beside Y, and there
    is nothing to invert. The batch comes last: 3 to 8 times faster than batches of small matrices.

    Args:
        measured: (T, 3, 4, *) information times position, and information (3, 3), of each frame.
        order: States per axis d.
        q: Process noise, broadcast to the batch.
        dt: Seconds between frames.
        prior: Information of every state before the first frame, broadcast to the batch.

    Yields:
        [y Y] (3 d, 1 + 3 d, *) of each of the T frames, states in the order of their derivatives,
        then axes. It is overwritten by the next.
    """
    d = order
    batch = torch.broadcast_shapes(measured.shape[3:], q.shape, prior.shape)  # type: ignore[no-untyped-call]
    nothing = (
        measured[:0].sum() + q.flatten()[:0].sum()
    )  # 0; makes the views below known to autograd
    S = measured.new_zeros(3 * d, 1 + 3 * d, *batch) + nothing
    S.diagonal(1).copy_(prior.unsqueeze(-1))
    # Scaled so that the noise enters the last derivative with factor 1.
    gains = [dt ** (d - 1 - i) / math.factorial(d - i) for i in range(d)]
    precision = (q * dt).square().reciprocal().expand(batch).contiguous()
    block = [slice(3 * i, 3 * i + 3) for i in range(d)]
    rows, columns = [S[b] for b in block], [S[:, 1:].narrow(1, b.start, 3) for b in block]
    corners = [(c[b], c[b].transpose(0, 1)) for c, b in zip(columns[1:], block[1:], strict=True)]
    axes = [[row[axis] for row in rows] for axis in range(3)]
    position = S[:3, :4]
    for t in range(len(measured)):
        yield S
        if t == len(measured) - 1:
            return
        position += measured[t]
        for i in reversed(range(1, d)):
            for j in range(i):
                factor = (-dt) ** (i - j) / math.factorial(i - j)
                rows[i].add_(rows[j], alpha=factor)
                columns[i].add_(columns[j], alpha=factor)
        # F^-1 grows, and the update damps errors of Y only as long as they are symmetric.
        for corner, transposed in corners:
            corner.copy_(torch.lerp(corner, transposed, 0.5))
        for axis in range(3):
            Mg = _weighted_sum(axes[axis], gains)
            gMg = _weighted_sum(Mg[1 + axis :: 3].unbind(), gains)
            scaled = Mg * (gMg + precision).rsqrt()
            S.addcmul_(scaled[1:, None], scaled, value=-1)


def _weighted_sum(parts: Sequence[Tensor], weights: list[float]) -> Tensor:
    """Sum parts of which the last has weight 1; the result shares no memory with them."""
    if len(parts) == 1:
        return parts[0].clone()
    total = torch.add(parts[-1], parts[-2], alpha=weights[-2])
    for part, weight in zip(parts[:-2], weights, strict=False):
        total.add_(part, alpha=weight)
    return total


def _leading(S: Tensor) -> Tensor:
    """Eliminate all states but the position: [y Y] (n, 1 + n, *) -> (3, 4, *)."""
    while len(S) > 3:
        row = S[-1]
        scaled = row[:-1] * row[-1].rsqrt()
        S = torch.addcmul(S[:-1, :-1], scaled[1:, None], scaled, value=-1)
    return S


def _position(S: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (*, 3) and covariance (*, 3, 3) of [y Y] (3, 4, *)."""
    mean, (A, B, C, D, E, F) = geometry.solve_information(S)
    covariance = torch.stack([A, B, C, B, D, E, C, E, F]).reshape(3, 3, *mean[0].shape)
    return torch.stack(mean).movedim(0, -1), covariance.movedim((0, 1), (-2, -1))


def _centred(xyz: Tensor, info: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prepare measurements.

    Returns:
        is_measured (T, B), centre (B, 3), and [information times centred position, information]
        (T, 3, 4, B).
    """
    xyz, info = xyz.double(), info.double()
    is_measured = _is_measured(info)
    shares = is_measured / is_measured.sum(0).clamp_min(1)
    centre = (shares.unsqueeze(-1) * xyz).sum(0)
    info = (info + info.transpose(-1, -2)) / 2
    moment = info @ (xyz - centre).unsqueeze(-1)
    return is_measured, centre, torch.cat([moment, info], -1).movedim(1, -1).contiguous()


def _is_measured(info: Tensor) -> Tensor:
    return info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0


def _order(motion: str) -> int:
    if motion not in MOTIONS:
        raise ConfigError(f"motion {motion!r} is unknown; allowed: {', '.join(MOTIONS)}")
    return MOTIONS[motion]


def _logdet_3x3(m: Tensor) -> Tensor:
    logdet: Tensor = (torch.linalg.cross(m[..., 0, :], m[..., 1, :]) * m[..., 2, :]).sum(-1).log()
    return logdet
