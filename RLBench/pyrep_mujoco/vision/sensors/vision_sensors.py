"""Vision sensors: what they are set to, and the pictures that they take.

A sensor's picture changes when the simulation makes a step, or when the sensor is told to look; it
is drawn when it is asked for, of the scene as it is then. Until its first look it shows nothing.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.ttm.reading.model import VisionSensor
from pyrep_mujoco.vision.images import RenderedImages
from pyrep_mujoco.vision.sensor_views import Planes, SensorView
from pyrep_mujoco.vision.sensors import drawings

Pixels = npt.NDArray[np.float32]

CODED = 2
"""CoppeliaSim's number of the render mode that shows handles as colours."""
WINDOWED = (6, 8)
"""Those of the render modes that show what a window would, drawn lines too."""
EVERYTHING = -1
"""What a sensor shows where it is not told to show one object alone."""
MOST_PIXELS = 16384
"""OpenGL draws no image that is wider or higher."""
ENTITY = "entity_to_render"
"""The setting that says which object is shown alone."""
_BORN = "born"
_HIDDEN = 5  # a geom group that is never drawn


def _exact_shares() -> Pixels:
    """Return (256,) the shares of 255 that, times 255, are not less than the number again."""
    shares = (np.arange(256) / 255.0).astype(np.float32)
    short = shares * np.float32(255.0) < np.arange(256)
    shares[short] = np.nextafter(shares[short], np.float32(2.0))
    return shares


_SHARES = _exact_shares()


@dataclass
class _Look:
    """What a sensor has seen since it looked last.

    Attributes:
        time: of the step that it is of [s]; -1 for a look on request.
        images: what was drawn of it.
    """

    time: float
    images: RenderedImages = field(default_factory=RenderedImages)


class _Twins:
    """Depth and masks of a moment: RLBench has a sensor for each in the same place."""

    def __init__(self) -> None:
        self._moment = 0
        self._images: dict[tuple[object, ...], RenderedImages] = {}

    def images(
        self, session: Session, what: tuple[object, ...], draw: Callable[[], RenderedImages]
    ) -> RenderedImages:
        """Return what is drawn of a view, drawn again where anything is not as it was before."""
        model, data = session.model, session.data
        arrays = (model.geom_rgba, model.geom_group, model.geom_matid, model.mat_rgba)
        places = (data.geom_xpos, data.geom_xmat)
        moment = hash((id(model), *(a.tobytes() for a in (*arrays, *places))))
        if moment != self._moment:
            self._moment, self._images = moment, {}
        if what not in self._images:
            self._images[what] = draw()
        return self._images[what]


class _Eyes:
    """Renderers and pictures of one session."""

    def __init__(self) -> None:
        self.looks: dict[int, _Look] = {}
        self.twins = _Twins()
        self._model: mujoco.MjModel | None = None
        self._renderers: dict[tuple[int, int], Any] = {}

    def renderer(self, session: Session, size: tuple[int, int]) -> Any:
        """Return what draws the scene as it is now in images of a size."""
        built = session.built
        if self._model is not built.model:
            self.close()
            self._model = built.model
        if size not in self._renderers:
            # Imported late: scenes are simulated also where there is no OpenGL.
            from pyrep_mujoco.vision.rendering import Renderer  # noqa: PLC0415

            self._renderers[size] = Renderer(built.model, *size, labels=built.geom_handles)
        return self._renderers[size]

    def close(self) -> None:
        """Free the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers = {}


_all_eyes: weakref.WeakKeyDictionary[Session, _Eyes] = weakref.WeakKeyDictionary()


def _eyes(session: Session) -> _Eyes:
    return _all_eyes.setdefault(session, _Eyes())


def close(session: Session) -> None:
    """Free what a session's sensors need to draw."""
    eyes = _all_eyes.pop(session, None)
    if eyes is not None:
        eyes.close()


# ---- what a sensor is set to --------------------------------------------------------------


def sensor(session: Session, handle: int) -> VisionSensor:
    """Return the vision sensor of a handle."""
    return session.document.of_kind(handle, VisionSensor, "vision sensor")


def create(session: Session, own: VisionSensor) -> int:
    """Take a new sensor in; return its handle.

    Raises:
        CallError: its resolution is below 1, or above what OpenGL draws.
    """
    _check_size(own.name, own.resolution)
    handle = session.add(own)
    session.document.settings.setdefault(handle, {})[_BORN] = session.physics.time
    return handle


def setting(session: Session, handle: int, name: str, default: float) -> float:
    """Return a number that a sensor was set to, which changes nothing of the scene."""
    sensor(session, handle)
    return session.document.settings.get(handle, {}).get(name, default)


def set_setting(session: Session, handle: int, name: str, value: float) -> None:
    """Set such a number."""
    sensor(session, handle)
    session.document.settings.setdefault(handle, {})[name] = value


def set_resolution(session: Session, handle: int, size: tuple[int, int]) -> None:
    """Set width and height [px].

    Raises:
        CallError: they are below 1, or above what OpenGL draws.
    """
    own = sensor(session, handle)
    _check_size(own.name, size)
    own.resolution = size


def _check_size(name: str, size: tuple[int, int]) -> None:
    if not all(1 <= side <= MOST_PIXELS for side in size):
        raise CallError(
            f"{name!r}: a resolution must be 1 to {MOST_PIXELS} on each side, got {list(size)}"
        )


def _view(session: Session, own: VisionSensor) -> SensorView:
    """Return from where and how a sensor looks.

    Raises:
        CallError: its planes or its size cannot be.
    """
    name, size = own.name, own.angle if own.is_perspective else own.ortho_size
    if not 0 < own.near < own.far:
        raise CallError(
            f"{name!r}: the near clipping plane must lie before the far one, beyond 0; they are at "
            f"{own.near:g} and {own.far:g} m"
        )
    if not 0 < size < (np.pi if own.is_perspective else np.inf):
        what = "angle of view [rad]" if own.is_perspective else "orthographic size [m]"
        raise CallError(f"{name!r}: its {what} cannot be {size:g}")
    planes = Planes(own.near, own.far, is_parallel=not own.is_perspective)
    return SensorView.at(own.handle, session.document.world(own.handle), planes, size)


# ---- pictures -----------------------------------------------------------------------------


def look(session: Session, handle: int) -> None:
    """Let a sensor look now."""
    sensor(session, handle)
    _eyes(session).looks[handle] = _Look(-1.0)


def rgb(session: Session, handle: int) -> Pixels:
    """Return (height, width, 3) colours in [0, 1]; or handles as r + 256 g + 65536 b, times 255.

    Raises:
        RenderingError: images cannot be made here.
        CallError: the sensor cannot look with what it is set to.
    """
    own = sensor(session, handle)
    if own.render_mode == CODED:
        mask = _images(session, own, rgb=False).mask
        codes = np.zeros(_shape(own), np.int32) if mask is None else mask
        bytes_ = np.stack([codes & 255, (codes >> 8) & 255, (codes >> 16) & 255], axis=-1)
        return _SHARES[bytes_]
    colours = _images(session, own, rgb=True).rgb
    return np.zeros((*_shape(own), 3), np.float32) if colours is None else _SHARES[colours]


def depth(session: Session, handle: int, *, in_metres: bool) -> Pixels:
    """Return (height, width) distances along the sensor's z; the far plane where nothing is.

    Args:
        session: the scene.
        handle: of the sensor.
        in_metres: else 0 at the near plane and 1 at the far plane, evenly.

    Raises:
        RenderingError: images cannot be made here.
        CallError: the sensor cannot look with what it is set to.
    """
    own = sensor(session, handle)
    metres = _images(session, own, rgb=False).depth
    if metres is None:
        metres = np.full(_shape(own), own.far, np.float32)
    if in_metres:
        return metres.copy()
    shares: Pixels = ((metres - own.near) / (own.far - own.near)).astype(np.float32)
    return np.clip(shares, 0.0, 1.0)


def _shape(own: VisionSensor) -> tuple[int, int]:
    return own.resolution[1], own.resolution[0]


def _images(session: Session, own: VisionSensor, *, rgb: bool) -> RenderedImages:
    """Return what a sensor has seen, empty where it has not looked yet."""
    now = _present_look(session, own)
    if now is None:
        return RenderedImages()
    images = now.images
    drawn = images.rgb if rgb else images.depth
    if drawn is None or drawn.shape[:2] != _shape(own):
        view, data = _view(session, own), session.data
        renderer = _eyes(session).renderer(session, own.resolution)
        renderer.skins.lines = drawings.lines(session) if own.render_mode in WINDOWED else ()
        with _alone(session, own.handle) as entity:
            if rgb:
                images.rgb = renderer.render(data, view, depth=False, mask=False).rgb
            else:
                twins, what = _eyes(session).twins, (*view.place(), own.resolution, entity)
                new = twins.images(session, what, lambda: renderer.render(data, view, rgb=False))
                images.depth, images.mask = new.depth, new.mask
    return images


def _present_look(session: Session, own: VisionSensor) -> _Look | None:
    looks, time = _eyes(session).looks, session.physics.time
    born = session.document.settings.get(own.handle, {}).get(_BORN, 0.0)
    found = looks.get(own.handle)
    is_looking = session.is_running and not own.is_explicit and time > born
    if is_looking and (found is None or found.time != time):
        found = looks[own.handle] = _Look(time)
    return found


@contextmanager
def _alone(session: Session, handle: int) -> Iterator[int]:
    """Show only what a sensor is told to show, with all that hangs on it; give its handle."""
    entity = int(setting(session, handle, ENTITY, EVERYTHING))
    if entity == EVERYTHING:
        yield entity
        return
    built = session.built
    hidden = ~np.isin(built.geom_handles, session.document.tree(entity))
    groups = built.model.geom_group[hidden]
    built.model.geom_group[hidden] = _HIDDEN
    try:
        yield entity
    finally:
        built.model.geom_group[hidden] = groups
