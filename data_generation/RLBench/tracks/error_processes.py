"""How the errors of a real detector are related: in time, between keypoints, at one place.

All arrays are those of one view. Errors have unit variance here. NumPy only.
"""

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.facts import WHITE_SHARE

GROSS_SPREAD = 0.5
"""Standard deviation of the logarithm of the length of gross errors."""
SAME_PLACE_PX = 1 / 16
"""Keypoints whose exact 2D positions are nearer than this in both coordinates are at one place."""

Array = npt.NDArray[np.float64]
Rng = np.random.Generator


def memory(time_constant: float) -> float:
    """Give the correlation of a process one frame later; 0 for a time constant of 0 [frames]."""
    return float(np.exp(-1 / time_constant)) if time_constant > 0 else 0.0


def autoregression(rng: Rng, shape: tuple[int, ...], time_constant: float) -> Array:
    """Draw a stationary process of first order, AR(1), along the first axis (frames)."""
    a = memory(time_constant)
    x = rng.standard_normal(shape)
    x[1:] *= np.sqrt(1 - a * a)
    for t in range(1, len(x)):
        x[t] += a * x[t - 1]
    return x


def correlated(
    white: Array, time_constant: float, persistent_share: float, slow_rng: Rng, offset_rng: Rng
) -> Array:
    """Make an error that lasts, from one that is independent in each frame.

    The result is the sum of three parts: an offset for the whole demonstration with
    `persistent_share` of the variance; an AR(1) process with the time constant; and, with
    `WHITE_SHARE` of what the offset leaves, the independent error. The autocorrelation at k frames
    is share + (1 - share) (1 - WHITE_SHARE) exp(-k / time constant). For a share of 1/3 and 8.5
    frames this is 0.88, 0.68, 0.52, 0.39 at 1, 5, 10, 20 frames; 0.88, 0.67, 0.53, 0.39 were
    measured. No AR(1) with an offset alone is nearer than 0.026 to all four.

    Args:
        white: (T, K, 2), unit variance.
        time_constant: [frames]; 0 leaves out the AR(1) process.
        persistent_share: Share of the variance that is constant, from 0 to 1.
        slow_rng: Draws the AR(1) process.
        offset_rng: Draws the offsets.

    Returns:
        (T, K, 2), unit variance.
    """
    error = white
    if time_constant > 0:
        slow = autoregression(slow_rng, white.shape, time_constant)
        error = np.sqrt(1 - WHITE_SHARE) * slow + np.sqrt(WHITE_SHARE) * white
    if persistent_share > 0:
        offset = offset_rng.standard_normal(white.shape[1:])
        error = np.sqrt(1 - persistent_share) * error + np.sqrt(persistent_share) * offset
    return error


def keypoint_factors(rng: Rng, n_keypoints: int, spread: float) -> Array:
    """Draw a factor (K,) on each keypoint's standard deviation; their mean square is 1.

    Args:
        rng: Draws them.
        n_keypoints: K.
        spread: Standard deviation of the factors' logarithm.
    """
    factors = np.exp(spread * rng.standard_normal(n_keypoints))
    scaled: Array = factors / np.sqrt(np.mean(factors**2))
    return scaled


def stretches(
    rng: Rng, shape: tuple[int, int], time_constant: float, persistent_share: float
) -> tuple[Array, Array]:
    """Draw stretches of time in which a detection may be far off.

    Every stretch has a level, uniform from 0 to 1, and an offset, which moves with the point. The
    detection is far off in those frames of the stretch where the rate of such errors is above the
    level, so each frame has exactly its rate. A stretch ends in each frame with the same
    probability, and a `persistent_share` of the keypoints has one stretch for the whole
    demonstration: the autocorrelation has the form of `correlated`, without its white share.

    Args:
        rng: Draws all of it.
        shape: T, K.
        time_constant: Mean length of a stretch, about [frames]; 0 draws each frame on its own.
        persistent_share: Share of the keypoints whose stretch does not end.

    Returns:
        Levels (T, K), and offsets (T, K, 2) with a median length of 1.
    """
    T, K = shape
    # Always the same number of draws, so that a setting changes what it means and nothing else.
    level = rng.random(shape)
    length = np.exp(GROSS_SPREAD * rng.standard_normal(shape))
    angle = rng.uniform(0, 2 * np.pi, shape)
    begins = rng.random(shape) >= memory(time_constant)
    begins &= rng.random(K) >= persistent_share
    start = np.maximum.accumulate(np.where(begins, np.arange(T)[:, None], 0), axis=0)
    level, length, angle = (np.take_along_axis(x, start, axis=0) for x in (level, length, angle))
    return level, length[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def first_at_place(uv: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Find for each keypoint (T, K) the first one that is at its place, often itself.

    Args:
        uv: (T, K, 2) exact image points [px].
    """
    near = (np.abs(uv[:, :, None] - uv[:, None]) < SAME_PLACE_PX).all(axis=-1)
    near |= np.eye(uv.shape[1], dtype=bool)  # where the point is not finite
    first: npt.NDArray[np.intp] = near.argmax(axis=-1)
    return first
