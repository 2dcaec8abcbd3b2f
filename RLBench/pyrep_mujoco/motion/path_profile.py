"""How far along a path of joint values an arm is, in time: quick as limits allow, rest to rest."""

import numpy as np

from pyrep_mujoco.transforms import Floats

_SPARE = 1.001
"""A joint that is faster than its limit by less does not slow the path down."""
_MOST_ROUNDS = 20


class PathProfile:
    """A path followed with one speed limit and one acceleration limit along it.

    Lengths are Euclidean in the space of the joints. Where any joint would be faster than its own
    limit the whole path is followed more slowly, as PyRep does.
    """

    def __init__(
        self,
        rows: Floats,
        max_velocity: float,
        max_acceleration: float,
        joint_limits: Floats,
        seconds: float,
    ) -> None:
        """Prepare to follow a path.

        Args:
            rows: (N, joints) joint values [rad or m], at least one row.
            max_velocity: along the path [rad/s].
            max_acceleration: along the path [rad/s^2].
            joint_limits: (joints,) [rad/s or m/s].
            seconds: of a step, in which joints' speeds are measured.
        """
        moves = np.linalg.norm(np.diff(rows, axis=0), axis=1)
        # Rows that do not move add no length.
        kept = np.concatenate([[True], moves > 0])
        self._rows = rows[kept]
        self._lengths: Floats = np.concatenate([[0.0], np.cumsum(moves[moves > 0])])
        self._time = 0.0
        self._acceleration = max_acceleration
        self._set_speed(max_velocity)
        for _ in range(_MOST_ROUNDS):
            excess = self._excess(joint_limits, seconds)
            if excess <= _SPARE:
                break
            self._set_speed(self._speed / excess)

    @property
    def duration(self) -> float:
        """How long it takes [s]."""
        return self._duration

    def _set_speed(self, limit: float) -> None:
        length = float(self._lengths[-1])
        self._speed = min(limit, np.sqrt(length * self._acceleration)) if length > 0 else limit
        self._ramp = self._speed / self._acceleration
        self._duration = length / self._speed + self._ramp if length > 0 else 0.0

    def _travelled(self, time: Floats) -> Floats:
        """Return how far along the path one is at times [s]."""
        length, half = self._lengths[-1], 0.5 * self._acceleration
        time = np.clip(time, 0.0, self._duration)
        left = self._duration - time
        cruise = half * self._ramp**2 + self._speed * (time - self._ramp)
        begun = np.where(time < self._ramp, half * time**2, cruise)
        travelled: Floats = np.where(left < self._ramp, length - half * left**2, begun)
        return travelled

    def _at(self, time: Floats) -> Floats:
        """Return (times, joints) joint values at times [s]."""
        lengths = self._travelled(time)
        columns = [np.interp(lengths, self._lengths, column) for column in self._rows.T]
        return np.stack(columns, axis=-1)

    def _excess(self, joint_limits: Floats, seconds: float) -> float:
        times = np.arange(0.0, self._duration + seconds, seconds)
        speeds = np.abs(np.diff(self._at(times), axis=0)) / seconds
        return float((speeds / joint_limits).max()) if len(speeds) else 0.0

    def advance(self, seconds: float) -> tuple[Floats, bool]:
        """Go on in time.

        Args:
            seconds: by how much.

        Returns:
            (joints,) where the joints shall be then [rad or m], and whether that is the end.
        """
        self._time += seconds
        is_done = self._time >= self._duration - 1e-9
        where = self._rows[-1] if is_done else self._at(np.array([self._time]))[0]
        return where.copy(), is_done
