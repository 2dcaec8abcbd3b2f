"""Rotations and rigid transforms in NumPy; the order of a quaternion is in every name."""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def wxyz_to_xyzw(quat: Floats) -> Floats:
    """Reorder a (..., 4) quaternion."""
    return np.roll(quat, -1, axis=-1)


def xyzw_to_wxyz(quat: Floats) -> Floats:
    """Reorder a (..., 4) quaternion."""
    return np.roll(quat, 1, axis=-1)


def quat_wxyz_to_matrix(quat: Floats) -> Floats:
    """Turn a (4,) quaternion into a (3, 3) rotation."""
    w, x, y, z = np.asarray(quat, float) / np.linalg.norm(quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quat_wxyz(R: Floats) -> Floats:
    """Turn a (3, 3) rotation into a (4,) quaternion with w >= 0.

    Source: Bar-Itzhack, New method for extracting the quaternion from a rotation matrix (2000).
    """
    K = np.array(
        [
            [R[0, 0] - R[1, 1] - R[2, 2], 0.0, 0.0, 0.0],
            [R[0, 1] + R[1, 0], R[1, 1] - R[0, 0] - R[2, 2], 0.0, 0.0],
            [R[0, 2] + R[2, 0], R[1, 2] + R[2, 1], R[2, 2] - R[0, 0] - R[1, 1], 0.0],
            [R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], np.trace(R)],
        ]
    )
    _, vectors = np.linalg.eigh(K)  # lower triangle is enough
    x, y, z, w = vectors[:, -1]
    quat = np.array([w, x, y, z])
    return -quat if w < 0 else quat


def quick_quat_wxyz(R: Floats) -> Floats:
    """Turn a (3, 3) rotation that is exact to rounding into a (4,) quaternion with w >= 0.

    Source: Shepperd, Quaternion from rotation matrix (1978); a tenth of the time of
    `matrix_to_quat_wxyz`, which also takes what is only nearly a rotation.
    """
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    trace = a + e + i
    largest = max(trace, a, e, i)
    if largest == trace:
        quat = [1.0 + trace, h - f, c - g, d - b]
    elif largest == a:
        quat = [h - f, 1.0 + a - e - i, b + d, c + g]
    elif largest == e:
        quat = [c - g, b + d, 1.0 - a + e - i, f + h]
    else:
        quat = [d - b, c + g, f + h, 1.0 - a - e + i]
    w, x, y, z = quat
    scale = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    # A turn by half is of either sign: rounding must not choose it.
    if w * scale < -1e-12:
        scale = -scale
    return np.array([w * scale, x * scale, y * scale, z * scale])


def euler_to_matrix(angles: Floats) -> Floats:
    """Return R = Rx(a) Ry(b) Rz(c) of (3,) angles [rad], CoppeliaSim's convention."""
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    Rx = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    Ry = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    Rz = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    R: Floats = Rx @ Ry @ Rz
    return R


def matrix_to_euler(R: Floats) -> Floats:
    """Return (3,) angles [rad] with R = Rx(a) Ry(b) Rz(c)."""
    b = np.arcsin(np.clip(R[0, 2], -1.0, 1.0))
    if abs(R[0, 2]) > 1 - 1e-12:  # gimbal lock: only a +- c is defined
        return np.array([np.arctan2(R[2, 1], R[1, 1]), b, 0.0])
    return np.array([np.arctan2(-R[1, 2], R[2, 2]), b, np.arctan2(-R[0, 1], R[0, 0])])


def transform(position: Floats, R: Floats) -> Floats:
    """Build a (4, 4) transform."""
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = position
    return T


def interpolate(T: Floats, T_end: Floats, share: float) -> Floats:
    """Return the (4, 4) pose a share, 0 to 1, of the straight way to another, turning evenly."""
    quat, end = matrix_to_quat_wxyz(T[:3, :3]), matrix_to_quat_wxyz(T_end[:3, :3])
    cosine = float(quat @ end)
    end = -end if cosine < 0 else end
    angle = np.arccos(np.clip(abs(cosine), 0.0, 1.0))
    weights = (
        (1 - share, share) if angle < 1e-7 else (np.sin((1 - share) * angle), np.sin(share * angle))
    )
    mixed = weights[0] * quat + weights[1] * end
    return transform(
        (1 - share) * T[:3, 3] + share * T_end[:3, 3],
        quat_wxyz_to_matrix(mixed / np.linalg.norm(mixed)),
    )


def invert(T: Floats) -> Floats:
    """Invert a (4, 4) rigid transform."""
    R_t = T[:3, :3].T
    return transform(-R_t @ T[:3, 3], R_t)


def transform_points(T: Floats, points: Floats) -> Floats:
    """Return (..., 3) points moved by a (4, 4) rigid transform."""
    moved: Floats = np.asarray(points) @ T[:3, :3].T + T[:3, 3]
    return moved


def pose_to_transform(pose: Floats) -> Floats:
    """Turn (7,) position + quaternion xyzw into a (4, 4) transform."""
    pose = np.asarray(pose, float)
    return transform(pose[:3], quat_wxyz_to_matrix(xyzw_to_wxyz(pose[3:])))


def transform_to_pose(T: Floats) -> Floats:
    """Turn a (4, 4) transform into (7,) position + quaternion xyzw."""
    return np.concatenate([T[:3, 3], wxyz_to_xyzw(matrix_to_quat_wxyz(T[:3, :3]))])


def box_corners(box: Floats) -> Floats:
    """Return the (8, 3) corners of a (6,) box xmin xmax ymin ymax zmin zmax [m]."""
    bits = (np.arange(8)[:, None] >> np.arange(3)) & 1
    corners: Floats = np.where(bits == 1, box[1::2], box[::2])
    return corners
