"""Objects that come into a scene, leave it, or change their substance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyrep_mujoco.objects.scene_object import MujocoObject, MujocoShape
from pyrep_mujoco.objects.shape import HIDDEN_GROUP
from pyrep_mujoco.scene.compose import Annotations
from pyrep_mujoco.scene.separate_overlaps import part_overlaps
from pyrep_mujoco.scene.welds import CRUMB_TYPE, ROBOT_TYPE, WORLD_TYPE, Welds
from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.objects.runtime_shapes import Made
    from pyrep_mujoco.objects.shape_maker import Compiled


class Alterations(Welds):
    """Part of `MujocoEngine`, which fills the attributes."""

    compiled: "Compiled"
    notes: Annotations
    robot_bodies: frozenset[int]
    _objects: dict[str, MujocoObject]
    _by_body: dict[int, MujocoObject]

    def register(self, shape: "Made") -> None:
        """Make a made object an object of the scene."""
        self._objects[shape.get_name()] = shape

    def unregister(self, shape: "Made") -> None:
        """Forget a made object."""
        self._objects.pop(shape.get_name(), None)
        if shape.is_built:
            self.disown(shape)
        shape.is_gone = True

    def claim(self, shape: "Made", body: int) -> None:
        """Let a made object have a body."""
        self._by_body[body], self._parents[body] = shape, 0
        self.changes.parked.pop(body, None)

    def disown(self, shape: "Made") -> None:
        """Take a made object's body away from it; what hung on it hangs on nothing."""
        body = shape.body
        if body in self.held:
            self.detach(body)
        self._by_body.pop(body, None)
        self._parents.pop(body, None)
        self._followers.pop(body, None)
        self.changes.on_joint.discard(body)
        for child in [b for b, parent in self._parents.items() if parent == body]:
            self.reparent(child, 0)

    def take_out(self, bodies: Sequence[int]) -> None:
        """Take objects of the scene out of it until the next reset."""
        for body in bodies:
            if body in self.held:
                self.detach(body)
            self.changes.removed.add(self._by_body[body].get_name())
            self.put_away(body, self.world_transform(body))

    def put_away(self, body: int, T: Floats) -> None:
        """Let a body wait at (4, 4), unseen and untouchable."""
        geoms = np.flatnonzero(self.model.geom_bodyid == body)
        self.model.geom_group[geoms] = HIDDEN_GROUP
        self.model.geom_contype[geoms] = self.model.geom_conaffinity[geoms] = 0
        self.solid[geoms] = False
        self.changes.parked[body] = T
        self._place(body, T)

    def part_overlaps(self) -> None:
        """Move loose things out of what they stand more than 1 mm deep in."""
        part_overlaps(self)

    def is_loose(self, body: int) -> bool:
        """Tell whether a body is free, and welded to nothing."""
        return self.is_free(body) and not self.data.eq_active[self._welds[body]]

    def shift(self, body: int, way: Floats) -> None:
        """Move a free body, and only it, by (3,) [m], world."""
        T = self.world_transform(body)
        T[:3, 3] += way
        self._place(body, T)
        self.follow()

    def fall_asleep(self) -> None:
        """Put to sleep what the scene says starts asleep."""
        flags = self.notes.flags
        names = {name for name in flags if "asleep" in flags[name]}
        bodies = {self.model.body(name).id for name in names}
        self.changes.asleep = {body for body in bodies if self.is_free(body)}

    def stay_asleep(self, qpos: Floats) -> None:
        """Undo a step of physics for what sleeps, but wake what was touched in it.

        Args:
            qpos: positions before the step.
        """
        asleep = self.changes.asleep
        for body in sorted(asleep):
            tree = self._physical_tree(body)
            others = self.contacts(tree) - asleep
            if body in self.held or any(self.model.body_weldid[b] != 0 for b in others):
                asleep.discard(body)
                continue
            place, speed = self._free_qpos[body], self.model.body_dofadr[body]
            self.data.qpos[place : place + 7] = qpos[place : place + 7]
            self.data.qvel[speed : speed + 6] = 0.0

    def set_solid(self, shape: MujocoShape, value: bool) -> None:
        """Let a shape's geoms collide, or not."""
        geoms = shape.solid_geoms if not value or len(shape.solid_geoms) else shape.geoms
        self.solid[geoms] = value
        own = CRUMB_TYPE if shape.is_crumb else WORLD_TYPE
        self.model.geom_contype[geoms] = own if value else 0
        self.model.geom_conaffinity[geoms] = ROBOT_TYPE | WORLD_TYPE if value else 0

    def scene_value(self, name: str) -> np.ndarray:
        """Return a field of the model as the scene has it."""
        return self.compiled.pristine[name]
