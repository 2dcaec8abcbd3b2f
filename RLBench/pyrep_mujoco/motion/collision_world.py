"""The collision world of motion planning: a private copy of model and data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.transforms import Floats

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CollisionGeoms:
    """What the geoms of a model are, each (ngeom,).

    Attributes:
        solid: it collides.
        robot: it is part of the robot.
        collidable: motion planning must avoid it.
        moves: it is on a hinge or slide, or free, and not part of the robot.
        meets_itself: parts of the robot are in each other's way.
    """

    solid: Flags
    robot: Flags
    collidable: Flags
    moves: Flags
    meets_itself: bool = True


class CollisionWorld:
    """Answers "is the arm free at q?" on a private copy of the model and data."""

    def __init__(
        self, model: mujoco.MjModel, qpos_ids: Ints, holder: int, geoms: CollisionGeoms
    ) -> None:
        """Copy a model.

        Args:
            model: of the scene.
            qpos_ids: (7,) where the arm's joint values are.
            holder: the body that carries what is held.
            geoms: what the model's geoms are.
        """
        self._model = mujoco.MjModel.__copy__(model)
        self._data = mujoco.MjData(self._model)
        self._qpos, self._holder = qpos_ids, holder
        self.take(geoms)

    def take(self, geoms: CollisionGeoms) -> None:
        """Take over what the geoms are from the next `sync` on."""
        self._solid, self._robot, self._moves = geoms.solid, geoms.robot, geoms.moves
        self._robot_meets = 3 if geoms.meets_itself else 2
        solid = geoms.solid & ~geoms.robot
        # RLBench's planner crosses what is not collidable. Where that is solid and cannot move,
        # it stops the arm: better to go round it.
        self._wall = solid & ~geoms.collidable & ~geoms.moves
        self._obstacle = (solid & geoms.collidable) | self._wall

    def sync(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        held: Mapping[int, Floats],
        ignored: Iterable[int] = (),
    ) -> None:
        """Copy the present poses.

        Args:
            model: of the scene, with the geoms of the copied one.
            data: its state.
            held: what is held -> (4, 4) pose in the holder's frame.
            ignored: bodies that do not count as obstacles for this plan.
        """
        for name in ("body_pos", "body_quat"):
            getattr(self._model, name)[:] = getattr(model, name)
        self._data.qpos[:] = data.qpos
        is_held = np.isin(model.geom_bodyid, list(held))
        skip = np.isin(model.geom_bodyid, list(ignored))
        # Bits: robot 1, obstacles 2. Robot and held objects meet obstacles, the robot meets
        # itself, obstacles do not meet each other, held objects do not meet the robot.
        self._is_held = is_held
        contype = np.zeros(len(is_held), int)
        conaffinity = np.zeros(len(is_held), int)
        robot = self._robot & self._solid
        contype[robot], conaffinity[robot] = 1, self._robot_meets
        contype[self._obstacle & ~is_held & ~skip] = 2
        conaffinity[is_held & self._solid] = 2
        self._model.geom_contype[:] = contype
        self._model.geom_conaffinity[:] = conaffinity
        self._held = [(int(model.jnt_qposadr[model.body_jntadr[b]]), T) for b, T in held.items()]

    def _update(self, q: Floats) -> None:
        self._data.qpos[self._qpos] = q
        mujoco.mj_kinematics(self._model, self._data)
        if self._held:
            T_holder = tf.transform(
                self._data.xpos[self._holder], self._data.xmat[self._holder].reshape(3, 3)
            )
            for start, relative in self._held:
                T = T_holder @ relative
                self._data.qpos[start : start + 3] = T[:3, 3]
                self._data.qpos[start + 3 : start + 7] = tf.matrix_to_quat_wxyz(T[:3, :3])
            mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)

    def is_free(
        self,
        q: Floats,
        depth: float = 0.0,
        counts_held: bool = True,
        only_fixed: bool = False,
        counts_walls: bool = True,
        allowed: Ints | None = None,
    ) -> bool:
        """Tell whether (n,) joint values [rad or m] touch nothing.

        Args:
            q: joint values.
            depth: overlaps up to this [m] do not count.
            counts_held: what the gripper holds must be free too.
            only_fixed: only what can never move is in the way.
            counts_walls: so is, for the arm, what is solid and never moves, though not collidable.
            allowed: pairs, as of `pairs`, that may touch.
        """
        self._update(q)
        if self._data.ncon == 0:
            return True
        contact = self._data.contact
        touches = contact.dist < -depth
        touches &= ~(self._wall[contact.geom].any(axis=1) & self._is_held[contact.geom].any(axis=1))
        if not counts_held:
            touches &= ~self._is_held[contact.geom].any(axis=1)
        if only_fixed:
            touches &= ~self._moves[contact.geom].any(axis=1)
        if not counts_walls:
            touches &= ~self._wall[contact.geom].any(axis=1)
        if allowed is not None:
            touches &= ~np.isin(self._pairs(), allowed)
        return not bool(touches.any())

    def pairs(self, q: Floats) -> Ints:
        """Return a number for each pair of geoms that touch at (n,) joint values [rad or m]."""
        self._update(q)
        found: Ints = self._pairs()[self._data.contact.dist < 0]
        return found

    def _pairs(self) -> Ints:
        geoms = np.sort(self._data.contact.geom.astype(np.int64), axis=1)
        numbers: Ints = geoms[:, 0] * self._model.ngeom + geoms[:, 1]
        return numbers

    def touching(self, q: Floats) -> set[int]:
        """Return the obstacle bodies that the arm, or what it holds, touches at q."""
        self._update(q)
        contact = self._data.contact
        geoms = contact.geom[contact.dist < 0]
        bodies = self._model.geom_bodyid[geoms[self._obstacle[geoms]]]
        return {int(b) for b in np.ravel(bodies)}

    def touched_geoms(self, q: Floats) -> set[int]:
        """Return the obstacle geoms that the arm, or what it holds, touches at q."""
        self._update(q)
        contact = self._data.contact
        geoms = contact.geom[contact.dist < 0]
        return {int(g) for g in np.ravel(geoms[self._obstacle[geoms]])}
