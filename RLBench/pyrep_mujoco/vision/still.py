"""What stands still before a camera is drawn once; what moves is put before it by depth.

The pictures are those of drawing all together, to the last bit: where two surfaces are equally
far, or something is transparent, all is drawn together.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.vision.sensor_views import SensorView

STILL = int(mujoco.mjtCatBit.mjCAT_STATIC)
MOVING = int(mujoco.mjtCatBit.mjCAT_DYNAMIC)
ALL = STILL | MOVING
_LAST_GROUP = 2  # geom groups above are not drawn
_LOOKS = ("mat_", "light_", "cam_")  # the model's numbers that pictures depend on
_GEOM_LOOKS = ("type", "size", "rgba", "matid", "group", "dataid")

Eye = int | SensorView
"""The number of one of the model's cameras, or a view of its own."""
Pixels = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


@dataclass(frozen=True)
class Layer:
    """The still part of a picture, its first row at the top.

    Attributes:
        z: (H, W) depth as in the buffer: larger is nearer, 0 where nothing is.
        rgb: (H, W, 3) uint8 colours, of a picture of colours.
        metres: (H, W) float32 depth [m], of a picture of ids.
        bodies: (H, W) int32 body ids, of a picture of ids.
    """

    z: npt.NDArray[np.float32]
    rgb: npt.NDArray[np.uint8] | None = None
    metres: npt.NDArray[np.float32] | None = None
    bodies: npt.NDArray[np.int32] | None = None

    def hidden_by(self, z: npt.NDArray[np.float32]) -> Pixels | None:
        """Return the pixels where what moves is nearer.

        Args:
            z: (H, W) depth of what moves.

        Returns:
            Rows and columns; None where something is as near as what stands still, so that the
            order of drawing decides.
        """
        v, u = np.nonzero((z >= self.z) & (z > 0))
        return None if (z[v, u] == self.z[v, u]).any() else (v, u)


class StillScenes:
    """Remembers the still part of each camera's pictures.

    Args:
        model: the scene. What is fixed to the world counts as still; where it was moved since,
            or anything else changed that its look depends on, it is not used again.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._geoms = np.flatnonzero(model.body_weldid[model.geom_bodyid] == 0)
        names = [n for n in dir(model) if n.startswith(_LOOKS)]
        names += [f"geom_{n}" for n in _GEOM_LOOKS]
        arrays = [getattr(model, name) for name in names]
        headlight, haze = model.vis.headlight, model.vis.rgba
        arrays += [headlight.ambient, headlight.diffuse, headlight.specular, haze.haze, haze.fog]
        # Views of the model's own memory: they show what it is now.
        self._looks = [a for a in arrays if isinstance(a, np.ndarray) and a.nbytes]
        self._seen: dict[Hashable, tuple[object, ...]] = {}
        self._is_opaque = True
        self._layers: dict[tuple[Hashable, bool], Layer] = {}

    def is_again(self, data: mujoco.MjData, camera: Eye) -> bool:
        """Tell whether what stands still looks as it did in this camera's last picture.

        It never does where something that is drawn lets light through: what is behind it must be
        drawn before.

        Args:
            data: the state.
            camera: number of the camera, or a sensor's view.
        """
        now, key = self._look(data, camera), _key(camera)
        if self._seen.get(key) == now:
            return self._is_opaque
        self._seen[key] = now
        self._is_opaque = self._find_opaque()
        for is_ids in (False, True):
            self._layers.pop((key, is_ids), None)
        return False

    def _look(self, data: mujoco.MjData, camera: Eye) -> tuple[object, ...]:
        model = self._model
        is_sensor = isinstance(camera, SensorView)
        places = (
            data.geom_xpos[self._geoms],
            data.geom_xmat[self._geoms],
            data.light_xpos,
            data.light_xdir,
            *(() if is_sensor else (data.cam_xpos[camera], data.cam_xmat[camera])),
        )
        view = model.vis.map
        settings = (view.znear, view.zfar, view.haze, model.stat.extent)
        arrays = (*self._looks, *places)
        settings += (camera,) if is_sensor else ()
        return (*settings, model.vis.headlight.active, *(a.tobytes() for a in arrays))

    def _find_opaque(self) -> bool:
        model = self._model
        alpha = model.geom_rgba[:, 3]
        if model.nmat:
            own = np.where(model.geom_matid >= 0, model.mat_rgba[model.geom_matid, 3], 1.0)
            alpha = np.stack([alpha, own])
        see_through = ((alpha > 0) & (alpha < 1)).reshape(-1, model.ngeom).any(axis=0)
        return not (see_through & (model.geom_group <= _LAST_GROUP)).any()

    def layer(self, camera: Eye, is_ids: bool) -> Layer | None:
        """Return what was kept of a camera's pictures since something changed."""
        return self._layers.get((_key(camera), is_ids))

    def keep(self, camera: Eye, is_ids: bool, layer: Layer) -> None:
        """Keep the still part of a camera's pictures."""
        self._layers[_key(camera), is_ids] = layer


def _key(camera: Eye) -> Hashable:
    return ("sensor", camera.key) if isinstance(camera, SensorView) else camera
