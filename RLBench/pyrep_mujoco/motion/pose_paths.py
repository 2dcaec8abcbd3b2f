"""Paths of poses: where on the way through them each lies, and the pose at any fraction of it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.transforms import Floats


def path_fractions(poses: Sequence[Floats]) -> Floats:
    """Return (N,) where (4, 4) poses lie on the way through them, 0 to 1.

    Where a path turns on the spot a radian counts as 0.1 m.
    """
    steps = [
        max(
            float(np.linalg.norm(b[:3, 3] - a[:3, 3])),
            0.1 * float(np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1))),
        )
        for a, b in pairwise(poses)
    ]
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    total = float(lengths[-1])
    return lengths / total if total > 0 else np.linspace(0.0, 1.0, len(poses))


def pose_along(poses: Sequence[Floats], fraction: float) -> Floats:
    """Return the (4, 4) pose at a fraction of the way through poses."""
    at = path_fractions(poses)
    i = int(np.clip(np.searchsorted(at, fraction, side="right") - 1, 0, max(len(poses) - 2, 0)))
    if len(poses) == 1 or at[i + 1] == at[i]:
        return poses[i]
    share = (fraction - at[i]) / (at[i + 1] - at[i])
    return tf.interpolate(poses[i], poses[i + 1], float(np.clip(share, 0.0, 1.0)))
