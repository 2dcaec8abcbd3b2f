"""What a camera cannot see because it lies beside or behind the picture."""

from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats

_MARGIN = 1e-3  # [m] what is so near to the edge of the view is drawn


@dataclass(frozen=True)
class Frustum:
    """The part of space that a picture shows, without its far end.

    Attributes:
        centre: (3,) the camera [m], world.
        axes: (3, 3) rows: right, up and ahead in the picture; unit vectors, world.
        slopes: (2,) half the width and height of the picture at a distance of one.
        near: [m] what is nearer is not shown.
    """

    centre: Floats
    axes: Floats
    slopes: Floats
    near: float

    def misses(self, centres: Floats, radii: Floats) -> npt.NDArray[np.bool_]:
        """Tell which (n,) balls, centres (n, 3) and radii (n,) [m], no pixel can show."""
        places = (centres - self.centre) @ self.axes.T
        ahead, reach = places[:, 2:], radii + _MARGIN
        beside = np.abs(places[:, :2]) - self.slopes * ahead
        outside: npt.NDArray[np.bool_] = ahead[:, 0] < self.near - reach
        return outside | (beside > reach[:, None] * np.sqrt(1 + self.slopes**2)).any(axis=1)


def frustum_of(scene: mujoco.MjvScene, shape: tuple[int, int]) -> Frustum | None:
    """Return what a scene's eyes, as mean of both, show.

    Args:
        scene: with its camera up to date.
        shape: height and width of the image [px].

    Returns:
        None for views that are parallel or not symmetric.
    """
    left, right = scene.camera
    is_lopsided = abs(left.frustum_center + right.frustum_center) > 1e-9
    sizes = [(e.frustum_width, e.frustum_top + e.frustum_bottom) for e in (left, right)]
    if left.orthographic or is_lopsided or np.abs(sizes).max() > 1e-9:
        return None
    height, width = shape
    ahead, up = np.array(left.forward, np.float64), np.array(left.up, np.float64)
    axes = np.stack([np.cross(ahead, up), up, ahead])
    slope = left.frustum_top / left.frustum_near
    return Frustum(
        0.5 * (np.array(left.pos, np.float64) + np.array(right.pos, np.float64)),
        axes / np.linalg.norm(axes, axis=1, keepdims=True),
        slope * np.array([width / height, 1.0]),
        float(left.frustum_near),
    )
