"""How numbers, poses and names are written into XML."""

import re
from collections.abc import Iterable

import numpy as np

from pyrep_mujoco.transforms import Floats, matrix_to_quat_wxyz
from pyrep_mujoco.ttm.reading.model import Scene

# Control characters, halves of pairs and the like.
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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


def plain_name(name: str) -> str:
    """Return a name without what file names and XML do not all allow."""
    return re.sub(r"[^\w.-]", "_", name)


def check_texts(scene: Scene) -> None:
    """Raise ValueError for an object whose name or extension string MJCF cannot hold."""
    for obj in scene.objects:
        if not obj.name:
            raise ValueError(f"the object with handle {obj.handle} has no name; give it one")
        if obj.name == "world":
            raise ValueError("an object is named 'world', as MuJoCo's own root; rename it")
        for what, text in (("name", obj.name), ("extension string", obj.extension)):
            odd = _NO_XML.search(text)
            if odd:
                raise ValueError(
                    f"the {what} of {obj.name!r} holds {odd[0]!r}, which XML does not allow; take "
                    "it out"
                )
