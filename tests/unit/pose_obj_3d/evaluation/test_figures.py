"""What figures share."""

import numpy as np
from matplotlib.colors import to_rgb

from pose_obj_3d.common.colours import COLOURS, colour


def oklab(rgb):
    """(n, 3) sRGB in 0..1 -> OKLab (Ottosson 2020), in which equal distances look alike."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lms = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(lms) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def test_twenty_keypoints_have_colours_that_can_be_told_apart():
    colours = [colour(k) for k in range(20)]
    lab = oklab(np.array([to_rgb(c) for c in [*colours, "black", "white"]]))
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + np.eye(len(lab))
    assert distance.min() > 0.15
    assert colour(20) == COLOURS[0]
