"""Cameras and points that explain detections best; see `geometry.adjusting.least_squares`."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pose_obj_3d.geometry.adjusting.least_squares import Linear, Prior
from pose_obj_3d.geometry.adjusting.rotations import cross_matrix, rotation, rotation_vector

Floats = npt.NDArray[np.float64]
POSE, SIZE = 6, 7  # turn, shift; and the log of the focal length
_NEAR = 1e-3  # a point nearer to a camera has no picture
_FAR_PX = 1e4


@dataclass(frozen=True)
class Poses:
    """V cameras, in a unit of the scene's size.

    Attributes:
        rotation: (V, 3, 3) world to camera.
        centre: (V, 3) where they are.
        zoom: (V,) log of the focal length beside the given one.
    """

    rotation: Floats
    centre: Floats
    zoom: Floats

    @property
    def extrinsics(self) -> Floats:
        """World to camera (V, 3, 4)."""
        shift = -np.einsum("vij,vj->vi", self.rotation, self.centre)
        return np.concatenate([self.rotation, shift[..., None]], -1)

    def intrinsics(self, given: Floats) -> Floats:
        """Camera matrices (V, 3, 3) [px] from the given ones."""
        K = given.copy()
        K[:, [0, 1], [0, 1]] *= np.exp(self.zoom)[:, None]
        return K

    def change_from(self, other: "Poses") -> Floats:
        """Return turns [rad], shifts and zooms (V, 7) from others to these."""
        turn = rotation_vector(self.rotation @ other.rotation.transpose(0, 2, 1))
        zoom = (self.zoom - other.zoom)[:, None]
        return np.concatenate([turn, self.centre - other.centre, zoom], -1)


@dataclass(frozen=True)
class State:
    """What is adjusted: cameras, and points (B, 3)."""

    poses: Poses
    points: Floats


class TrackProblem:
    """Detections of B points in V cameras.

    Args:
        uv: (B, V, 2) [px] without distortion, by the intrinsics.
        confidence: (B, V) multiplies the precision; 0 = missing.
        intrinsics: (V, 3, 3) given [px].
        given: The cameras as they are known.
        precision: (V, 7) 1 / variance of what is known of turn [rad], shift and zoom.
        free: (V, 7) what may change.
    """

    block_size = 3

    def __init__(
        self,
        uv: Floats,
        confidence: Floats,
        intrinsics: Floats,
        given: Poses,
        precision: Floats,
        free: npt.NDArray[np.bool_],
    ) -> None:
        self.camera, self.block = np.nonzero(confidence.T > 0)
        self.uv = uv[self.block, self.camera]
        self.root = np.sqrt(confidence[self.block, self.camera])
        self.intrinsics, self.given, self.precision, self.free = intrinsics, given, precision, free
        self.blocks = len(uv)

    def _seen(self, state: State) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
        """Return points in the camera's frame, pixels off its centre, focal lengths, validity."""
        poses = state.poses
        R = poses.rotation[self.camera]
        off = state.points[self.block] - poses.centre[self.camera]
        x = np.einsum("nij,nj->ni", R, off)
        good = x[:, 2] > _NEAR
        depth = np.where(good, x[:, 2], 1.0)
        x = np.concatenate([x[:, :2], depth[:, None]], -1)
        focal = self.intrinsics[:, [0, 1], [0, 1]] * np.exp(poses.zoom)[:, None]
        focal = focal[self.camera]
        return x, focal * x[:, :2] / depth[:, None], focal, good

    def residual(self, state: State) -> Floats:
        """Predicted less measured (N, 2), as if all had confidence 1 [px]."""
        _, shown, _, good = self._seen(state)
        off = shown + self.intrinsics[self.camera, :2, 2] - self.uv
        off = np.where(good[:, None], off.clip(-_FAR_PX, _FAR_PX), _FAR_PX)
        return off * self.root[:, None]

    def linearise(self, state: State) -> Linear:
        """Differentiate by turn, shift and zoom of the cameras, and by the points."""
        x, shown, focal, good = self._seen(state)
        R = state.poses.rotation[self.camera]
        by_x = np.zeros((len(x), 2, 3))
        by_x[:, 0, 0], by_x[:, 1, 1] = (focal / x[:, 2:]).T
        by_x[:, :, 2] = -shown / x[:, 2:]
        by_x *= (good * self.root)[:, None, None]
        by_point = by_x @ R
        by_zoom = (shown * (good * self.root)[:, None])[..., None]
        by_camera = np.concatenate([-by_x @ cross_matrix(x), -by_point, by_zoom], -1)
        return Linear(self.residual(state), by_camera, by_point)

    def prior(self, state: State) -> Prior:
        """Compare with the cameras as they are known."""
        return Prior(state.poses.change_from(self.given), self.precision)

    def moved(self, state: State, cameras: Floats, blocks: Floats) -> State:
        """Turn, shift, zoom; and move the points."""
        old = state.poses
        new = replace(
            old,
            rotation=rotation(cameras[:, :3]) @ old.rotation,
            centre=old.centre + cameras[:, 3:POSE],
            zoom=old.zoom + cameras[:, POSE],
        )
        return State(new, state.points + blocks)
