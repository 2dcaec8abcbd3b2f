"""Ways of the arm: finding them, and playing them in time."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import ConfigurationPathError
from pyrep_mujoco.motion.kinematics import solve_ik
from pyrep_mujoco.motion.planning import plan_rrt_connect, straight_line
from pyrep_mujoco.robots.robot_model import Grip
from pyrep_mujoco.simulation import MujocoEngine
from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.robots.arm import Arm


PATH_SAMPLES = 20
PATH_SPARE = 0.05


def path_fractions(poses: Sequence[Floats]) -> Floats:
    """Return (N,) where (4, 4) poses lie on the way through them, 0 to 1.

    Where a path turns on the spot a radian counts as 0.1 m.
    """
    steps = [
        max(
            float(np.linalg.norm(b[:3, 3] - a[:3, 3])),
            0.1 * float(np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1))),
        )
        for a, b in pairwise(poses)
    ]
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    total = float(lengths[-1])
    return lengths / total if total > 0 else np.linspace(0.0, 1.0, len(poses))


def pose_along(poses: Sequence[Floats], fraction: float) -> Floats:
    """Return the (4, 4) pose at a fraction of the way through poses."""
    at = path_fractions(poses)
    i = int(np.clip(np.searchsorted(at, fraction, side="right") - 1, 0, max(len(poses) - 2, 0)))
    if len(poses) == 1 or at[i + 1] == at[i]:
        return poses[i]
    share = (fraction - at[i]) / (at[i + 1] - at[i])
    return tf.interpolate(poses[i], poses[i + 1], float(np.clip(share, 0.0, 1.0)))


LONG = 2
"""More poses than these after a waypoint are a path."""


class Planner:
    """Finds joint paths (N, 7) to a tip pose, looking ahead to the straight lines after it."""

    MAX_CANDIDATES = 8
    MAX_PLANS = 3
    MORE_CANDIDATES, MORE_RESTARTS = 24, 120

    def __init__(
        self,
        arm: "Arm",
        rng: np.random.Generator,
        is_free: Callable[[Floats], bool] | None,
        passes: Callable[[Floats], bool] | None = None,
    ) -> None:
        """Plan for an arm.

        Args:
            arm: that moves.
            rng: source of all choices.
            is_free: tells whether joint values may be passed; None accepts all.
            passes: the same for the straight lines afterwards, which may touch what moves.
        """
        self._kin = arm.kinematics
        self._is_careful = arm.is_careful
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
        """Return fractions of the way through (4, 4) poses at which it is met, and the poses there."""
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


class TimedPath:
    """A time-parametrised way, played one observation step at a time."""

    SETTLE_STEPS = 4
    TOLERANCE = 2e-3
    ARRIVED, REST = 2e-4, 5e-3
    """At rest, joints are nearer than this [rad] to their goals, and slower than this [rad/s]."""
    MAX_LIFT, LIFT_GAIN = 1e-3, 0.5
    """Set points are moved by at most this [rad] beyond the goal, and by this share of what is
    missing in each step: against friction. What stops an arm for good is not pushed harder."""

    def __init__(
        self, engine: MujocoEngine, arm: "Arm", q: Floats, qd: Floats, grip: Grip | None = None
    ) -> None:
        """Play (N, 7) q [rad], qd [rad/s], one row a time step; `grip` holds from its first step on."""
        self._engine, self._arm = engine, arm
        self.q, self.qd = q, qd
        dt = engine.model.opt.timestep
        self._qdd = np.gradient(qd, dt, axis=0) if len(qd) > 1 else np.zeros_like(qd)
        self._grip = grip
        self._cursor = 0
        self._settling = 0
        self._lift = np.zeros(q.shape[1])

    def settle(self) -> bool:
        """Command one more step at the way's end; True once the arm stands there, or is stopped.

        Servos bend under what the hand pushes: their set points move until the arm is in place.
        """
        missing = self.q[-1] - self._arm.get_joint_positions()
        stopped = np.abs(self._lift) >= self.MAX_LIFT
        if (
            np.abs(self._arm.get_joint_velocities()).max() < self.REST
            and (stopped | (np.abs(missing) < self.ARRIVED)).all()
        ):
            return True
        lift = self._lift + self.LIFT_GAIN * missing
        self._lift = np.clip(lift, -self.MAX_LIFT, self.MAX_LIFT)
        self.stay()
        return False

    def shortened(self, distance: float) -> "TimedPath":
        """Return the way, not begun, without the tip's last `distance` [m]."""
        if distance == 0:
            return TimedPath(self._engine, self._arm, self.q, self.qd, self._grip)
        tips = np.array([self._arm.kinematics.fk(q)[0] for q in self.q])
        left = np.linalg.norm(np.diff(tips, axis=0), axis=1)[::-1].cumsum()[::-1]
        end = max(1, int(np.count_nonzero(left > distance)))
        return self._arm.timed(self.q[: end + 1], self._grip)

    def stay(self) -> None:
        """Command one more step at the way's end, with what the hand carries now."""
        self._arm.command((self.q[-1] + self._lift)[None], *np.zeros((2, 1, self.q.shape[1])))

    def step(self) -> bool:
        """Command the next observation step; True when the way is done."""
        if self._cursor == 0 and self._grip is not None:
            self._engine.change_grip(self._grip)
        if self._cursor < len(self.q):
            end = self._cursor + self._engine.substeps
            now = slice(self._cursor, end)
            self._arm.command(self.q[now], self.qd[now], self._qdd[now])
            self._cursor = end
            return False
        error = np.abs(self._arm.get_joint_positions() - self.q[-1]).max()
        self._settling += 1
        return bool(error < self.TOLERANCE) or self._settling > self.SETTLE_STEPS
