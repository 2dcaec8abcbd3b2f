"""Separates what overlaps as saved, by the rule by which an episode begins."""

from collections.abc import Mapping
from xml.etree.ElementTree import fromstring, tostring

import mujoco
import numpy as np

from pyrep_mujoco.scene.separate_overlaps import separate_overlaps
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.contacts import started
from pyrep_mujoco.ttm.mjcf.format import numbers


def _is_free(model: mujoco.MjModel, body: int) -> bool:
    joint = int(model.body_jntadr[body])
    return joint >= 0 and bool(model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE)


def part(xml: str, files: Mapping[str, bytes]) -> tuple[str, dict[str, Floats]]:
    """Move free bodies that stand more than 1 mm deep in something until they only touch it.

    What nests in them (waypoints, say) goes with them; nothing else does, and what would have to go
    further than 10 mm stays.

    Args:
        xml: of a scene, as `writer.write_scene` returns it.
        files: by path relative to it.

    Returns:
        The XML with other positions, and names of bodies -> (3,) by how much they moved [m].
    """
    root = fromstring(xml)  # noqa: S314 - our own
    texts = {text.get("name", ""): text.get("data", "") for text in root.iter("text")}
    bonded = {
        name.removeprefix("parent:")
        for name, parent in texts.items()
        if name.startswith("parent:") and texts.get(f"kind:{parent}") == "force_sensor"
    }
    model, data = started(xml, files)

    def is_loose(body: int) -> bool:
        return _is_free(model, body) and model.body(body).name not in bonded

    def shift(body: int, way: Floats) -> None:
        start = model.jnt_qposadr[model.body_jntadr[body]]
        data.qpos[start : start + 3] += way

    ways = separate_overlaps(model, data, is_loose, shift)
    moved = {model.body(body).name: way for body, way in ways.items()}
    for body in root.iterfind("worldbody/body"):
        way = moved.get(body.get("name", ""))
        if way is not None:
            place = np.array([float(v) for v in body.get("pos", "0 0 0").split()])
            body.set("pos", numbers(place + way))
    return tostring(root, encoding="unicode") + "\n", moved
