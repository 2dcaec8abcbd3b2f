"""What the buffers of OpenGL mean: depth in metres, and objects by the colours of their geoms."""

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.vision.sensor_views import Planes


def planes_of(model: mujoco.MjModel) -> Planes:
    """Return the planes of a model's own cameras."""
    extent, view = model.stat.extent, model.vis.map
    return Planes(view.znear * extent, view.zfar * extent)


def in_metres(planes: Planes, z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Undo the reversed projection: 1 at the near plane, 0 at the far plane.

    Args:
        planes: where they are.
        z: any shape, as read from the buffer.

    Returns:
        The same shape: distances along the camera's z axis [m].
    """
    near, far = planes.near, planes.far
    metres: Floats
    if planes.is_parallel:
        metres = far - z.astype(np.float64) * (far - near)
    else:
        metres = near * far / (near + z.astype(np.float64) * (far - near))
    return metres.astype(np.float32)


Filling = tuple[int, bytes]
_MOST_KEPT = 256  # fillings of scenes


class BodyColours:
    """Tells bodies by the colours that their geoms have in pictures of ids."""

    def __init__(
        self, model: mujoco.MjModel, labels: npt.NDArray[np.integer] | None = None
    ) -> None:
        """Take a model.

        Args:
            model: the scene.
            labels: (ngeom,) what is told of each geom in place of its body.
        """
        self._model = model
        self._labels = model.geom_bodyid if labels is None else np.asarray(labels, np.int32)
        self._found: dict[Filling, tuple[tuple[object, ...], npt.NDArray[np.int32]]] = {}

    def bodies(
        self, pixels: npt.NDArray[np.uint8], scene: mujoco.MjvScene, filling: Filling
    ) -> npt.NDArray[np.int32]:
        """Return the body of each pixel.

        Args:
            pixels: (..., 3) colours of ids.
            scene: what was drawn.
            filling: the categories of geoms (`mjtCatBit`) that it was filled with, and the bytes
                that tell which geoms were left out of it.

        Returns:
            (...) body ids; 0 for the background.
        """
        bodies = self._by_colour(scene, filling)
        colour: npt.NDArray[np.int32] = pixels[..., 0].astype(np.int32)
        if len(bodies) > 256:
            colour += pixels[..., 1].astype(np.int32) << 8
            colour += pixels[..., 2].astype(np.int32) << 16
        return bodies[colour]

    def _by_colour(self, scene: mujoco.MjvScene, filling: Filling) -> npt.NDArray[np.int32]:
        """Return (colours,) body ids; colour 0 is the background.

        The walk over the scene's geoms takes as long as everything else in Python together, so
        it is done again only when what decides which geoms are drawn has changed.
        """
        model = self._model
        deciding = (model.geom_group, model.geom_rgba[:, 3], model.geom_matid)
        key = (scene.ngeom, *(a.tobytes() for a in (*deciding, model.mat_rgba[:, 3])))
        before, bodies = self._found.get(filling, ((), np.zeros(1, np.int32)))
        if key != before:
            bodies = np.zeros(scene.ngeom + 1, np.int32)
            for geom in scene.geoms[: scene.ngeom]:
                if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                    bodies[geom.segid + 1] = self._labels[geom.objid]
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            self._found[filling] = key, bodies
        return bodies
