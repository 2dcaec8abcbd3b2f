"""How numbers are written into XML."""

from collections.abc import Iterable

import numpy as np

from rlbench.transforms import matrix_to_quat_wxyz
from rlbench.ttm.model import Floats


def numbers(values: Iterable[float]) -> str:
    """Return numbers with nine digits, split by blanks."""
    array = np.asarray(list(values), float)
    return " ".join(f"{v:.9g}" for v in np.where(np.abs(array) < 1e-13, 0.0, array))


def pose_attributes(T: Floats) -> dict[str, str]:
    """Return `pos` and `quat` of a (4, 4) pose, without those that are the default."""
    out = {}
    if np.any(np.abs(T[:3, 3]) > 1e-12):
        out["pos"] = numbers(T[:3, 3])
    if not np.allclose(T[:3, :3], np.eye(3), rtol=0, atol=1e-12):
        out["quat"] = numbers(matrix_to_quat_wxyz(T[:3, :3]))
    return out
