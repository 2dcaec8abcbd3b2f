"""Small steps of rotations, and means of rotations."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def cross_matrix(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the matrices (*, 3, 3) that multiply like the cross product with x (*, 3)."""
    zero = np.zeros_like(x[..., 0])
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    rows = [np.stack(row, -1) for row in ((zero, -c, b), (c, zero, -a), (-b, a, zero))]
    return np.stack(rows, -2)


def rotation(vector: Floats) -> Floats:
    """Return the rotation matrices (*, 3, 3) of rotation vectors (*, 3) [rad] (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    turn = cross_matrix(vector)
    small = angle < 1e-6
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1.0, np.sin(safe) / safe)
    b = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    found: Floats = np.eye(3) + a * turn + b * turn @ turn
    return found


def rotation_vector(R: Floats) -> Floats:
    """Return the rotation vectors (*, 3) [rad] of rotations (*, 3, 3) by less than half a turn."""
    half = np.stack(
        [R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1
    )
    sine = np.linalg.norm(half, axis=-1, keepdims=True) / 2
    cosine = (np.trace(R, axis1=-2, axis2=-1)[..., None] - 1) / 2
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine > 1e-9, angle / np.where(sine > 1e-9, sine, 1.0), 1.0)
    found: Floats = half / 2 * scale
    return found


def angle_between(A: Floats, B: Floats) -> Floats:
    """Return the angles (*,) between rotations (*, 3, 3) [rad]."""
    # From the length of the difference: the trace alone is blind to angles below 1e-8.
    gap = np.linalg.norm(A - B, axis=(-2, -1)) / np.sqrt(8)
    found: Floats = 2 * np.arcsin(np.clip(gap, 0, 1))
    return found


def nearest_rotation(matrix: Floats) -> Floats:
    """Return the rotations (*, 3, 3) nearest to matrices (*, 3, 3), such as means of rotations."""
    U, _, Vt = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(U @ Vt))
    U = U.copy()
    U[..., :, 2] *= sign[..., None]
    found: Floats = U @ Vt
    return found
