"""The collision world of motion planning: a private copy of model and data."""

from collections.abc import Iterable

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.simulation import MujocoEngine
from pyrep_mujoco.transforms import Floats


class CollisionWorld:
    """Answers "is the arm free at q?" on a private copy of the model and data."""

    def __init__(self, engine: MujocoEngine) -> None:
        self._engine = engine
        self._read()

    def _read(self) -> None:
        """Take over the engine's model, shapes and flags."""
        engine = self._engine
        self._version = engine.scene_version
        self._model = mujoco.MjModel.__copy__(engine.model)
        self._data = mujoco.MjData(self._model)
        self._qpos = np.array([engine.model.joint(j).qposadr[0] for j in engine.robot.joints])
        model = engine.model
        self._solid = engine.solid.copy()
        self._robot = np.isin(model.geom_bodyid, list(engine.robot_bodies))
        self._holder = model.body(engine.robot.hand).id
        collidable = np.zeros(model.ngeom, bool)
        for shape in engine.shapes():
            collidable[shape.solid_geoms] = shape.is_collidable()
        # A hinged or free body can be pushed; the robot itself is what moves.
        self._moves = (model.body_weldid[model.geom_bodyid] != 0) & ~self._robot
        solid = self._solid & ~self._robot
        if engine.robot.is_careful:
            collidable |= self._stands_in() & self._moves
        # RLBench's planner crosses what is not collidable. Where that is solid and cannot move,
        # it stops the arm: better to go round it.
        self._wall = solid & ~collidable & ~self._moves
        self._obstacle = (solid & collidable) | self._wall

    def _stands_in(self) -> np.ndarray:
        """Return (ngeom,) which geoms belong to bodies on which something hangs that is only drawn.

        RLBench's planner goes round what is drawn and collidable. Many of its scenes draw a thing
        as a fine mesh of that kind, and give physics a plainer form beneath, which is not
        collidable.
        """
        engine, model = self._engine, self._engine.model
        drawn = [
            s.body for s in engine.shapes() if not s.is_respondable() and "collidable" in s.flags()
        ]
        return np.isin(model.geom_bodyid, model.body_parentid[drawn])

    def sync(self, ignored: Iterable[int] = ()) -> None:
        """Copy the engine's present scene.

        Args:
            ignored: bodies that do not count as obstacles for this plan.
        """
        source = self._engine
        if self._version != source.scene_version:
            self._read()
        for name in ("body_pos", "body_quat"):
            getattr(self._model, name)[:] = getattr(source.model, name)
        self._data.qpos[:] = source.data.qpos
        held = np.isin(source.model.geom_bodyid, list(source.held))
        skip = np.isin(source.model.geom_bodyid, list(ignored))
        # Bits: robot 1, obstacles 2. Robot and held objects meet obstacles, the robot meets
        # itself, obstacles do not meet each other, held objects do not meet the robot.
        self._is_held = held
        contype = np.zeros(len(held), int)
        conaffinity = np.zeros(len(held), int)
        robot = self._robot & self._solid
        contype[robot], conaffinity[robot] = 1, 3
        contype[self._obstacle & ~held & ~skip] = 2
        conaffinity[held & self._solid] = 2
        self._model.geom_contype[:] = contype
        self._model.geom_conaffinity[:] = conaffinity
        self._held = [
            (int(source.model.jnt_qposadr[source.model.body_jntadr[b]]), T)
            for b, T in source.held.items()
        ]

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
    ) -> bool:
        """Tell whether (7,) joint values [rad] touch nothing.

        Args:
            q: joint values.
            depth: overlaps up to this [m] do not count.
            counts_held: what the gripper holds must be free too.
            only_fixed: only what can never move is in the way.
            counts_walls: so is, for the arm, what is solid and never moves, though not collidable.
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
        return not bool(touches.any())

    def touching(self, q: Floats) -> set[int]:
        """Return the obstacle bodies that the arm, or what it holds, touches at q."""
        self._update(q)
        contact = self._data.contact
        geoms = contact.geom[contact.dist < 0]
        bodies = self._model.geom_bodyid[geoms[self._obstacle[geoms]]]
        return {int(b) for b in np.ravel(bodies)}
