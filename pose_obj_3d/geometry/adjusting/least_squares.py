"""Robust least squares of cameras, and of blocks that they see: points, or poses of a board.

A residual depends on one camera and one block. So the blocks are eliminated (Schur complement), and
a system of the cameras alone is left. Its inverse is the covariance of the cameras. Residuals are
weighted as under Student's t distribution, so gross errors hardly count.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
DEGREES_OF_FREEDOM = 4.0  # of the t distribution: residuals beyond 2 sigma lose weight
_SMALL_STEP = 1e-4  # of the cost: below it nothing more is gained
_MAX_DAMPING = 1e8
_OF_MEDIAN = 1.1774  # the median distance of a point with sigma 1 in both coordinates
_LEAST_SIGMA_PX = 0.01
State = TypeVar("State")


@dataclass(frozen=True)
class Linear:
    """Residuals and their derivatives, for N observations.

    Attributes:
        residual: (N, 2) predicted less measured [px].
        by_camera: (N, 2, S) derivative by the S parameters of the observing camera.
        by_block: (N, 2, L) derivative by the L parameters of the observed block.
    """

    residual: Floats
    by_camera: Floats
    by_block: Floats


@dataclass(frozen=True)
class Prior:
    """What is known of the cameras beforehand.

    Attributes:
        deviation: (V, S) of the state's parameters from their prior values.
        precision: (V, S) 1 / variance; 0 where nothing is known.
    """

    deviation: Floats
    precision: Floats


class Problem(Protocol[State]):
    """What is adjusted. Observations are sorted by camera, then by block.

    Attributes:
        camera: (N,) which camera observes.
        block: (N,) what it observes.
        free: (V, S) which parameters of the cameras may change.
        blocks: Number of blocks, B.
        block_size: Number of parameters of a block, L.
    """

    camera: Ints
    block: Ints
    free: npt.NDArray[np.bool_]
    blocks: int
    block_size: int

    def linearise(self, state: State) -> Linear:
        """Give residuals and derivatives."""
        ...

    def residual(self, state: State) -> Floats:
        """Give the residuals (N, 2) alone."""
        ...

    def prior(self, state: State) -> Prior:
        """Compare the cameras with what is known of them."""
        ...

    def moved(self, state: State, cameras: Floats, blocks: Floats) -> State:
        """Change the parameters by steps (V, S) and (B, L)."""
        ...


@dataclass(frozen=True)
class Normal:
    """Normal equations, and what a step needs of them."""

    U: Floats  # (V, S, S) of the cameras
    W: Floats  # (V, B, S, L)
    H: Floats  # (B, L, L) of the blocks
    g: Floats  # (V, S)
    h: Floats  # (B, L)


@dataclass(frozen=True)
class Solution(Generic[State]):
    """What was found.

    Attributes:
        state: The adjusted parameters.
        covariance: (V * S, V * S) of the cameras' parameters; 0 for those that are fixed.
        sigma: (V,) noise of each camera [px].
        residual: (N, 2) [px].
    """

    state: State
    covariance: Floats
    sigma: Floats
    residual: Floats


def minimise(
    problem: Problem[State], state: State, sigma: Floats | None = None, steps: int = 30
) -> Solution[State]:
    """Find the most probable cameras and blocks (Levenberg-Marquardt).

    Args:
        problem: What is adjusted.
        state: The start.
        sigma: (V,) noise of each camera [px]; estimated when None.
        steps: The most steps.
    """
    noise = noise_of(problem, state) if sigma is None else sigma
    damping, cost = 1e-4, _cost(problem, state, noise)
    for _ in range(steps):
        normal = _normal(problem, state, noise)
        while damping < _MAX_DAMPING:
            trial = problem.moved(state, *_step(problem, normal, damping))
            new = _cost(problem, trial, noise)
            if new < cost:
                break
            damping *= 10
        else:
            break
        gain, state, cost = cost - new, trial, new
        damping = max(damping / 10, 1e-9)
        if gain < _SMALL_STEP * max(1.0, 1e-6 * cost):
            if sigma is not None:
                break
            found = noise_of(problem, state)
            if np.abs(np.log(found / noise)).max() < 0.01:
                break
            noise = found
            cost = _cost(problem, state, noise)
        elif sigma is None:
            noise = noise_of(problem, state)
            cost = _cost(problem, state, noise)
    normal = _normal(problem, state, noise)
    return Solution(state, _covariance(problem, normal), noise, problem.residual(state))


def noise_of(problem: Problem[State], state: State) -> Floats:
    """Return each camera's noise (V,) [px], from the median residual and the redundancy."""
    V, S = problem.free.shape
    distance = np.linalg.norm(problem.residual(state), axis=-1)
    known = problem.free.sum() + problem.block_size * problem.blocks
    redundancy = max(0.1, 1 - known / (2 * len(distance)))
    overall = float(np.median(distance)) if len(distance) else 1.0
    found = np.full(V, overall)
    for v in range(V):
        own = distance[problem.camera == v]
        if len(own) > 2 * S:
            found[v] = np.median(own)
    noise: Floats = np.maximum(found / _OF_MEDIAN / np.sqrt(redundancy), _LEAST_SIGMA_PX)
    return noise


def weights_of(residual: Floats, sigma: Floats) -> Floats:
    """Return the weights (N,) of residuals (N, 2) with noise sigma (N,): 1 for small ones."""
    square = (residual**2).sum(-1) / sigma**2
    nu = DEGREES_OF_FREEDOM
    found: Floats = nu / (nu + square)
    return found


def _cost(problem: Problem[State], state: State, sigma: Floats) -> float:
    square = (problem.residual(state) ** 2).sum(-1) / sigma[problem.camera] ** 2
    if not np.isfinite(square).all():
        return float("inf")
    nu = DEGREES_OF_FREEDOM
    prior = problem.prior(state)
    known = 0.5 * float((prior.precision * prior.deviation**2).sum())
    return 0.5 * nu * float(np.log1p(square / nu).sum()) + known


def _normal(problem: Problem[State], state: State, sigma: Floats) -> Normal:
    linear, prior = problem.linearise(state), problem.prior(state)
    V, S = problem.free.shape
    B, L = problem.blocks, linear.by_block.shape[-1]
    noise = sigma[problem.camera]
    root = np.sqrt(weights_of(linear.residual, noise)) / noise
    whole = np.concatenate(
        [linear.by_camera * problem.free[problem.camera][:, None], linear.by_block], -1
    )
    whole = np.concatenate([whole, linear.residual[..., None]], -1) * root[:, None, None]
    U, W, H = np.zeros((V, S, S)), np.zeros((V, B, S, L)), np.zeros((B, L, L))
    g, h = np.zeros((V, S)), np.zeros((B, L))
    for v in range(V):
        rows = slice(*np.searchsorted(problem.camera, (v, v + 1)))
        own, block = whole[rows], problem.block[rows]
        if len(own) == 0:
            continue
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        flat = np.concatenate([own[:, 0], own[:, 1]])
        U[v] = flat[:, :S].T @ flat[:, :S]
        g[v] = flat[:, :S].T @ flat[:, -1]
        both = np.add.reduceat(own[:, :, S:-1].transpose(0, 2, 1) @ own, starts)
        seen = block[starts]
        W[v, seen] = both[:, :, :S].transpose(0, 2, 1)
        H[seen] += both[:, :, S:-1]
        h[seen] += both[:, :, -1]
    index = np.arange(S)
    U[:, index, index] += prior.precision * problem.free
    g += prior.precision * prior.deviation * problem.free
    return Normal(U, W, H, g, h)


def _reduced(
    problem: Problem[State], normal: Normal, damping: float
) -> tuple[Floats, Floats, Floats]:
    """Return the system of the cameras (V S, V S), W H^-1 (V S, B L), and H^-1."""
    V, S = problem.free.shape
    B, L = normal.h.shape
    H = normal.H + np.eye(L) * (damping * normal.H + _ridge(normal.H))
    inverse: Floats = np.asarray(np.linalg.inv(H), np.float64)
    Y = (normal.W @ inverse).transpose(0, 2, 1, 3).reshape(V * S, B * L)
    W = normal.W.transpose(0, 2, 1, 3).reshape(V * S, B * L)
    system: Floats = -Y @ W.T
    for v in range(V):
        rows = slice(v * S, (v + 1) * S)
        system[rows, rows] += normal.U[v] + damping * np.diag(np.diag(normal.U[v]))
    free = problem.free.ravel()
    system[~free], system[:, ~free] = 0.0, 0.0
    system[~free, ~free] = 1.0
    return system, Y, inverse


def _ridge(H: Floats) -> Floats:
    """Return a little (B, 1, 1) that keeps blocks that are hardly seen from being singular."""
    L = H.shape[-1]
    found: Floats = 1e-12 * np.trace(H, axis1=-2, axis2=-1)[:, None, None] / L + 1e-12
    return found


def _step(problem: Problem[State], normal: Normal, damping: float) -> tuple[Floats, Floats]:
    V, S = problem.free.shape
    system, Y, inverse = _reduced(problem, normal, damping)
    right = np.where(problem.free.ravel(), Y @ normal.h.ravel() - normal.g.ravel(), 0.0)
    cameras = _solved(system, right).reshape(V, S)
    back = normal.h + np.einsum("vbsl,vs->bl", normal.W, cameras)
    return cameras, -(inverse @ back[..., None])[..., 0]


def _solved(system: Floats, right: Floats) -> Floats:
    # Pixels, radians and metres meet here: the system is scaled to a diagonal of 1.
    scale = 1 / np.sqrt(np.maximum(np.diag(system), 1e-300))
    scaled = system * scale[:, None] * scale
    found: Floats = np.linalg.lstsq(scaled, right * scale, rcond=1e-14)[0] * scale
    return found


def _covariance(problem: Problem[State], normal: Normal) -> Floats:
    system, _, _ = _reduced(problem, normal, 0.0)
    scale = 1 / np.sqrt(np.maximum(np.diag(system), 1e-300))
    covariance = np.linalg.pinv(system * scale[:, None] * scale, rcond=1e-14, hermitian=True)
    fixed = ~problem.free.ravel()
    covariance = covariance * scale[:, None] * scale
    covariance[fixed], covariance[:, fixed] = 0.0, 0.0
    return covariance
