"""One camera, calibration matrices and projection; the sole owner of camera conventions.

Three frames share a camera's centre. The *sensor* frame is CoppeliaSim's: z looks ahead, y up,
x to the LEFT of the image (hence PyRep's negative focal lengths). The *camera* frame is
OpenCV's: x right, y down, z ahead; everything here speaks it. MuJoCo's camera looks along -z
with y up. Pixel i covers [i, i + 1), so pixel centres lie at + 0.5 and the image centre at W / 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Matrix3 = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

# Sensor or MuJoCo axes to OpenCV axes: turns by 180 degrees, their own inverses.
_SENSOR_TO_CV = np.diag([-1.0, -1.0, 1.0])
_MUJOCO_TO_CV = np.diag([1.0, -1.0, -1.0])
_MIN_DEPTH = 1e-9  # [m] keeps points in the camera's own plane finite
_MIN_DISTANCE, _MIN_SINE = 1e-9, 1e-6  # between what two directions are made of


@dataclass(frozen=True)
class CameraSpec:
    """One pinhole camera with square pixels.

    Attributes:
        name: key of the camera in observations and files.
        position: (3,) camera centre [m], in the world or in the parent's frame.
        rotation: 3x3, rows; columns are the sensor's axes in the world or parent frame.
        fov_deg: full view angle over the longer image side [degrees].
        near: near clipping plane [m].
        far: far clipping plane of the original sensor [m].
        parent: body that the camera rides on; None for a static camera.
    """

    name: str
    position: tuple[float, float, float]
    rotation: Matrix3
    fov_deg: float = 40.0
    near: float = 0.01
    far: float = 3.5
    parent: str | None = None

    def __post_init__(self) -> None:
        R = np.asarray(self.rotation, dtype=np.float64)
        if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=1e-4):
            raise ValueError(
                f"camera {self.name!r}: rotation must be a 3x3 rotation, got {R.tolist()}"
            )
        if np.linalg.det(R) < 0:
            raise ValueError(f"camera {self.name!r}: rotation is a mirror (determinant -1)")
        if not 0 < self.fov_deg < 180:
            raise ValueError(
                f"camera {self.name!r}: fov_deg must be in (0, 180), got {self.fov_deg}"
            )
        if not 0 < self.near < self.far:
            raise ValueError(
                f"camera {self.name!r}: need 0 < near < far, got {self.near} and {self.far}"
            )

    @classmethod
    def look_at(
        cls,
        name: str,
        position: Sequence[float],
        target: Sequence[float],
        up: Sequence[float] = (0.0, 0.0, 1.0),
        *,
        fov_deg: float = 40.0,
        near: float = 0.01,
        far: float = 3.5,
    ) -> "CameraSpec":
        """Make a static camera that looks at a point.

        Args:
            name: key of the camera in observations and files.
            position: (3,) camera centre [m], world.
            target: (3,) point that is seen in the middle of the image [m], world.
            up: (3,) direction in the world that points up in the image.
            fov_deg: full view angle over the longer image side [degrees].
            near: near clipping plane [m].
            far: far clipping plane [m].

        Raises:
            ValueError: position and target are one point, or `up` points along the view.
        """
        centre = np.asarray(position, dtype=np.float64)
        ahead = np.asarray(target, dtype=np.float64) - centre
        left = np.cross(np.asarray(up, dtype=np.float64), ahead)
        if not np.linalg.norm(ahead) > _MIN_DISTANCE:
            raise ValueError(
                f"camera {name!r}: position and target must be two points, got"
                f" {list(position)} and {list(target)}"
            )
        if not np.linalg.norm(left) > _MIN_SINE * np.linalg.norm(ahead) * np.linalg.norm(up):
            raise ValueError(
                f"camera {name!r}: up = {list(up)} must not be zero or point along the view"
            )
        axes = [left, np.cross(ahead, left), ahead]
        columns = np.stack([axis / np.linalg.norm(axis) for axis in axes], axis=1)
        rows = [(float(x), float(y), float(z)) for x, y, z in columns]
        x, y, z = centre.tolist()
        return cls(
            name, (x, y, z), (rows[0], rows[1], rows[2]), fov_deg=fov_deg, near=near, far=far
        )

    def T_world_cam(self) -> Floats:
        """Return (4, 4) OpenCV camera frame to world, or to the parent's frame when mounted."""
        # The table has 8 digits; the nearest true rotation makes inverse and transpose agree.
        u, _, vt = np.linalg.svd(np.asarray(self.rotation, dtype=np.float64))
        T = np.eye(4)
        T[:3, :3] = u @ vt @ _SENSOR_TO_CV
        T[:3, 3] = self.position
        return T


def intrinsics(fov_deg: float, width: int, height: int) -> Floats:
    """Return (3, 3) OpenCV intrinsics [px] of a view angle over the longer image side."""
    f = 0.5 * max(width, height) / np.tan(np.deg2rad(fov_deg) / 2)
    return np.array([[f, 0.0, width / 2], [0.0, f, height / 2], [0.0, 0.0, 1.0]])


def extrinsics(T_world_cam: npt.ArrayLike) -> Floats:
    """Return (3, 4) world to OpenCV camera, the inverse of the (4, 4) rigid `T_world_cam`."""
    T = np.asarray(T_world_cam, dtype=np.float64)
    R_cam_world = T[:3, :3].T
    return np.concatenate([R_cam_world, -R_cam_world @ T[:3, 3:]], axis=1)


def project(
    xyz_world: npt.ArrayLike, intrinsics: npt.ArrayLike, extrinsics: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Project world points into one camera.

    Args:
        xyz_world: (..., 3) points [m].
        intrinsics: (3, 3) [px].
        extrinsics: (3, 4) world to camera.

    Returns:
        uv: (..., 2) image points [px]; without meaning where depth <= 0.
        depth: (...) distance along the camera's z axis [m].
    """
    E = np.asarray(extrinsics, dtype=np.float64)
    xyz_cam = np.asarray(xyz_world, dtype=np.float64) @ E[:, :3].T + E[:, 3]
    return _to_pixels(xyz_cam, np.asarray(intrinsics, dtype=np.float64))


def project_views(
    xyz_world: npt.ArrayLike, intrinsics: npt.ArrayLike, extrinsics: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Project tracks into all views at once.

    Args:
        xyz_world: (T, K, 3) points [m].
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera.

    Returns:
        uv: (V, T, K, 2) image points [px]; without meaning where depth <= 0.
        depth: (V, T, K) distance along each camera's z axis [m].
    """
    E = np.asarray(extrinsics, dtype=np.float64)
    xyz = np.asarray(xyz_world, dtype=np.float64)
    xyz_cam = np.einsum("vij,tkj->vtki", E[:, :, :3], xyz) + E[:, None, None, :, 3]
    return _to_pixels(xyz_cam, np.asarray(intrinsics, dtype=np.float64)[:, None, None])


def _to_pixels(xyz_cam: Floats, K: Floats) -> tuple[Floats, Floats]:
    """Divide (..., 3) camera points by their depth and apply (..., 3, 3) intrinsics."""
    depth = xyz_cam[..., 2]
    z = np.where(np.abs(depth) < _MIN_DEPTH, _MIN_DEPTH, depth)
    x, y = xyz_cam[..., 0] / z, xyz_cam[..., 1] / z
    u = K[..., 0, 0] * x + K[..., 0, 1] * y + K[..., 0, 2]
    v = K[..., 1, 1] * y + K[..., 1, 2]
    return np.stack([u, v], axis=-1), depth


def unproject_depth(
    depth: npt.ArrayLike, intrinsics: npt.ArrayLike, extrinsics: npt.ArrayLike
) -> Floats:
    """Turn a depth image into world points, one per pixel centre.

    Args:
        depth: (H, W) distance along the camera's z axis [m].
        intrinsics: (3, 3) [px], of an image of this size.
        extrinsics: (3, 4) world to camera.

    Returns:
        (H, W, 3) points [m], world.
    """
    z = np.asarray(depth, dtype=np.float64)
    K = np.asarray(intrinsics, dtype=np.float64)
    E = np.asarray(extrinsics, dtype=np.float64)
    height, width = z.shape
    y = (np.arange(height)[:, None] + 0.5 - K[1, 2]) / K[1, 1]
    x = (np.arange(width)[None, :] + 0.5 - K[0, 2] - K[0, 1] * y) / K[0, 0]
    xyz_cam = np.stack([x * z, y * z, z], axis=-1)
    points: Floats = (xyz_cam - E[:, 3]) @ E[:, :3]
    return points


def mujoco_camera(T_world_cam: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the (3,) position [m] and (4,) quaternion wxyz of a MuJoCo camera at this pose."""
    T = np.asarray(T_world_cam, dtype=np.float64)
    return T[:3, 3].copy(), _quat_wxyz(T[:3, :3] @ _MUJOCO_TO_CV)


def camera_from_mujoco(position: npt.ArrayLike, rotation: npt.ArrayLike) -> Floats:
    """Return (4, 4) `T_world_cam` of a MuJoCo camera's `cam_xpos` (3,) and `cam_xmat` (9,)."""
    T = np.eye(4)
    T[:3, :3] = np.asarray(rotation, dtype=np.float64).reshape(3, 3) @ _MUJOCO_TO_CV
    T[:3, 3] = position
    return T


def pyrep_intrinsics(intrinsics: npt.ArrayLike) -> Floats:
    """Return PyRep's intrinsics, with negative focal lengths, of (3, 3) OpenCV ones.

    They pair with extrinsics whose axes are the sensor's (x left, y up).
    """
    K: Floats = np.asarray(intrinsics, dtype=np.float64) @ _SENSOR_TO_CV
    return K


def pyrep_extrinsics(T_world_cam: npt.ArrayLike) -> Floats:
    """Return (4, 4) sensor frame to world, as PyRep's `get_matrix` does."""
    T = np.array(T_world_cam, dtype=np.float64)
    T[:3, :3] = T[:3, :3] @ _SENSOR_TO_CV
    return T


def _quat_wxyz(R: Floats) -> Floats:
    """Return the (4,) unit quaternion wxyz, w >= 0, of a (3, 3) rotation.

    The eigenvector of the largest eigenvalue (Bar-Itzhack 2000): no case distinction.
    """
    (a, b, c), (d, e, f), (g, h, i) = R
    K = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    q: Floats = np.linalg.eigh(K)[1][:, -1]
    return -q if q[0] < 0 else q
