"""Lights."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import lights
from pyrep_mujoco.ttm.reading.model import Light as LightObject

Color = npt.NDArray[np.float64]
_WIDEST = float(np.float32(np.pi / 2))
"""Half the angle of the widest spot [rad]; scene files keep single precision."""
_NO_ATTENUATION = "CoppeliaSim currently does not support setting attenuation factors"


class Light(Object):
    """A light; colours are rgb in [0, 1]."""

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.LIGHT

    def _own(self) -> LightObject:
        return lights.light(current(), self._handle)

    def turn_on(self) -> None:
        """Switch the light on."""
        lights.switch(current(), self._handle, True)

    def turn_off(self) -> None:
        """Switch the light off."""
        lights.switch(current(), self._handle, False)

    def is_on(self) -> bool:
        """Tell whether the light is on."""
        return self._own().is_on

    def is_off(self) -> bool:
        """Tell whether the light is off."""
        return not self._own().is_on

    def get_diffuse(self) -> Color:
        """Return (3,) the colour of what it lights up."""
        return np.array(self._own().diffuse)

    def set_diffuse(self, diffuse: Sequence[float] | npt.NDArray[Any]) -> None:
        """Set (3,) the colour of what it lights up."""
        lights.set_color(current(), self._handle, diffuse=diffuse)

    def get_specular(self) -> Color:
        """Return (3,) the colour of its reflections."""
        return np.array(self._own().specular)

    def set_specular(self, specular: Sequence[float] | npt.NDArray[Any]) -> None:
        """Set (3,) the colour of its reflections."""
        lights.set_color(current(), self._handle, specular=specular)

    def get_intensity_properties(self) -> tuple[bool, float, float, float, float, float]:
        """Return casts shadows, spot exponent, spot cut-off [rad], and three attenuations."""
        session, own = current(), self._own()
        settings = session.document.settings.get(self._handle, {})
        return (
            bool(settings.get("casts_shadows", 1.0)),
            settings.get("spot_exponent", 1.0),
            own.cutoff,
            *own.attenuation,
        )

    def set_intensity_properties(
        self,
        cast_shadows: bool | None = None,
        spot_exponent: float | None = None,
        spot_cutoff: float | None = None,
        const_atten_factor: float | None = None,
        linear_atten_factor: float | None = None,
        quad_atten_factor: float | None = None,
    ) -> None:
        """Set how the light spreads.

        Args:
            cast_shadows: kept, without effect.
            spot_exponent: a whole number; kept, without effect.
            spot_cutoff: half the angle of a spot [rad], at most pi/2.
            const_atten_factor: refused, as by PyRep.
            linear_atten_factor: refused, as by PyRep.
            quad_atten_factor: refused, as by PyRep.
        """
        settings = current().document.settings.setdefault(self._handle, {})
        if cast_shadows is not None:
            settings["casts_shadows"] = float(bool(cast_shadows))
        if spot_exponent is not None:
            whole = round(spot_exponent)
            if spot_exponent % 1 != 0:
                warnings.warn(
                    f"spot exponent must be an integer, rounding input of {spot_exponent} to "
                    f"{whole}",
                    stacklevel=2,
                )
            settings["spot_exponent"] = float(whole)
        if spot_cutoff is not None:
            if spot_cutoff > _WIDEST:
                warnings.warn(
                    f"Tried to set spot_cutoff to {spot_cutoff}, but the maximum allowed value is "
                    "pi/2, therefore setting to pi/2",
                    stacklevel=2,
                )
            lights.set_cutoff(current(), self._handle, min(float(spot_cutoff), _WIDEST))
        if not (const_atten_factor is linear_atten_factor is quad_atten_factor is None):
            raise NotImplementedError(_NO_ATTENUATION)


object_type_to_class[ObjectType.LIGHT] = Light
