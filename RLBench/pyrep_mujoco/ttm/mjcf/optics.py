"""Vision sensors and lights of a scene as MuJoCo's."""

from xml.etree.ElementTree import Element, SubElement

import numpy as np

from pyrep_mujoco.ttm.mjcf.format import numbers
from pyrep_mujoco.ttm.reading.model import Light, SceneObject, VisionSensor

_LIGHTS = {"directional": "directional", "spot": "spot", "omni": "point"}


def add_optics(body: Element, source: SceneObject) -> None:
    """Write the camera or light that an object is, if it is one, into its body."""
    if isinstance(source, VisionSensor):
        add_camera(body, source)
    elif isinstance(source, Light) and source.is_on:
        add_light(body, source)


def add_camera(body: Element, sensor: VisionSensor) -> None:
    """Write a perspective camera into its body; its name is the sensor's.

    The sensor looks along +z with +x left in the image, MuJoCo's camera along -z with +x right:
    half a turn about y. The view angle is that of the longer side.
    """
    if not sensor.is_perspective:
        return
    width, height = sensor.resolution
    half = np.tan(sensor.angle / 2) * min(1.0, height / max(width, 1))
    SubElement(
        body,
        "camera",
        name=sensor.name,
        quat="0 0 1 0",
        fovy=f"{np.rad2deg(2 * np.arctan(half)):.9g}",
    )


def add_light(body: Element, light: Light) -> None:
    """Write a light along the body's z; its name is the light's."""
    attributes = {
        "name": light.name,
        "type": _LIGHTS.get(light.kind, "directional"),
        "dir": "0 0 1",
        "diffuse": numbers(light.diffuse),
        "specular": numbers(light.specular),
        "attenuation": numbers(light.attenuation),
        "castshadow": "false",
    }
    if light.kind == "spot":
        attributes["cutoff"] = f"{np.rad2deg(light.cutoff):.6g}"
    SubElement(body, "light", attributes)
