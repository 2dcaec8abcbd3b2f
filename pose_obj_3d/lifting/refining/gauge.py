"""The freedom that views leave: to turn, move and scale cameras and points together."""

import numpy as np
import numpy.typing as npt

from pose_obj_3d.geometry.adjusting.rotations import cross_matrix, nearest_rotation
from pose_obj_3d.lifting.refining.track_problem import POSE, SIZE, Poses

Floats = npt.NDArray[np.float64]
_ROUNDS = 5
_FAR = 3.0  # points further apart than so many medians count less


def similarity(a: Floats, b: Floats) -> tuple[Floats, float, Floats]:
    """Find what maps points a to b, (n, 3) each: b = scale * R a + shift, robustly.

    Returns:
        R (3, 3), scale, shift (3,).
    """
    weight = np.ones(len(a))
    for _ in range(_ROUNDS):
        w = weight / weight.sum()
        mean_a, mean_b = w @ a, w @ b
        A, B = a - mean_a, b - mean_b
        R = nearest_rotation((B * w[:, None]).T @ A)
        scale = float((w * (B * (A @ R.T)).sum(-1)).sum() / (w * (A**2).sum(-1)).sum())
        shift = mean_b - scale * R @ mean_a
        off = np.linalg.norm(scale * a @ R.T + shift - b, axis=-1)
        limit = max(_FAR * float(np.median(off)), 1e-12)
        weight = 1 / (1 + (off / limit) ** 2) ** 2
    return R, scale, shift


def without_gauge(covariance: Floats, poses: Poses, points: Floats, precision: Floats) -> Floats:
    """Take out of a covariance (V * 7, V * 7) what all cameras and points do together.

    Args:
        covariance: Of turns, shifts and zooms of V cameras.
        poses: The cameras.
        points: (n, 3) what they see.
        precision: (V, 7) weights by which the common motion is told from the others.
    """
    V = len(poses.zoom)
    arm = poses.centre - np.median(points, 0)
    common = np.zeros((V, SIZE, 7))  # by turn, shift and scale of the world
    common[:, :3, :3] = -poses.rotation
    common[:, 3:POSE, :3] = -cross_matrix(arm)
    common[:, 3:POSE, 3:6] = np.eye(3)
    common[:, 3:POSE, 6] = arm
    G, weight = common.reshape(V * SIZE, 7), precision.reshape(-1, 1)
    part = np.linalg.lstsq(G.T @ (weight * G), (weight * G).T, rcond=None)[0]
    keep = np.eye(V * SIZE) - G @ part
    found: Floats = keep @ covariance @ keep.T
    return found
