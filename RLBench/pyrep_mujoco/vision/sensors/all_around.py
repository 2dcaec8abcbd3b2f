"""Pictures of all directions, put together of six square views that look along the axes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats

Ints = npt.NDArray[np.int64]


class AllAround:
    """Says which pixel of which view each pixel of a picture of all directions shows.

    The picture's middle is straight ahead of the first view, its left and right edges are behind,
    its rows go from straight up to straight down.
    """

    def __init__(
        self, rotations: Sequence[Floats], angle: float, side: int, size: tuple[int, int]
    ) -> None:
        """Prepare pictures of one size.

        Args:
            rotations: (3, 3) of each view to the world; views look along z, y up, x to the left.
            angle: full view angle of the views [rad].
            side: width and height of the views [px].
            size: width and height of the picture [px].
        """
        width, height = size
        left = np.pi - (np.arange(width) + 0.5) * 2 * np.pi / width
        up = 0.5 * np.pi - (np.arange(height) + 0.5) * np.pi / height
        az, el = np.meshgrid(left, up)
        rays = np.stack([np.cos(el) * np.sin(az), np.sin(el), np.cos(el) * np.cos(az)], axis=-1)
        seen = np.stack([rays @ (rotations[0].T @ R) for R in rotations])
        self._view: Ints = seen[..., 2].argmax(axis=0)
        own = np.take_along_axis(seen, self._view[None, ..., None], axis=0)[0]
        self.lengths: Floats = 1.0 / own[..., 2]
        focal = 0.5 * side / np.tan(0.5 * angle)
        place = -focal * own[..., :2] * self.lengths[..., None] + 0.5 * side
        self._column, self._row = np.moveaxis(np.clip(place.astype(int), 0, side - 1), -1, 0)

    def picture(self, views: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Put (side, side, ...) views together to a (height, width, ...) picture."""
        pixels: npt.NDArray[np.float32] = np.stack(views)[self._view, self._row, self._column]
        return pixels
