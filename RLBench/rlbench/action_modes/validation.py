"""What every action must fulfil."""

import numpy as np
import numpy.typing as npt

from rlbench.backend.exceptions import InvalidActionError
from rlbench.transforms import Floats

UNIT_TOLERANCE = 1e-4
"""How far the length of a quaternion may be from 1; 32 bit floats are within 1e-7."""


def checked(action: npt.ArrayLike, shape: tuple[int, ...], what: str) -> Floats:
    """Return an action as 64 bit floats.

    Args:
        action: what the caller gave.
        shape: what it must have.
        what: names the action mode in the message.

    Raises:
        InvalidActionError: wrong shape, or not finite.
    """
    values = np.asarray(action, np.float64)
    if values.shape != shape:
        raise InvalidActionError(f"{what}: the action has shape {values.shape}, it must be {shape}")
    if not np.isfinite(values).all():
        raise InvalidActionError(f"{what}: the action {values.tolist()} has numbers not finite")
    return values


def unit_quaternion(quaternion: Floats, what: str) -> Floats:
    """Return a (4,) quaternion xyzw at exactly unit length.

    Raises:
        InvalidActionError: its length is not 1.
    """
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise InvalidActionError(
            f"{what}: the quaternion {quaternion.tolist()} (xyzw) has length {length:.6g}, "
            "it must have length 1; divide it by its norm"
        )
    return quaternion / length
