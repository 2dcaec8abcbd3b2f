"""Offscreen images of a MuJoCo scene: rgb, depth in metres and body ids.

MuJoCo's own classes are used directly: its `Renderer` takes three passes and 50 ms where two
passes take 8.
"""

import ctypes
import importlib
import importlib.util
import logging
import os
import sys
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import RenderingError
from pyrep_mujoco.vision.buffers import make_buffers
from pyrep_mujoco.vision.cameras import CameraSpec
from pyrep_mujoco.vision.display import has_display
from pyrep_mujoco.vision.forks import check_not_forked, is_forked, note_context
from pyrep_mujoco.vision.free_cameras import aim_eyes, free_camera
from pyrep_mujoco.vision.frustum import frustum_of
from pyrep_mujoco.vision.images import RenderedImages
from pyrep_mujoco.vision.readout import BodyColours, Filling, in_metres, planes_of
from pyrep_mujoco.vision.sensor_views import SensorView
from pyrep_mujoco.vision.skins import Skins, Wanted
from pyrep_mujoco.vision.still import ALL, MOVING, STILL, Eye, Layer, StillScenes

logger = logging.getLogger(__name__)

_BACKENDS = ("egl", "osmesa", "glfw")
_DISABLED = ("disable", "disabled", "off", "false", "0")
_NO_CHOICE = ("", "enable", "enabled", "on", "true", "1")
_SPARE_GEOMS = 256  # room in the scene beyond the model's own geoms, for lines too


@cache
def load_triton_first() -> None:
    """Load Triton's library, where PyTorch has brought it, before Mesa's.

    Either holds an LLVM of its own. Mesa's does not mind being second; Triton's does, and
    optimisers of PyTorch import it: a process that renders, then learns would end with a
    segmentation fault.
    """
    triton = importlib.util.find_spec("triton")
    for folder in (triton and triton.submodule_search_locations) or ():
        for library in Path(folder).glob("_C/libtriton*.so"):
            try:
                ctypes.CDLL(str(library))
            except OSError as error:
                logger.warning("Triton cannot be loaded: %s", error)


def select_gl_backend() -> str:
    """Choose an OpenGL backend that works here, and remember it in `MUJOCO_GL`.

    `MUJOCO_GL` is obeyed where it names one; else EGL, OSMesa and GLFW are tried in this order.
    Processes started from here inherit the choice.

    Returns:
        "egl", "osmesa" or "glfw".

    Raises:
        RenderingError: none works, rendering is switched off, or this process was forked from one
            that had made images.
    """
    check_not_forked()
    name = working_backend(os.environ.get("MUJOCO_GL", "").lower().strip())
    os.environ["MUJOCO_GL"] = name
    return name


@cache
def working_backend(wanted: str) -> str:
    """Return the first backend that works, or the one that is wanted; tried once in a process.

    Raises:
        RenderingError: none works, or rendering is switched off.
    """
    if wanted in _DISABLED:
        raise RenderingError(
            f"MUJOCO_GL={wanted} switches rendering off; unset it, or ask for no images (cams: [])"
        )
    if wanted not in _NO_CHOICE and wanted not in _BACKENDS:
        raise RenderingError(f"MUJOCO_GL={wanted} is unknown; allowed are {', '.join(_BACKENDS)}")
    load_triton_first()
    faults = []
    for name in _BACKENDS if wanted in _NO_CHOICE else (wanted,):
        fault = backend_fault(name)
        if fault is None:
            logger.info("rendering with OpenGL through %s", name)
            return name
        faults.append(f"{name}: {fault}")
    raise RenderingError(
        f"no OpenGL works here ({'; '.join(faults)}); install libegl1 and libgl1-mesa-dri or "
        "libosmesa6, or ask for no images (cams: [])"
    )


def backend_fault(name: str) -> str | None:
    """Return why a backend does not work, None when it does."""
    if name == "glfw" and not has_display():
        return "no display"
    platform = os.environ.get("PYOPENGL_PLATFORM")
    try:
        context = _gl_context(name, 8, 8)
    except Exception as error:  # noqa: BLE001 - PyOpenGL's own errors share no other base
        if platform is None:  # set by MuJoCo's module; the next backend sets its own
            os.environ.pop("PYOPENGL_PLATFORM", None)
        return " ".join(str(error).split()) or type(error).__name__
    context.free()
    return None


def _gl_context(name: str, width: int, height: int) -> Any:
    context = importlib.import_module(f"mujoco.{name}").GLContext(width, height)
    context.make_current()
    note_context()
    return context


class Renderer:
    """Renders one model's cameras at one size, in one OpenGL context.

    Args:
        model: the scene; its textures and meshes are uploaded now.
        width: image width [px].
        height: image height [px].
        shadows: cast shadows; five times slower with software OpenGL.
        multisample: samples per pixel of rgb, or as many as OpenGL has; depth and ids use one.
        labels: (ngeom,) what masks show of each geom in place of its body.
    """

    _current: ClassVar[Callable[[], "Renderer | None"]] = lambda: None

    def __init__(
        self,
        model: mujoco.MjModel,
        width: int,
        height: int,
        shadows: bool = False,
        multisample: int = 0,
        labels: npt.NDArray[np.integer] | None = None,
    ) -> None:
        if width < 1 or height < 1:
            raise RenderingError(f"image size must be at least 1 x 1, got {width} x {height}")
        self._model = model
        self._shape = (height, width)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._gl: Any = None
        gl = _gl_context(select_gl_backend(), width, height)
        self._colour = make_buffers(model, self._shape, shadows, multisample)
        # Depth read from a multisampled buffer is off by up to 7 mm at edges.
        self._exact = self._colour
        if multisample:
            self._exact = make_buffers(model, self._shape, shadows=False, multisample=0)
        self._gl = gl
        Renderer._current = weakref.ref(self)
        self.skins = Skins(model)
        self._scene = mujoco.MjvScene(model, model.ngeom + len(self.skins) + _SPARE_GEOMS)
        self._option = mujoco.MjvOption()
        self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._shadows = shadows
        self._planes = planes_of(model)
        self._ids = BodyColours(model, labels)
        self._filling: Filling = (ALL, b"")
        self._still = StillScenes(model)
        self._rgb = np.empty((height, width, 3), np.uint8)
        self._z = np.empty((height, width), np.float32)

    def render(
        self,
        data: mujoco.MjData,
        camera: str | SensorView,
        rgb: bool = True,
        depth: bool = True,
        mask: bool = True,
    ) -> RenderedImages:
        """Render what one camera sees.

        Only geom groups 0-2 are drawn, and no sites. The camera's `fovy` is taken over the
        longer image side, as everywhere in this package.

        Args:
            data: state to show; positions must be up to date (`mj_forward` or `mj_kinematics`
                and `mj_camlight`).
            camera: name of one of the model's cameras, or a sensor's view.
            rgb: make the colour image.
            depth: make the depth image.
            mask: make the image of body ids.

        Returns:
            The images, in new arrays.

        Raises:
            RenderingError: there is no such camera, the renderer is closed, or this process was
                forked from the one that made it.
        """
        check_not_forked()
        if self._gl is None:
            raise RenderingError("the renderer is closed; make a new one")
        if not (rgb or depth or mask):
            return RenderedImages()
        self._make_current()
        eye: Eye = camera if isinstance(camera, SensorView) else self._camera_id(camera)
        is_again = self._still.is_again(data, eye)
        colour = z = ids = None
        if rgb:
            colour = self._colours(data, eye, is_again)
        if depth or mask:
            z, ids = self._depth_and_ids(data, eye, is_again)
        return RenderedImages(colour, z if depth else None, ids if mask else None)

    def _colours(self, data: mujoco.MjData, camera: Eye, is_again: bool) -> npt.NDArray[np.uint8]:
        # Shadows fall on what stands still, and multisampling mixes it with what moves.
        if is_again and self._colour is self._exact and not self._shadows:
            layer = self._layer(data, camera, is_ids=False)
            self._shoot(data, camera, MOVING, is_ids=False)
            front = layer.hidden_by(self._z[::-1])
            if front is not None and layer.rgb is not None:
                colours = layer.rgb.copy()
                colours[front] = self._rgb[::-1][front]
                return colours
        self._shoot(data, camera, ALL, is_ids=False)
        return self._rgb[::-1].copy()  # OpenGL counts rows from the bottom

    def _depth_and_ids(
        self, data: mujoco.MjData, camera: Eye, is_again: bool
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        if is_again:
            layer = self._layer(data, camera, is_ids=True)
            self._shoot(data, camera, MOVING, is_ids=True)
            front = layer.hidden_by(self._z[::-1])
            if front is not None and layer.metres is not None and layer.bodies is not None:
                metres, bodies = layer.metres.copy(), layer.bodies.copy()
                metres[front] = in_metres(self._planes, self._z[::-1][front])
                pixels = self._rgb[::-1][front]
                bodies[front] = self._ids.bodies(pixels, self._scene, self._filling)
                return metres, bodies
        self._shoot(data, camera, ALL, is_ids=True)
        return self._meaning()

    def _meaning(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Return depth [m] and body ids of the picture of ids that was just made."""
        metres = in_metres(self._planes, self._z[::-1])
        return metres, self._ids.bodies(self._rgb[::-1], self._scene, self._filling)

    def _layer(self, data: mujoco.MjData, camera: Eye, is_ids: bool) -> Layer:
        """Return the still part of a camera's picture; draw it the first time."""
        layer = self._still.layer(camera, is_ids)
        if layer is None:
            self._shoot(data, camera, STILL, is_ids)
            z = self._z[::-1].copy()
            if is_ids:
                metres, bodies = self._meaning()
                layer = Layer(z, metres=metres, bodies=bodies)
            else:
                layer = Layer(z, rgb=self._rgb[::-1].copy())
            self._still.keep(camera, is_ids, layer)
        return layer

    def _shoot(self, data: mujoco.MjData, camera: Eye, drawn: int, is_ids: bool) -> None:
        """Draw some categories of geoms, and read colours and, where it is of use, depth.

        Skins are smoother than what rays meet; depth and ids are of the geometry itself.
        """
        context = self._exact if is_ids else self._colour
        self._aim(data, camera, drawn, wear_skins=not is_ids)
        self._draw(context, is_segmentation=is_ids)
        z = self._z if is_ids or drawn != ALL else None
        mujoco.mjr_readPixels(self._rgb, z, self._viewport, context)

    def picture(self, data: mujoco.MjData, camera: CameraSpec) -> npt.NDArray[np.uint8]:
        """Render the colour image of a camera that the model does not have.

        Args:
            data: as in `render`.
            camera: stands still in the world; `near`, `far` and `parent` have no effect.

        Returns:
            (height, width, 3) uint8.

        Raises:
            RenderingError: as in `render`.
        """
        check_not_forked()
        if self._gl is None:
            raise RenderingError("the renderer is closed; make a new one")
        self._make_current()
        eye = free_camera(camera)
        self.skins.update(data, self._option, eye, self._scene, Wanted(ALL, skins=True))
        aim_eyes(self._scene, camera, self._shape)
        self._draw(self._colour, is_segmentation=False)
        mujoco.mjr_readPixels(self._rgb, None, self._viewport, self._colour)
        return self._rgb[::-1].copy()

    def _camera_id(self, camera: str) -> int:
        number: int = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        if number < 0:
            names = [self._model.camera(i).name for i in range(self._model.ncam)]
            raise RenderingError(f"camera {camera!r} is not in the scene; there are {names}")
        return number

    def _aim(self, data: mujoco.MjData, camera: Eye, drawn: int, wear_skins: bool) -> None:
        if isinstance(camera, SensorView):
            eye, self._planes = camera.camera(), camera.planes
        else:
            self._camera.fixedcamid = camera
            eye, self._planes = self._camera, planes_of(self._model)
        scene = self._scene
        view = None
        if not (self._shadows and wear_skins):  # what is out of view may throw a shadow into it
            mujoco.mjv_updateCamera(self._model, data, eye, scene)
            self._shape_view(camera)
            view = frustum_of(scene, self._shape)
        wanted = Wanted(drawn, wear_skins, view)
        left_out = self.skins.update(data, self._option, eye, scene, wanted)
        self._filling = drawn, left_out.tobytes()
        self._shape_view(camera)

    def _shape_view(self, camera: Eye) -> None:
        """Take the view angle over the longer side; MuJoCo takes it over the height."""
        height, width = self._shape
        if isinstance(camera, SensorView):
            camera.aim(self._scene, self._shape)
        elif width > height:
            for eye in self._scene.camera:
                eye.frustum_top *= height / width
                eye.frustum_bottom *= height / width

    def _draw(self, context: mujoco.MjrContext, is_segmentation: bool) -> None:
        flags, flag = self._scene.flags, mujoco.mjtRndFlag
        flags[flag.mjRND_SHADOW] = self._shadows and not is_segmentation
        flags[flag.mjRND_REFLECTION] = False
        flags[flag.mjRND_SEGMENT] = is_segmentation
        flags[flag.mjRND_IDCOLOR] = is_segmentation
        if context is not self._colour or self._exact is not self._colour:
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
        mujoco.mjr_render(self._viewport, self._scene, context)

    def _make_current(self) -> None:
        self._gl.make_current()
        Renderer._current = weakref.ref(self)

    def close(self) -> None:
        """Free the buffers, under their own context; closing twice is harmless."""
        if self._gl is None:
            return
        if is_forked():
            self._abandon()
            return
        current = Renderer._current()
        self._gl.make_current()
        for context in {id(c): c for c in (self._colour, self._exact)}.values():
            context.free()
        self._gl.free()
        self._gl = None
        # The collector may close one renderer while another is at work.
        if current is not None and current._gl is not None:
            current._make_current()

    def _abandon(self) -> None:
        """Give up what belongs to the parent process; freeing it here would wait for ever.

        Nobody may free it later either, so it keeps a reference for good.
        """
        for owned in (self._colour, self._exact, self._gl):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(owned))
        self._gl = None

    def __del__(self) -> None:
        # Left to themselves the buffers would be freed under whichever context is current, and
        # take another renderer's buffers of the same number with them.
        if getattr(self, "_gl", None) is None:
            return
        if is_forked():
            self._abandon()
        elif not sys.is_finalizing():
            self.close()

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
