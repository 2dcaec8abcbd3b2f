"""What one camera sees at one moment."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass
class RenderedImages:
    """Images of one camera; None for what was not asked for.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 distance along the camera's z axis [m]; the far plane where
            nothing is.
        mask: (H, W) int32 handle of the object seen; 0 for the world and the background.
    """

    rgb: npt.NDArray[np.uint8] | None = None
    depth: npt.NDArray[np.float32] | None = None
    mask: npt.NDArray[np.int32] | None = None
