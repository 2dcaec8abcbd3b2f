"""The cameras that are calibrated, and how they project: OpenCV's pinhole and fisheye models."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.geometry.lenses import FISHEYE, FISHEYE_COUNT

Floats = npt.NDArray[np.float64]
SIZE = 9  # parameters of a lens: log focal length, log aspect, centre, 5 coefficients
_STEP = 1e-30  # of the complex step, which has no rounding error
_OF_PINHOLE = 5  # k1 k2 p1 p2 k3


@dataclass(frozen=True)
class Cameras:
    """V cameras.

    Attributes:
        rotation: (V, 3, 3) world to camera.
        translation: (V, 3) world to camera [m].
        lens: (V, 9) log of the focal length [px], log of fx / fy, centre [px], coefficients: k1 k2
            p1 p2 k3 of a pinhole camera, k1 k2 k3 k4 of a fisheye.
        kinds: V times `pinhole` or `fisheye`.
        names: V names.
        sizes: (V, 2) width and height of the pictures [px].
    """

    rotation: Floats
    translation: Floats
    lens: Floats
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    sizes: Floats

    @property
    def intrinsics(self) -> Floats:
        """OpenCV's camera matrices (V, 3, 3) [px]."""
        K = np.tile(np.eye(3), (len(self.lens), 1, 1))
        fx, fy = _focal(self.lens)
        K[:, 0, 0], K[:, 1, 1] = fx, fy
        K[:, :2, 2] = self.lens[:, 2:4]
        return K

    @property
    def extrinsics(self) -> Floats:
        """World to camera (V, 3, 4) [m]."""
        return np.concatenate([self.rotation, self.translation[..., None]], -1)

    @property
    def distortion(self) -> Floats:
        """OpenCV's coefficients (V, 5); a fisheye has 4 and a 0."""
        return self.lens[:, 4:].copy()

    @property
    def centres(self) -> Floats:
        """Where the cameras are (V, 3) [m]."""
        found: Floats = -np.einsum("vji,vj->vi", self.rotation, self.translation)
        return found

    def chosen(self, indices: list[int]) -> "Cameras":
        """Keep some cameras."""
        return Cameras(
            self.rotation[indices],
            self.translation[indices],
            self.lens[indices],
            tuple(self.kinds[v] for v in indices),
            tuple(self.names[v] for v in indices),
            self.sizes[indices],
        )

    def in_world(self, rotation: Floats, translation: Floats) -> "Cameras":
        """Take another world frame; a rotation (3, 3) and a shift (3,) map it to this one."""
        return replace(
            self,
            rotation=self.rotation @ rotation,
            translation=self.translation + self.rotation @ translation,
        )


def coefficients(kind: str) -> int:
    """Return how many coefficients a kind of lens has."""
    return FISHEYE_COUNT if kind == FISHEYE else _OF_PINHOLE


def lens_of(K: Floats, distortion: Floats) -> Floats:
    """Return the parameters (9,) of a lens from OpenCV's matrix and coefficients."""
    fx, fy = K[0, 0], K[1, 1]
    found = np.zeros(SIZE)
    found[:4] = np.log(fx * fy) / 2, np.log(fx / fy), K[0, 2], K[1, 2]
    found[4 : 4 + len(distortion)] = distortion
    return found


def _focal(lens: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    mean, half = lens[..., 0], lens[..., 1] / 2
    return np.exp(mean + half), np.exp(mean - half)


def project(points: npt.NDArray[Any], lens: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """Project points (n, 3) of the camera's frame [m] to the picture (n, 2) [px].

    Args:
        points: Real or complex.
        lens: (9,) or (n, 9), real or complex.
        kind: `pinhole` or `fisheye`.
    """
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    k = [lens[..., 4 + i] for i in range(5)]
    square = x * x + y * y
    if kind == FISHEYE:
        r = np.sqrt(square + 1e-24)
        angle = np.arctan(r)
        a2 = angle * angle
        bent = angle * (1 + a2 * (k[0] + a2 * (k[1] + a2 * (k[2] + a2 * k[3]))))
        x, y = x * bent / r, y * bent / r
    else:
        k1, k2, p1, p2, k3 = k
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
            y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        )
    fx, fy = _focal(lens)
    return np.stack([fx * x + lens[..., 2], fy * y + lens[..., 3]], -1)


def derivatives(points: Floats, lens: Floats, kind: str) -> tuple[Floats, Floats]:
    """Return the derivatives of `project` by the points (n, 2, 3) and by the lens (n, 2, 9)."""
    by_point, by_lens = [], []
    for i in range(3):
        moved = points.astype(np.complex128)
        moved[:, i] += 1j * _STEP
        by_point.append(project(moved, lens, kind).imag / _STEP)
    for i in range(SIZE):
        other = lens.astype(np.complex128)
        other[i] += 1j * _STEP
        by_lens.append(project(points, other, kind).imag / _STEP)
    return np.stack(by_point, -1), np.stack(by_lens, -1)
