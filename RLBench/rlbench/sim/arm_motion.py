"""Ways of the arm: finding them, and playing them in time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rlbench import transforms as tf
from rlbench.backend.exceptions import ConfigurationPathError
from rlbench.sim.kinematics import solve_ik
from rlbench.sim.mujoco_engine import MujocoEngine
from rlbench.sim.planning import plan_rrt_connect, straight_line
from rlbench.transforms import Floats

if TYPE_CHECKING:
    from rlbench.sim.mujoco_robot import Arm


class Planner:
    """Finds joint paths (N, 7) to a tip pose, looking ahead to the straight lines after it."""

    MAX_CANDIDATES = 8
    MAX_PLANS = 3

    def __init__(
        self, arm: "Arm", rng: np.random.Generator, is_free: Callable[[Floats], bool] | None
    ) -> None:
        self._kin = arm.kinematics
        self._rng = rng
        self._is_free = is_free

    def find(
        self, q_start: Floats, T_goal: Floats, linear_only: bool, following: Sequence[Floats]
    ) -> Floats:
        """Return a path (N, 7) [rad] from `q_start` to a configuration at `T_goal`."""
        line = self._line(q_start, T_goal, self._is_free)
        if line is not None and (linear_only or self._continues(line[-1], following)):
            return line
        if linear_only:
            raise ConfigurationPathError("no straight line of the tip within the joints' limits")
        goals = solve_ik(
            self._kin,
            T_goal[:3, 3],
            tf.matrix_to_quat_wxyz(T_goal[:3, :3]),
            q_start,
            self._rng,
            is_free=self._is_free,
            max_solutions=self.MAX_CANDIDATES,
        )
        good = [q for q in goals if self._continues(q, following)]
        if line is not None and not good:
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

    def follow(self, q_start: Floats, poses: Sequence[Floats]) -> Floats:
        """Return a path (N, 7) [rad] through all (4, 4) poses, straight between them."""
        parts = [q_start[None]]
        for number, T in enumerate(poses):
            line = self._line(parts[-1][-1], T, None)
            if line is None:
                raise ConfigurationPathError(f"point {number} of the path is out of reach")
            parts.append(line[1:])
        return np.concatenate(parts)

    def _line(
        self, q_start: Floats, T: Floats, is_free: Callable[[Floats], bool] | None
    ) -> Floats | None:
        quat = tf.matrix_to_quat_wxyz(T[:3, :3])
        return straight_line(self._kin, q_start, T[:3, 3], quat, is_free)

    def _continues(self, q: Floats, following: Sequence[Floats]) -> bool:
        """Tell whether straight lines lead on from q through all poses that follow."""
        for T in following:
            line = self._line(q, T, None)
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

    def __init__(self, engine: MujocoEngine, arm: "Arm", q: Floats, qd: Floats) -> None:
        self._engine, self._arm = engine, arm
        self.q, self.qd = q, qd
        self._cursor = 0
        self._settling = 0

    def step(self) -> bool:
        """Command the next observation step; True when the way is done."""
        if self._cursor < len(self.q):
            end = self._cursor + self._engine.substeps
            self._arm.command(self.q[self._cursor : end], self.qd[self._cursor : end])
            self._cursor = end
            return False
        error = np.abs(self._arm.get_joint_positions() - self.q[-1]).max()
        self._settling += 1
        return bool(error < self.TOLERANCE) or self._settling > self.SETTLE_STEPS
