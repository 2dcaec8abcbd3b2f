"""What an arm may run into: the scene's geoms, kept up to date for motion planning."""

from collections.abc import Hashable, Iterable

import numpy as np

from pyrep_mujoco.motion.collision_world import CollisionGeoms, CollisionWorld
from pyrep_mujoco.objects.object_table import ObjectTable
from pyrep_mujoco.objects.scene_object import MujocoObject
from pyrep_mujoco.objects.shape import MujocoShape, shapes_beside_robot
from pyrep_mujoco.robots.robot_model import RobotModel
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import Flags, World


class Obstacles:
    """The collision world of one arm; it is made anew when there are other shapes or flags."""

    def __init__(
        self, world: World, robot: RobotModel, welds: Welds, table: ObjectTable[MujocoObject]
    ) -> None:
        self._world, self._robot, self._welds, self._table = world, robot, welds, table
        self._read()

    def _shapes(self) -> list[MujocoShape]:
        return shapes_beside_robot(self._world, self._table)

    def _version_of(self, shapes: list[MujocoShape]) -> Hashable:
        """Return another value whenever there are other shapes, or other flags."""
        world, changes = self._world, self._world.changes
        flags = frozenset(changes.flags.items()), frozenset(changes.removed)
        bodies = frozenset(shape.body for shape in shapes)
        return id(world.model), world.solid.tobytes(), flags, bodies

    def _read(self) -> None:
        """Take over the model in use, and what its geoms are."""
        shapes = self._shapes()  # first: those that wait for a body bring another model
        model = self._world.model
        self._version = self._version_of(shapes)
        robot = np.isin(model.geom_bodyid, list(self._world.robot_bodies))
        collidable = np.zeros(model.ngeom, bool)
        for shape in shapes:
            collidable[shape.solid_geoms] = shape.is_collidable()
        # A hinged or free body can be pushed; the robot itself is what moves.
        moves = (model.body_weldid[model.geom_bodyid] != 0) & ~robot
        if self._robot.is_careful:
            collidable |= self._stands_in(shapes) & moves
        geoms = CollisionGeoms(self._world.solid.copy(), robot, collidable, moves)
        qpos_ids = np.array([model.joint(j).qposadr[0] for j in self._robot.joints])
        holder = model.body(self._robot.hand).id
        self._collisions = CollisionWorld(model, qpos_ids, holder, geoms)

    def _stands_in(self, shapes: list[MujocoShape]) -> Flags:
        """Return (ngeom,) which geoms belong to bodies on which something hangs that is only drawn.

        RLBench's planner goes round what is drawn and collidable. Many of its scenes draw a thing
        as a fine mesh of that kind, and give physics a plainer form beneath, which is not
        collidable.
        """
        model = self._world.model
        drawn = [s.body for s in shapes if not s.is_respondable() and "collidable" in s.flags()]
        return np.isin(model.geom_bodyid, model.body_parentid[drawn])

    def sync(self, ignored: Iterable[int] = ()) -> None:
        """Take over the present poses, and what the hand holds.

        Args:
            ignored: bodies that do not count as obstacles until the next time.
        """
        if self._version != self._version_of(self._shapes()):
            self._read()
        self._collisions.sync(self._world.model, self._world.data, self._welds.held, ignored)

    def is_free(
        self,
        q: Floats,
        depth: float = 0.0,
        counts_held: bool = True,
        only_fixed: bool = False,
        counts_walls: bool = True,
    ) -> bool:
        """Tell whether the arm touches nothing at (7,) [rad]; see `CollisionWorld.is_free`."""
        return self._collisions.is_free(q, depth, counts_held, only_fixed, counts_walls)

    def touching(self, q: Floats) -> set[int]:
        """Return the obstacle bodies that the arm, or what it holds, touches at (7,) [rad]."""
        return self._collisions.touching(q)
