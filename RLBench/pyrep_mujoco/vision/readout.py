"""What the buffers of OpenGL mean: depth in metres, and bodies by the colours of their geoms."""

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats


def in_metres(model: mujoco.MjModel, z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Undo the reversed projection: 1 at the near plane, 0 at the far plane.

    Args:
        model: tells where the planes are.
        z: any shape, as read from the buffer.

    Returns:
        The same shape: distances along the camera's z axis [m].
    """
    extent, view = model.stat.extent, model.vis.map
    near, far = view.znear * extent, view.zfar * extent
    metres: Floats = near * far / (near + z.astype(np.float64) * (far - near))
    return metres.astype(np.float32)


Filling = tuple[int, bytes]
_MOST_KEPT = 256  # fillings of scenes


class BodyColours:
    """Tells bodies by the colours that their geoms have in pictures of ids."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
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
                    bodies[geom.segid + 1] = model.geom_bodyid[geom.objid]
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            self._found[filling] = key, bodies
        return bodies
