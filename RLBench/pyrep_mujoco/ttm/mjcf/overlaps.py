"""Parts what overlaps as saved, by the rule by which an episode begins (`sim.mujoco_overlaps`)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast
from xml.etree.ElementTree import fromstring, tostring

import mujoco
import numpy as np

from pyrep_mujoco.scene.separate_overlaps import part_overlaps
from pyrep_mujoco.ttm.mjcf.contacts import started
from pyrep_mujoco.ttm.mjcf.format import numbers
from pyrep_mujoco.ttm.reading.model import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.scene.edits import Alterations


class _Still:
    """A scene without a robot at its start: what `part_overlaps` asks of an engine."""

    robot_bodies: frozenset[int] = frozenset()

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, bonded: set[str]) -> None:
        self.model = model
        self.data = data
        self._bonded = bonded

    def is_loose(self, body: int) -> bool:
        """Tell whether a body is free, and welded to nothing."""
        joint = int(self.model.body_jntadr[body])
        if joint < 0 or self.model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
            return False
        return self.model.body(body).name not in self._bonded

    def shift(self, body: int, way: Floats) -> None:
        """Move a free body by (3,) [m], world."""
        start = self.model.jnt_qposadr[self.model.body_jntadr[body]]
        self.data.qpos[start : start + 3] += way


def part(xml: str, files: Mapping[str, bytes]) -> tuple[str, dict[str, Floats]]:
    """Move free bodies that stand more than 1 mm deep in something until they only touch it.

    What nests in them (waypoints, say) goes with them; nothing else does, and what would have to go
    further than 10 mm stays.

    Args:
        xml: of a scene, as `mjcf_writer.write_scene` returns it.
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
    ways = part_overlaps(cast("Alterations", _Still(model, data, bonded)))
    moved = {model.body(body).name: way for body, way in ways.items()}
    for body in root.iterfind("worldbody/body"):
        way = moved.get(body.get("name", ""))
        if way is not None:
            place = np.array([float(v) for v in body.get("pos", "0 0 0").split()])
            body.set("pos", numbers(place + way))
    return tostring(root, encoding="unicode") + "\n", moved
