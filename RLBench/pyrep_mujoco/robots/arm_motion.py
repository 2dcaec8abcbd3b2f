"""Plays ways of an arm in time."""

from typing import Protocol

import numpy as np

from pyrep_mujoco.motion.kinematics import Kinematics
from pyrep_mujoco.robots.robot_model import Grip
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats


class WayPlayer(Protocol):
    """An arm whose joints go a way.

    Attributes:
        kinematics: of its joints.
    """

    kinematics: Kinematics

    @property
    def substeps(self) -> int:
        """Steps of physics in one observation step."""

    @property
    def physics_seconds(self) -> float:
        """Duration of a step of physics [s]."""

    def get_joint_positions(self) -> Floats:
        """Return (7,) [rad]."""

    def get_joint_velocities(self) -> Floats:
        """Return (7,) [rad/s]."""

    def command(self, q: Floats, qd: Floats, qdd: Floats | None = None) -> None:
        """Write set points for the next step: (n, 7) q [rad], qd [rad/s], qdd [rad/s^2]."""

    def timed(self, path: Floats, grip: Grip | None = None) -> "TimedPath":
        """Return (N, 7) joint values [rad] as a way, from rest to rest."""


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
        self,
        arm: WayPlayer,
        welds: Welds,
        q: Floats,
        qd: Floats,
        grip: Grip | None = None,
    ) -> None:
        """Prepare a way.

        Args:
            arm: goes it.
            welds: hold what is in the hand.
            q: (N, 7) [rad], one row for each step of physics.
            qd: (N, 7) [rad/s].
            grip: how firmly the hand holds from the first step on; None: as before.
        """
        self._arm, self._welds = arm, welds
        self.q, self.qd = q, qd
        seconds = arm.physics_seconds
        self._qdd = np.gradient(qd, seconds, axis=0) if len(qd) > 1 else np.zeros_like(qd)
        self._grip = grip
        self._cursor = 0
        self._settling = 0
        self._lift = np.zeros(q.shape[1])

    def tip_at_end(self) -> Floats:
        """Return the (3,) position of the tip at the way's end [m], world."""
        return self._arm.kinematics.fk(self.q[-1])[0]

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
            return TimedPath(self._arm, self._welds, self.q, self.qd, self._grip)
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
            self._welds.change_grip(self._grip)
        if self._cursor < len(self.q):
            end = self._cursor + self._arm.substeps
            now = slice(self._cursor, end)
            self._arm.command(self.q[now], self.qd[now], self._qdd[now])
            self._cursor = end
            return False
        error = np.abs(self._arm.get_joint_positions() - self.q[-1]).max()
        self._settling += 1
        return bool(error < self.TOLERANCE) or self._settling > self.SETTLE_STEPS
