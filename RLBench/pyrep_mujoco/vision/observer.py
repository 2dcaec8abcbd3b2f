"""What recordings need of a MuJoCo scene: poses, visibility and images."""

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.transforms import Floats, wxyz_to_xyzw
from pyrep_mujoco.vision.cameras import CameraSpec
from pyrep_mujoco.vision.display import has_display
from pyrep_mujoco.vision.free_cameras import free_camera
from pyrep_mujoco.vision.images import RenderedImages
from pyrep_mujoco.vision.visibility import in_image, keypoint_visibility
from pyrep_mujoco.world import World

_TURNING_POINT = 1.8  # [m] ahead of where the viewer looks from: what its mouse turns about


class MujocoObserver:
    """Reads a world's state; makes one renderer for each image size. See rlbench's `Observer`."""

    def __init__(self, world: World, shadows: bool = False, antialiasing: int = 0) -> None:
        self._world = world
        self._shadows, self._antialiasing = shadows, antialiasing
        self._renderers: dict[tuple[int, int], Any] = {}
        self._drawn: mujoco.MjModel | None = None

    @property
    def _model(self) -> mujoco.MjModel:
        return self._world.model

    @property
    def _data(self) -> mujoco.MjData:
        return self._world.data

    def frames(self, handles: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return (N, 3) positions [m] and (N, 3, 3) rotations of bodies."""
        return self._data.xpos[handles], self._data.xmat[handles].reshape(-1, 3, 3)

    def poses(self, handles: npt.NDArray[np.int64]) -> Floats:
        """Return (N, 7) positions [m] and quaternions xyzw of bodies."""
        data = self._data
        return np.hstack([data.xpos[handles], wxyz_to_xyzw(data.xquat[handles])])

    def visibility(
        self,
        xyz: Floats,
        owners: npt.NDArray[np.int64],
        own_reach: Floats,
        camera_positions: Floats,
        uv: Floats,
        depth: Floats,
        image_size: tuple[int, int],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Tell how each camera sees each keypoint, by rays against drawn geometry."""
        return keypoint_visibility(
            self._model,
            self._data,
            xyz,
            owners,
            own_reach,
            camera_positions,
            in_image(uv, depth, image_size),
        )

    def images(
        self,
        camera: str,
        image_size: tuple[int, int],
        rgb: bool = True,
        depth: bool = True,
        mask: bool = True,
    ) -> RenderedImages:
        """Return what a camera sees; `image_size` is (width, height) [px]."""
        images: RenderedImages = self._renderer(image_size).render(
            self._data, camera, rgb=rgb, depth=depth, mask=mask
        )
        return images

    def picture(self, camera: CameraSpec, image_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return (H, W, 3) what a camera sees that need not be in the model."""
        colour: npt.NDArray[np.uint8] = self._renderer(image_size).picture(self._data, camera)
        return colour

    def _renderer(self, size: tuple[int, int]) -> Any:
        if self._drawn is not self._model:
            # Shapes were made: another model is in use.
            self.close()
            self._drawn = self._model
        if size not in self._renderers:
            # Imported late: `cams: []` must work where there is no OpenGL.
            from pyrep_mujoco.vision.rendering import Renderer  # noqa: PLC0415

            width, height = size
            self._renderers[size] = Renderer(
                self._model, width, height, self._shadows, multisample=self._antialiasing
            )
        return self._renderers[size]

    def close(self) -> None:
        """Free the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers = {}


class _Viewer:
    """MuJoCo's viewer, opened again when the world goes on with another model."""

    def __init__(self, world: World, view: CameraSpec | None) -> None:
        self._world, self._view = world, view
        self._open()

    def _open(self) -> None:
        import mujoco.viewer  # noqa: PLC0415 - needs a window system

        self._model = self._world.model
        self._window = mujoco.viewer.launch_passive(self._model, self._world.data)
        if self._view is not None:
            self._look(self._view)

    def _look(self, view: CameraSpec) -> None:
        free = free_camera(view, _TURNING_POINT)
        with self._window.lock():
            camera = self._window.cam
            camera.type, camera.distance = free.type, free.distance
            camera.lookat[:] = free.lookat
            camera.azimuth, camera.elevation = free.azimuth, free.elevation

    def sync(self) -> None:
        """Show the present moment."""
        if self._model is not self._world.model:
            self._window.close()
            self._open()
        self._window.sync()

    def close(self) -> None:
        """Close the window."""
        self._window.close()


def open_viewer(world: World, view: CameraSpec | None = None) -> Any:
    """Open MuJoCo's own viewer.

    Args:
        world: what it shows.
        view: from where it looks at first; None for MuJoCo's choice.

    Raises:
        SceneError: there is no display.
    """
    if not has_display():
        raise SceneError("a viewer needs a display and there is none")
    from pyrep_mujoco.vision.rendering import load_triton_first  # noqa: PLC0415 - as above

    load_triton_first()
    return _Viewer(world, view)
