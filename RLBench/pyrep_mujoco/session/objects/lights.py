"""Lights: on or off, colours, width."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.ttm.reading.model import Light

Rgb = Sequence[float] | npt.NDArray[Any]


def light(session: Session, handle: int) -> Light:
    """Return the light of a handle."""
    return session.document.of_kind(handle, Light, "light")


def switch(session: Session, handle: int, value: bool) -> None:
    """Switch a light on or off."""
    own = light(session, handle)
    if own.is_on != value:
        own.is_on = value
        session.physics.relight(own)


def set_color(
    session: Session, handle: int, *, diffuse: Rgb | None = None, specular: Rgb | None = None
) -> None:
    """Set the colours of a light, rgb in [0, 1].

    Raises:
        CallError: a colour is not three numbers.
    """
    own = light(session, handle)
    if diffuse is not None:
        own.diffuse = _rgb(diffuse)
    if specular is not None:
        own.specular = _rgb(specular)
    session.physics.relight(own)


def set_cutoff(session: Session, handle: int, angle: float) -> None:
    """Set half the angle of a spot [rad]."""
    own = light(session, handle)
    own.cutoff = angle
    session.physics.relight(own)


def _rgb(values: Rgb) -> tuple[float, float, float]:
    numbers = np.asarray(values, float)
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise CallError(f"the colour of a light is three numbers, found {values}")
    red, green, blue = numbers.tolist()
    return red, green, blue
