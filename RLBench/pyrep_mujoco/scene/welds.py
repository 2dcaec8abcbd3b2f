"""Welds: what the hand holds, what is held in the air, what hangs on a force sensor."""

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.robots.robot_model import FIRM, Grip
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import CRUMB_BIT, ROBOT_BIT, WORLD_BIT, Ints, World


class Welds:
    """Holds free bodies by the welds that every scene is compiled with.

    Attributes:
        held: held bodies -> (4, 4) pose in the holder's frame.
        held_from: held bodies -> the body that they hung on before.
    """

    def __init__(self, world: World) -> None:
        kinds = world.notes.kinds
        self._world = world
        self._sensors = frozenset(
            world.model.body(name).id for name in kinds if kinds[name] == "force_sensor"
        )
        self.held: dict[int, Floats] = {}
        self.held_from: dict[int, int] = {}

    def reset(self) -> None:
        """Hold nothing; the equalities are the model's."""
        self.held, self.held_from = {}, {}

    def attach_to_sensors(self) -> None:
        """Weld what the scene hangs on force sensors to them."""
        for body, parent in self._world.scene_parents.items():
            if parent in self._sensors:
                self.update_sensor(body)

    # ---- grasps -------------------------------------------------------------------------

    def attach(self, body: int, holder: int) -> None:
        """Weld a free body to `holder` where it is; fingers no longer collide with it.

        Raises:
            SceneError: the body is not free.
        """
        world = self._world
        if body not in world.compiled.weld_ids:
            raise SceneError(f"{world.body_name(body)} is not free: it cannot be grasped")
        self.held[body] = self._weld(body, holder)
        solid = self._solid_geoms(body)
        world.model.geom_contype[solid] = 0
        world.model.geom_conaffinity[solid] = WORLD_BIT | CRUMB_BIT
        self.held_from[body] = world.parents[body]
        world.parents[body] = holder

    def detach(self, body: int) -> None:
        """Let a held body go."""
        world = self._world
        self._let_go(body)
        solid = self._solid_geoms(body)
        world.model.geom_contype[solid] = WORLD_BIT
        world.model.geom_conaffinity[solid] = ROBOT_BIT | WORLD_BIT
        del self.held[body]
        world.parents[body] = self.held_from.pop(body)
        if body in world.changes.pinned:
            self._weld(body, 0)

    def change_grip(self, grip: Grip) -> None:
        """Hold what is held now more or less firmly, until it is let go."""
        for body in self.held:
            self._set_grip(self._world.compiled.weld_ids[body], grip)

    # ---- pins ---------------------------------------------------------------------------

    def pin(self, body: int, value: bool) -> None:
        """Hold a free body where it is, or let physics have it again."""
        pinned = self._world.changes.pinned
        if value:
            pinned.add(body)
        else:
            pinned.discard(body)
        if body in self.held:
            return
        if value:
            self._weld(body, 0)
        else:
            self._let_go(body)

    def update_pin(self, body: int) -> None:
        """Hold a pinned body where it was put."""
        if body in self._world.changes.pinned and body not in self.held:
            self._weld(body, 0)

    # ---- force sensors ------------------------------------------------------------------

    def update_sensor(self, body: int) -> None:
        """Weld a free body to the force sensor that it hangs on, or let it go where it does not."""
        world = self._world
        if body not in world.compiled.weld_ids or body in self.held:
            return
        if body in world.changes.pinned:
            return
        parent = world.parents[body]
        if parent in self._sensors:
            self._weld(body, parent)
        elif world.scene_parents.get(body) in self._sensors:
            self._let_go(body)

    # ---- equalities ---------------------------------------------------------------------

    def is_loose(self, body: int) -> bool:
        """Tell whether a body is free, and welded to nothing."""
        world = self._world
        return world.is_free(body) and not world.data.eq_active[world.compiled.weld_ids[body]]

    def _weld(self, body: int, holder: int) -> Floats:
        world = self._world
        model, weld = world.model, world.compiled.weld_ids[body]
        relative = tf.invert(world.transform(holder)) @ world.transform(body)
        model.eq_obj1id[weld] = holder
        model.eq_data[weld, 0:3] = 0.0
        model.eq_data[weld, 3:6] = relative[:3, 3]
        model.eq_data[weld, 6:10] = tf.matrix_to_quat_wxyz(relative[:3, :3])
        self._set_grip(weld, FIRM)
        world.data.eq_active[weld] = 1
        return relative

    def _let_go(self, body: int) -> None:
        self._world.data.eq_active[self._world.compiled.weld_ids[body]] = 0

    def _set_grip(self, weld: int, grip: Grip) -> None:
        model = self._world.model
        model.eq_data[weld, 10] = grip.torque_scale
        model.eq_solref[weld, 0] = grip.seconds
        model.eq_solimp[weld, :3] = grip.impedance

    def _solid_geoms(self, body: int) -> Ints:
        """Return the geoms of a body, and of all nested in it, that collide."""
        world = self._world
        geoms = np.flatnonzero(np.isin(world.model.geom_bodyid, world.nested(body)))
        return geoms[world.solid[geoms]]
