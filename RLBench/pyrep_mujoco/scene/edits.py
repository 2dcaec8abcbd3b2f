"""Bodies that come into a scene, leave it, or become solid or not."""

from collections.abc import Sequence

import numpy as np

from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import CRUMB_BIT, ROBOT_BIT, WORLD_BIT, Ints, World

HIDDEN_GROUP, DRAWN_GROUP, SOLID_GROUP = 4, 1, 3
"""Groups of geoms that cameras leave out, that they show, and that only collide."""


class Edits:
    """Takes bodies out of a scene, brings them in, and sets which of their geoms collide."""

    def __init__(self, world: World, graph: SceneGraph, welds: Welds) -> None:
        self._world, self._graph, self._welds = world, graph, welds

    def bring_in(self, body: int) -> None:
        """Let a body that waited be part of the scene, hanging on nothing."""
        self._world.parents[body] = 0
        self._world.changes.parked.pop(body, None)

    def cut_off(self, body: int) -> None:
        """Take a body out of the graph; what hung on it hangs on nothing."""
        world = self._world
        if body in self._welds.held:
            self._welds.detach(body)
        world.parents.pop(body, None)
        self._graph.followers.pop(body, None)
        world.changes.on_joint.discard(body)
        for child in [b for b, parent in world.parents.items() if parent == body]:
            self._graph.reparent(child, 0)

    def take_out(self, bodies: dict[int, str]) -> None:
        """Take objects of the scene (body -> name) out of it until the next reset."""
        for body, name in bodies.items():
            if body in self._welds.held:
                self._welds.detach(body)
            self._world.changes.removed.add(name)
            self.put_away(body, self._world.transform(body))

    def put_away(self, body: int, T: Floats) -> None:
        """Let a body wait at (4, 4), unseen and untouchable."""
        world = self._world
        geoms = np.flatnonzero(world.model.geom_bodyid == body)
        world.model.geom_group[geoms] = HIDDEN_GROUP
        world.model.geom_contype[geoms] = world.model.geom_conaffinity[geoms] = 0
        world.solid[geoms] = False
        world.changes.parked[body] = T
        self._graph.place(body, T)

    def keep_away(self) -> None:
        """Bring bodies that wait, and that physics has moved, back to where they wait."""
        for body, T in self._world.changes.parked.items():
            if self._world.is_free(body):
                self._graph.place(body, T)

    def set_solid(self, geoms: Ints | Sequence[int], value: bool, is_crumb: bool = False) -> None:
        """Let geoms collide, or not; crumbs do not collide with each other."""
        world = self._world
        world.solid[geoms] = value
        own = CRUMB_BIT if is_crumb else WORLD_BIT
        world.model.geom_contype[geoms] = own if value else 0
        world.model.geom_conaffinity[geoms] = ROBOT_BIT | WORLD_BIT if value else 0
