"""Smoothing without learning: Savitzky-Golay in a window, Kalman-RTS smoothers over whole examples.

They start from the triangulated frames and their information (`Tracks.xyz`, `Tracks.info`); frames
without a measurement have information 0. All in float64; a loop over time only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.exceptions import DataError
from pose_obj_3d.windows import Tracks

ORDERS = {"constant position": 1, "constant velocity": 2, "constant acceleration": 3}
"""Motion model -> derivatives in its state, position included; the next one is white noise."""
PRIOR_VARIANCE = (1e2, 1e2, 1e4)  # of position [m^2], velocity, acceleration [SI]: know nothing
NOISE_GRID = {
    "constant position": tuple(10.0**e for e in range(-7, 1)),  # [m^2/s]
    "constant velocity": tuple(10.0**e for e in range(-5, 3)),  # [m^2/s^3]
    "constant acceleration": tuple(10.0**e for e in range(-3, 5)),  # [m^2/s^5]
}
"""Process noise densities that `fit_process_noise` tries."""
_RIDGE = 1e-9


@dataclass(frozen=True)
class Smoothed:
    """A smoothed track.

    Attributes:
        xyz: (N, K, 3) [m].
        cov: (N, K, 3, 3) [m^2].
        log_likelihood: Of the measurements, each predicted from those before it, in nats.
    """

    xyz: Tensor
    cov: Tensor
    log_likelihood: float


def savitzky_golay(tracks: Tracks, num_frames: int = 7, degree: int = 2) -> tuple[Tensor, Tensor]:
    """Fit a polynomial to each window, weighted by information, and read it at the centre.

    At an example's edges the window is cut, so the fit is one-sided. Too few frames lower the degree
    smoothly: higher powers carry a tiny ridge.

    Args:
        tracks: The data.
        num_frames: Window length, odd.
        degree: Of the polynomial.

    Returns:
        xyz (N, K, 3) [m] and covariance (N, K, 3, 3) [m^2]; a window without measurements keeps `tracks.xyz`.
    """
    if num_frames % 2 == 0 or num_frames < 1 or degree < 0:
        raise DataError(f"Savitzky-Golay needs an odd window and a degree of at least 0, got {num_frames} and {degree}")
    half, P = num_frames // 2, degree + 1
    N, K = tracks.xyz.shape[:2]
    rows = torch.arange(N, device=tracks.xyz.device)
    normal = torch.zeros(N, K, P, 3, P, 3, dtype=torch.float64, device=tracks.xyz.device)
    moment = torch.zeros(N, K, P, 3, dtype=torch.float64, device=tracks.xyz.device)
    for offset in range(-half, half + 1):
        at = (rows + offset).clamp(tracks.first, tracks.last)
        info = tracks.info[at].double() * (at == rows + offset)[:, None, None, None]
        powers = torch.tensor([(offset / max(half, 1)) ** p for p in range(P)], dtype=torch.float64, device=at.device)
        step = (info @ (tracks.xyz[at] - tracks.xyz).double().unsqueeze(-1)).squeeze(-1)
        normal += torch.einsum("p,q,nkij->nkpiqj", powers, powers, info)
        moment += torch.einsum("p,nki->nkpi", powers, step)
    matrix = normal.reshape(N, K, 3 * P, 3 * P)
    strength = matrix.diagonal(dim1=-2, dim2=-1)[..., :3].mean(-1)
    is_known = strength > 0
    ridge = torch.full((3 * P,), 1e-6, dtype=torch.float64, device=matrix.device)
    ridge[:3] = 1e-12
    matrix = matrix + torch.diag_embed(ridge * torch.where(is_known, strength, 1e12)[..., None])
    inverse = torch.linalg.inv(matrix)
    shift = (inverse[..., :3, :] @ moment.reshape(N, K, 3 * P, 1)).squeeze(-1)
    xyz = tracks.xyz.double() + torch.where(is_known[..., None], shift, 0.0)
    return xyz, inverse[..., :3, :3]


def rts(tracks: Tracks, model: str, noise: float, frame_period_s: float) -> Smoothed:
    """Run a Kalman filter forwards and the Rauch-Tung-Striebel smoother backwards over every example.

    Args:
        tracks: The data.
        model: One of `ORDERS`.
        noise: Spectral density of the white noise that drives the highest derivative.
        frame_period_s: Seconds between frames.

    Returns:
        Mean and covariance of the position in every frame, given all measurements of the example.
    """
    if model not in ORDERS:
        raise DataError(f"smoother {model!r} is unknown; allowed: {', '.join(ORDERS)}")
    order = ORDERS[model]
    index, is_there = _sequences(tracks)  # (E, T)
    E, T = index.shape
    K = tracks.xyz.shape[1]
    z = tracks.xyz[index].double().transpose(1, 2).reshape(E * K, T, 3)
    info = (tracks.info[index].double() * is_there[..., None, None, None]).transpose(1, 2).reshape(E * K, T, 3, 3)
    F, Q = _dynamics(order, noise, frame_period_s, z)
    mean, cov, predicted, spread, likelihood = _filter(z, info, F, Q, order)
    for t in range(T - 2, -1, -1):
        gain = torch.linalg.solve(spread[t + 1], F @ cov[t]).transpose(-1, -2)
        mean[t] = mean[t] + (gain @ (mean[t + 1] - predicted[t + 1]).unsqueeze(-1)).squeeze(-1)
        cov[t] = cov[t] + gain @ (cov[t + 1] - spread[t + 1]) @ gain.transpose(-1, -2)
    xyz = torch.stack(mean, 1)[..., :3].reshape(E, K, T, 3).transpose(1, 2)
    out = torch.stack(cov, 1)[..., :3, :3].reshape(E, K, T, 3, 3).transpose(1, 2)
    flat = torch.empty_like(tracks.xyz, dtype=torch.float64)
    flat_cov = torch.empty_like(tracks.info, dtype=torch.float64)
    flat[index[is_there]], flat_cov[index[is_there]] = xyz[is_there], out[is_there]
    return Smoothed(flat, flat_cov, likelihood)


def fit_process_noise(tracks: Tracks, model: str, frame_period_s: float) -> tuple[float, Smoothed]:
    """Choose the process noise of `NOISE_GRID` that makes the measurements most likely; needs no truth."""
    tried = {q: rts(tracks, model, q, frame_period_s) for q in NOISE_GRID[model]}
    best = max(tried, key=lambda q: tried[q].log_likelihood)
    return best, tried[best]


def _sequences(tracks: Tracks) -> tuple[Tensor, Tensor]:
    """Return frame numbers (E, T) of the examples, padded with their last frame, and which are real."""
    first = tracks.first.unique()
    last = tracks.last[first]
    steps = torch.arange(int((last - first).max()) + 1, device=first.device)
    index = first[:, None] + steps
    return torch.minimum(index, last[:, None]), index <= last[:, None]


def _dynamics(order: int, noise: float, dt: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return transition and process covariance (3 order, 3 order); the state is position, velocity, ..."""
    factorial = [1.0, 1.0, 2.0, 6.0]
    F, Q = torch.zeros(order, order), torch.zeros(order, order)
    for i in range(order):
        for j in range(order):
            if j >= i:
                F[i, j] = dt ** (j - i) / factorial[j - i]
            a, b = order - 1 - i, order - 1 - j
            Q[i, j] = noise * dt ** (a + b + 1) / (factorial[a] * factorial[b] * (a + b + 1))
    eye = torch.eye(3, dtype=like.dtype, device=like.device)
    return torch.kron(F.to(like), eye), torch.kron(Q.to(like), eye)


def _filter(
    z: Tensor, info: Tensor, F: Tensor, Q: Tensor, order: int
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor], float]:
    """Filter S sequences: lists over time of mean, covariance, prediction, its covariance; log likelihood."""
    S, T, _ = z.shape
    size = 3 * order
    eye3, eye = torch.eye(3, dtype=z.dtype, device=z.device), torch.eye(size, dtype=z.dtype, device=z.device)
    is_measured = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0  # (S, T)
    noise = torch.linalg.inv(torch.where(is_measured[..., None, None], info, eye3))
    x = torch.zeros(S, size, dtype=z.dtype, device=z.device)
    x[:, :3] = z[:, 0]
    P = torch.diag(torch.tensor(PRIOR_VARIANCE[:order], dtype=z.dtype, device=z.device).repeat_interleave(3)).expand(S, -1, -1)
    mean, cov, predicted, spread, likelihood = [], [], [], [], 0.0
    for t in range(T):
        if t:
            x, P = x @ F.T, F @ P @ F.T + Q
        predicted.append(x)
        spread.append(P)
        innovation = z[:, t] - x[:, :3]
        total = P[:, :3, :3] + noise[:, t]
        gain = torch.linalg.solve(total, P[:, :3]).transpose(-1, -2)  # (S, size, 3)
        gain = gain * is_measured[:, t, None, None]
        x = x + (gain @ innovation.unsqueeze(-1)).squeeze(-1)
        # Joseph's form keeps the covariance symmetric and positive.
        left = eye - torch.cat([gain, gain.new_zeros(S, size, size - 3)], -1)
        P = left @ P @ left.transpose(-1, -2) + gain @ noise[:, t] @ gain.transpose(-1, -2)
        if t:
            square = (innovation.unsqueeze(-2) @ torch.linalg.solve(total, innovation.unsqueeze(-1))).flatten()
            nll = 0.5 * (square + torch.logdet(total))
            likelihood -= float(nll[is_measured[:, t]].sum())
        mean.append(x)
        cov.append(P)
    return mean, cov, predicted, spread, likelihood
