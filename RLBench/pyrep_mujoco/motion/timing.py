"""The timing of paths: as fast as limits of speed and acceleration allow, from rest to rest."""

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats

_CURVATURE_SHARE = 0.5  # of the acceleration limit, spent on turning where the path bends
_GRID = 0.02  # [rad] spacing of the timing grid


def time_parametrise(
    path: npt.ArrayLike,
    max_velocity: npt.ArrayLike,
    max_acceleration: npt.ArrayLike,
    dt: float,
    path_limits: tuple[float, float] | None = None,
) -> tuple[Floats, Floats]:
    """Drive along a path as fast as the limits allow, from rest to rest.

    The path becomes a uniform quadratic B-spline: its first derivative is linear and its second
    constant between knots, so limits kept at the knots are kept everywhere. The squared speed
    along the path is linear between knots, which turns both passes of the classical
    time-optimal sweep (Bobrow 1985) into running minima. Rounding a corner strays from the path
    by at most 1/8 of the grid's second difference.

    Args:
        path: (N, n) configurations [rad].
        max_velocity: (n,) bounds [rad/s].
        max_acceleration: (n,) bounds [rad/s^2].
        dt: time between the samples returned [s].
        path_limits: bounds on speed [rad/s] and acceleration [rad/s^2] along the path, whose
            length is Euclidean in the space of the joints.

    Returns:
        q: (M, n) positions [rad], the path's ends exactly first and last.
        qd: (M, n) velocities [rad/s], zero at both ends.
    """
    path = np.asarray(path, dtype=np.float64)
    v_max = np.asarray(max_velocity, dtype=np.float64)
    a_max = np.asarray(max_acceleration, dtype=np.float64)
    control, h = _spline_controls(path)
    if control is None:
        return path[-1:].copy(), np.zeros_like(path[-1:])
    knots = 0.5 * (control[:-1] + control[1:])  # (S + 1, n) of S segments
    slope = np.diff(control, axis=0) / h  # (S + 1, n) dq/ds at the knots
    bend = np.diff(slope, axis=0) / h  # (S, n) d2q/ds2 in the segments
    w, sdd = _squared_speed(slope, bend, h, v_max, a_max, path_limits or (np.inf, np.inf))

    speed = np.sqrt(w)
    times = np.concatenate([[0.0], np.cumsum(2 * h / (speed[:-1] + speed[1:]))])
    samples = int(np.ceil(times[-1] / dt - 1e-9)) + 1
    # Slowing down to end on a sample keeps every limit.
    scale = times[-1] / (dt * (samples - 1))
    t = np.arange(samples) * (dt * scale)
    i = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(bend) - 1)
    tau = t - times[i]
    s = np.clip(speed[i] * tau + 0.5 * sdd[i] * tau**2, 0.0, h)[:, None]
    v = np.maximum(speed[i] + sdd[i] * tau, 0.0)[:, None]
    q = knots[i] + slope[i] * s + 0.5 * bend[i] * s**2
    qd = (slope[i] + bend[i] * s) * v * scale
    q[0], q[-1] = path[0], path[-1]
    qd[0] = qd[-1] = 0.0
    return q, qd


def _spline_controls(path: Floats) -> tuple[Floats | None, float]:
    """Return (S + 2, n) control points at half grid steps along the path, and the step [rad].

    None when the path does not move. The outermost points mirror their neighbours, so that the
    spline starts and ends exactly where the path does.
    """
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    if ends[-1] < 1e-9:
        return None, 0.0
    segments = max(8, int(np.ceil(ends[-1] / _GRID)))
    h = float(ends[-1]) / segments
    at = (np.arange(segments) + 0.5) * h
    inner = np.stack([np.interp(at, ends, column) for column in path.T], axis=1)
    return np.concatenate([2 * path[:1] - inner[:1], inner, 2 * path[-1:] - inner[-1:]]), h


def _squared_speed(
    slope: Floats,
    bend: Floats,
    h: float,
    v_max: Floats,
    a_max: Floats,
    path_limits: tuple[float, float],
) -> tuple[Floats, Floats]:
    """Return the (S + 1,) fastest squared speed at the knots and (S,) acceleration along s."""
    tiny = 1e-12
    steepest = np.maximum(np.abs(slope[:-1]), np.abs(slope[1:]))  # (S, n)
    cap = np.minimum(  # (S,) bound on the squared speed anywhere in a segment
        ((v_max / (steepest + tiny)) ** 2).min(axis=1),
        (_CURVATURE_SHARE * a_max / (np.abs(bend) + tiny)).min(axis=1),
    )
    cap = np.minimum(cap, path_limits[0] ** 2)
    knot_cap = np.concatenate([[0.0], np.minimum(cap[:-1], cap[1:]), [0.0]])
    # What turning leaves of the acceleration limit.
    rest = ((a_max - np.abs(bend) * cap[:, None]) / (steepest + tiny)).min(axis=1)
    rest = np.minimum(rest, path_limits[1])
    gain = np.concatenate([[0.0], np.cumsum(2 * h * rest)])
    forward = gain + np.minimum.accumulate(knot_cap - gain)
    back = gain[-1] - gain
    backward = (back[::-1] + np.minimum.accumulate((knot_cap - back)[::-1]))[::-1]
    w = np.maximum(np.minimum(forward, backward), 0.0)
    return w, np.diff(w) / (2 * h)
