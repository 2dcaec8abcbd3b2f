"""Welds: what the hand holds, and what is held in the air."""

from collections.abc import Sequence

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.shape import Changes
from pyrep_mujoco.robots.robot_model import FIRM, Grip
from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.transforms import Floats

ROBOT_TYPE, WORLD_TYPE, CRUMB_TYPE = 2, 1, 4
"""Collision bits: a held object can spare the robot, and crumbs spare each other."""


class Welds(SceneGraph):
    """Part of `MujocoEngine`, which fills the attributes.

    Attributes:
        held: held bodies -> (4, 4) pose in the holder's frame.
        changes: what the episode changed.
        solid: (geoms,) those that collide, held or not.
    """

    held: dict[int, Floats]
    changes: Changes
    solid: np.ndarray
    _welds: dict[int, int]
    _held_from: dict[int, int]
    _bonds: frozenset[int]  # force sensors
    _scene_parents: dict[int, int]

    def _weld(self, body: int, holder: int) -> Floats:
        weld = self._welds[body]
        relative = tf.invert(self.world_transform(holder)) @ self.world_transform(body)
        self.model.eq_obj1id[weld] = holder
        self.model.eq_data[weld, 0:3] = 0.0
        self.model.eq_data[weld, 3:6] = relative[:3, 3]
        self.model.eq_data[weld, 6:10] = tf.matrix_to_quat_wxyz(relative[:3, :3])
        self._set_grip(weld, FIRM)
        self.data.eq_active[weld] = 1
        return relative

    def _set_grip(self, weld: int, grip: Grip) -> None:
        self.model.eq_data[weld, 10] = grip.torque_scale
        self.model.eq_solref[weld, 0] = grip.seconds
        self.model.eq_solimp[weld, :3] = grip.impedance

    def change_grip(self, grip: Grip) -> None:
        """Hold what is held now more or less firmly, until it is let go."""
        for body in self.held:
            self._set_grip(self._welds[body], grip)

    def _hung(self, body: int) -> None:
        self.bond(body)

    def bond(self, body: int) -> None:
        """Weld a free body to the force sensor that it hangs on, or let it go where it does not."""
        if body not in self._welds or body in self.held or body in self.changes.pinned:
            return
        parent = self._parents[body]
        if parent in self._bonds:
            self._weld(body, parent)
        elif self._scene_parents.get(body) in self._bonds:
            self.data.eq_active[self._welds[body]] = 0

    def attach(self, body: int, holder: int) -> None:
        """Weld a free body to `holder` where it is; fingers no longer collide with it."""
        if body not in self._welds:
            raise SceneError(f"{self.model.body(body).name} is not free: it cannot be grasped")
        self.held[body] = self._weld(body, holder)
        solid = self._solid_tree_geoms(body)
        self.model.geom_contype[solid] = 0
        self.model.geom_conaffinity[solid] = WORLD_TYPE | CRUMB_TYPE
        self._held_from[body] = self._parents[body]
        self._parents[body] = holder

    def detach(self, body: int) -> None:
        """Let a held body go."""
        self.data.eq_active[self._welds[body]] = 0
        solid = self._solid_tree_geoms(body)
        self.model.geom_contype[solid] = WORLD_TYPE
        self.model.geom_conaffinity[solid] = ROBOT_TYPE | WORLD_TYPE
        del self.held[body]
        self._parents[body] = self._held_from.pop(body)
        if body in self.changes.pinned:
            self._weld(body, 0)

    def is_free(self, body: int) -> bool:
        """Tell whether a body has all six degrees of freedom."""
        return body in self._free_qpos

    def pin(self, body: int, value: bool) -> None:
        """Hold a free body where it is, or let physics have it again."""
        if value:
            self.changes.pinned.add(body)
        else:
            self.changes.pinned.discard(body)
        if body in self.held:
            return
        if value:
            self._weld(body, 0)
        else:
            self.data.eq_active[self._welds[body]] = 0

    def _placed(self, body: int) -> None:
        if body in self.changes.pinned and body not in self.held:
            self._weld(body, 0)

    def _solid_tree_geoms(self, body: int) -> np.ndarray:
        geoms = np.flatnonzero(np.isin(self.model.geom_bodyid, self._physical_tree(body)))
        return geoms[self.solid[geoms]]

    def _physical_tree(self, root: int) -> list[int]:
        out = [root]
        for body in range(root + 1, self.model.nbody):
            if self.model.body_parentid[body] in out:
                out.append(body)
        return out

    def contacts(self, bodies: Sequence[int]) -> set[int]:
        """Return the bodies in contact with any of `bodies` at this moment."""
        mine = set(bodies)
        pairs = self.model.geom_bodyid[self.data.contact.geom]
        touching = {int(b) for a, b in pairs if a in mine} | {int(a) for a, b in pairs if b in mine}
        return touching - mine
