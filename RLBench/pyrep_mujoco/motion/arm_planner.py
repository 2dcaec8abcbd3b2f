"""Ways of any arm of a model: configurations at a pose, straight lines, ways around obstacles.

All that is found depends on where things are and on what is asked for, on nothing else: asking the
same twice gives the same.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import ConfigurationPathError, IKError
from pyrep_mujoco.motion.chains import Chain, chain_kinematics, form_of, moved_bodies
from pyrep_mujoco.motion.collision_world import CollisionGeoms, CollisionWorld, Flags
from pyrep_mujoco.motion.kinematics import Floats, IsFree, Kinematics, solve_ik
from pyrep_mujoco.motion.planning import even_line, plan_rrt_connect
from pyrep_mujoco.motion.pose_paths import pose_along

GOALS = 8
"""A way around obstacles may end in the nearest of so many configurations at its goal."""
_STEP = 0.05  # [rad] between two rows of a way that nothing is in the way of
_PATH_PLACES, _PLACE_POINTS = 20, 20


class ArmPlanner:
    """Plans for one arm of one model."""

    def __init__(self, model: mujoco.MjModel, chain: Chain) -> None:
        """Take an arm of a model."""
        self._model, self._chain = model, chain
        self._qpos = model.jnt_qposadr[list(chain.joints)].astype(np.int64)
        self._solid = (model.geom_contype | model.geom_conaffinity) != 0
        self._arm = np.isin(model.geom_bodyid, list(moved_bodies(model, chain.joints)))
        geoms = self._geoms(np.zeros(model.ngeom, bool), self._arm)
        joints = [*chain.joints, *form_of(model, chain).followers]
        qpos = model.jnt_qposadr[joints].astype(np.int64)
        self._world = CollisionWorld(model, qpos, chain.tip_body, geoms)

    def _geoms(self, obstacles: Flags, parts: Flags) -> CollisionGeoms:
        others = obstacles & ~self._arm
        moves = np.ones_like(others)  # what does not move would be a wall
        solid = (self._solid | others) & ~(self._arm & ~parts)
        return CollisionGeoms(solid, self._arm, others, moves, meets_itself=False)

    def begin(self, data: mujoco.MjData, obstacles: Flags, parts: Flags | None = None) -> "ArmPlan":
        """Plan from where everything is now.

        Args:
            data: world poses must be up to date.
            obstacles: (ngeom,) what the arm must not touch; its own geoms do not count.
            parts: (ngeom,) of what the joints move, what is in the way of obstacles; None: all.
        """
        q = data.qpos[self._qpos].copy()
        # A joint that is pressed beyond its limit must be able to come back.
        bounds = np.minimum(self._chain.lower, q), np.maximum(self._chain.upper, q)
        chain = replace(self._chain, lower=bounds[0], upper=bounds[1])
        self._world.take(self._geoms(obstacles, self._arm if parts is None else parts))
        self._world.sync(self._model, data, {})
        return ArmPlan(partial(chain_kinematics, self._model, data, chain), self._world, q)


SUNK = 2e-3
"""Overlaps [m] that do not count on a way: in MuJoCo things that rest sink into each other, so that
what a hand holds, put back where it lay, would always be in the way of itself."""


class ArmPlan:
    """What an arm can do from where it is; good until anything moves.

    Attributes:
        start: (n,) where it is [rad or m].
    """

    def __init__(
        self, make: Callable[[], Kinematics], world: CollisionWorld, start: Floats
    ) -> None:
        self.start, self._world, self._make = start, world, make

    @cached_property
    def kinematics(self) -> Kinematics:
        """Kinematics of the arm from where its base is."""
        return self._make()

    def _is_free(self, ignore_collisions: bool) -> IsFree | None:
        """Return what tells whether a configuration may be passed; what touches now may do so."""
        if ignore_collisions:
            return None
        whole = self.kinematics.with_followers
        touching = self._world.pairs(whole(self.start))
        is_free = partial(self._world.is_free, depth=SUNK, counts_walls=False, allowed=touching)
        return lambda q: is_free(whole(q))

    def touched(self) -> set[int]:
        """Return the ids of the obstacles that the arm touches where it is."""
        return self._world.touched_geoms(self.kinematics.with_followers(self.start))

    def configurations(
        self, T_goal: Floats, ignore_collisions: bool, restarts: int, most: int
    ) -> list[Floats]:
        """Return (n,) configurations [rad or m] at a (4, 4) pose of the tip, the nearest first.

        Args:
            T_goal: tip to world.
            ignore_collisions: they may touch anything.
            restarts: bound on the attempts.
            most: bound on their number.
        """
        return solve_ik(
            self.kinematics,
            T_goal[:3, 3],
            tf.matrix_to_quat_wxyz(T_goal[:3, :3]),
            self.start,
            self._rng(T_goal),
            is_free=self._is_free(ignore_collisions),
            max_solutions=most,
            max_restarts=restarts,
        )

    def configuration(self, T_goal: Floats, locked: Mapping[int, float] | None = None) -> Floats:
        """Return (n,) [rad or m] at a (4, 4) pose of the tip, walked to from where the arm is.

        Args:
            T_goal: tip to world.
            locked: value [rad or m] of joints, by index, that must not move otherwise.

        Raises:
            IKError: the walk does not get there.
        """
        lower, upper = self.kinematics.lower, self.kinematics.upper
        self.kinematics.lower, self.kinematics.upper = lower.copy(), upper.copy()
        for joint, value in (locked or {}).items():
            self.kinematics.lower[joint] = self.kinematics.upper[joint] = value
        quat = tf.matrix_to_quat_wxyz(T_goal[:3, :3])
        found = self.kinematics.refine(self.start, T_goal[:3, 3], quat)
        self.kinematics.lower, self.kinematics.upper = lower, upper
        if found is None:
            raise IKError("inverse kinematics from the present configuration found no solution")
        return found

    def line(
        self, T_goal: Floats, points: int, ignore_collisions: bool, start: Floats | None = None
    ) -> Floats:
        """Return (points, n) configurations [rad or m] along the tip's straight line to a pose.

        Args:
            T_goal: (4, 4) tip to world at its end.
            points: at least two.
            ignore_collisions: the arm may touch anything on its way.
            start: (n,) where it begins [rad or m]; None: where the arm is.

        Raises:
            ConfigurationPathError: there is none within the joints' limits, or it is blocked.
        """
        path = even_line(
            self.kinematics,
            self.start if start is None else start,
            T_goal[:3, 3],
            tf.matrix_to_quat_wxyz(T_goal[:3, :3]),
            points,
            self._is_free(ignore_collisions),
        )
        if path is None:
            reason = "" if ignore_collisions else ", or something is in its way"
            raise ConfigurationPathError(
                f"no straight line of the tip within the joints' limits{reason}"
            )
        return path

    def way(
        self, T_goal: Floats, ignore_collisions: bool, restarts: int, most: int, tries: int = 1
    ) -> Floats:
        """Return (N, n) configurations [rad or m] from where the arm is to a pose of the tip.

        Args:
            T_goal: (4, 4) tip to world at its end.
            ignore_collisions: the arm may touch anything on its way.
            restarts: bound on the attempts to find a configuration at the goal.
            most: bound on the number of these.
            tries: so often the planner begins anew where it finds nothing.

        Raises:
            ConfigurationPathError: none was found.
        """
        goals = self.configurations(T_goal, ignore_collisions, restarts, most)
        if not goals:
            reason = "out of reach" if ignore_collisions else "out of reach, or never free there"
            raise ConfigurationPathError(f"no configuration of the arm has its tip there: {reason}")
        is_free = self._is_free(ignore_collisions)
        if is_free is None:
            return _straight(self.start, goals[0])
        bounds = self.kinematics.lower, self.kinematics.upper
        rng = self._rng(T_goal)
        for _ in range(max(tries, 1)):
            seed = int(rng.integers(1, 2**31 - 1))
            path = plan_rrt_connect(self.start, goals, *bounds, is_free, seed)
            if path is not None:
                return path
        raise ConfigurationPathError(
            f"no way around what is in between to any of {len(goals)} configurations"
        )

    def along(self, poses: Sequence[Floats]) -> Floats:
        """Return (N, n) configurations [rad or m] of the tip along a path of (4, 4) poses.

        Raises:
            ConfigurationPathError: it cannot be followed, or its start not be reached, in straight
                lines.
        """
        parts, q = [], self.start
        for share in np.arange(1, _PATH_PLACES + 1) / _PATH_PLACES:
            parts.append(self.line(pose_along(poses, float(share)), _PLACE_POINTS, True, q))
            q = parts[-1][-1]
        return np.concatenate(parts)

    def jacobian(self) -> Floats:
        """Return (6, n) the tip's velocity [m/s, rad/s], world, over the joints' [rad/s or m/s]."""
        return self.kinematics.jacobian(self.start)

    def _rng(self, T_goal: Floats) -> np.random.Generator:
        """Return a generator that depends on start and goal alone."""
        # Rounded, so that the last bits of a computation do not decide on the way.
        what = np.round(np.concatenate([self.start, T_goal.ravel()]), 6) + 0.0
        return np.random.default_rng(zlib.crc32(what.tobytes()))


def _straight(start: Floats, end: Floats) -> Floats:
    """Return (N, n) configurations from one to another, evenly."""
    steps = max(1, int(np.ceil(np.abs(end - start).max() / _STEP)))
    rows: Floats = start + (end - start) * np.linspace(0.0, 1.0, steps + 1)[:, None]
    return rows
