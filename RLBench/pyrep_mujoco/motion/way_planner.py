"""Finds ways of an arm's joints to a pose of its tip, or along a path of poses."""

from collections.abc import Callable, Sequence

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import ConfigurationPathError
from pyrep_mujoco.motion.kinematics import Kinematics, solve_ik
from pyrep_mujoco.motion.planning import plan_rrt_connect, straight_line
from pyrep_mujoco.motion.pose_paths import path_fractions, pose_along
from pyrep_mujoco.transforms import Floats

PATH_SAMPLES = 20
"""A path of more poses is looked at in as many places."""
PATH_SPARE = 0.05
"""Share of a path's length that may be missing at its end."""
LONG = 2
"""More poses than these after a waypoint are a path."""


class WayPlanner:
    """Finds joint paths (N, 7) to a tip pose, looking ahead to the straight lines after it."""

    MAX_CANDIDATES = 8
    MAX_PLANS = 3
    MORE_CANDIDATES, MORE_RESTARTS = 24, 120

    def __init__(
        self,
        kinematics: Kinematics,
        is_careful: bool,
        rng: np.random.Generator,
        is_free: Callable[[Floats], bool] | None,
        passes: Callable[[Floats], bool] | None = None,
    ) -> None:
        """Plan for an arm.

        Args:
            kinematics: of the arm.
            is_careful: paths are looked at between their poses, and may end a little early.
            rng: source of all choices.
            is_free: tells whether joint values may be passed; None accepts all.
            passes: the same for the straight lines afterwards, which may touch what moves.
        """
        self._kin = kinematics
        self._is_careful = is_careful
        self._rng = rng
        self._is_free = is_free
        self._passes = passes

    def find(
        self, q_start: Floats, T_goal: Floats, linear_only: bool, following: Sequence[Floats]
    ) -> Floats:
        """Return a path (N, 7) [rad] from `q_start` to a configuration at `T_goal`."""
        line = self._line(q_start, T_goal, self._is_free)
        leads = line is not None and self._continues(line[-1], following)
        if line is not None and (linear_only or (leads and self._clears(line[-1], following))):
            return line
        if linear_only:
            raise ConfigurationPathError("no straight line of the tip within the joints' limits")
        goals, good = self._goals(q_start, T_goal, following)
        if line is not None and (not good or (leads and not self._clears(good[0], following))):
            return line  # nothing continues better: the next plan will decide
        for goal in (good or goals)[: self.MAX_PLANS]:
            path = self._joint_path(q_start, goal)
            if path is not None:
                return path
        if line is not None:
            return line
        reason = (
            f"none of {len(goals)} arm poses there can be reached"
            if goals
            else ("no arm pose there is free of collisions" if self._is_free else "out of reach")
        )
        raise ConfigurationPathError(reason)

    def _goals(
        self, q_start: Floats, T_goal: Floats, following: Sequence[Floats]
    ) -> tuple[list[Floats], list[Floats]]:
        """Return arm poses at the goal, and those of them from which the way leads on."""
        quat = tf.matrix_to_quat_wxyz(T_goal[:3, :3])
        place = self._kin, T_goal[:3, 3], quat, q_start, self._rng
        goals = solve_ik(*place, is_free=self._is_free, max_solutions=self.MAX_CANDIDATES)
        good = self._leading(goals, following)
        if not good and len(following) > (0 if self._passes else LONG):
            # The elbow turns freely about the wrist: look at more of its poses.
            goals += solve_ik(
                *place,
                is_free=self._is_free,
                max_solutions=self.MORE_CANDIDATES,
                max_restarts=self.MORE_RESTARTS,
            )
            good = self._leading(goals, following)
        return goals, good

    def follow(self, q_start: Floats, poses: Sequence[Floats]) -> Floats:
        """Return a path (N, 7) [rad] through (4, 4) poses, straight between them.

        The last `PATH_SPARE` of the way may be missing: scenes draw their paths a little beyond
        what is needed.
        """
        parts = [q_start[None]]
        for fraction, T in self._samples(poses):
            line = self._line(parts[-1][-1], T, None)
            if line is None:
                if self._is_careful and fraction > 1.0 - PATH_SPARE + 1e-9:
                    break
                raise ConfigurationPathError(
                    f"the path is out of reach after {100 * fraction:.0f} % of its length"
                )
            parts.append(line[1:])
        return np.concatenate(parts)

    def _samples(self, poses: Sequence[Floats]) -> list[tuple[float, Floats]]:
        """Return points of the way through (4, 4) poses: fractions of it, and the poses there."""
        own = path_fractions(poses)
        if not self._is_careful:
            return [(float(f), T) for f, T in zip(own, poses, strict=True)]
        along = np.linspace(0.0, 1.0, PATH_SAMPLES + 1)
        # A path of few points is followed through all of them, one of many through samples.
        fractions = np.union1d(along, own if len(poses) <= PATH_SAMPLES else [])
        return [(float(f), pose_along(poses, f)) for f in fractions]

    def leads(self, q_start: Floats, poses: Sequence[Floats]) -> bool:
        """Tell whether the way through (4, 4) poses can be followed from a configuration."""
        try:
            self.follow(q_start, poses)
        except ConfigurationPathError:
            return False
        return True

    def _line(
        self, q_start: Floats, T: Floats, is_free: Callable[[Floats], bool] | None
    ) -> Floats | None:
        quat = tf.matrix_to_quat_wxyz(T[:3, :3])
        return straight_line(self._kin, q_start, T[:3, 3], quat, is_free)

    def _leading(self, goals: Sequence[Floats], following: Sequence[Floats]) -> list[Floats]:
        """Return the goals from which the way leads on, those where something blocks it last."""
        good = [q for q in goals if self._continues(q, following)]
        return sorted(good, key=lambda q: not self._clears(q, following))

    def _clears(self, q: Floats, following: Sequence[Floats]) -> bool:
        """Tell whether nothing blocks the straight lines that follow."""
        return self._passes is None or self._continues(q, following, self._passes)

    def _continues(
        self,
        q: Floats,
        following: Sequence[Floats],
        is_free: Callable[[Floats], bool] | None = None,
    ) -> bool:
        """Tell whether straight lines lead on from q through all poses that follow."""
        for T in following:
            line = self._line(q, T, is_free)
            if line is None:
                return False
            q = line[-1]
        return True

    def _joint_path(self, q_start: Floats, q_goal: Floats) -> Floats | None:
        if self._is_free is None:
            return np.stack([q_start, q_goal])
        seed = int(self._rng.integers(1, 2**31 - 1))
        return plan_rrt_connect(
            q_start, [q_goal], self._kin.lower, self._kin.upper, self._is_free, seed
        )
