"""Arm motions: straight lines, collision-free paths, and their timing.

Everything ends by count and is a function of its arguments and seeds, never of the clock.
"""

from collections.abc import Sequence
from itertools import pairwise

import mujoco
import numpy as np
import numpy.typing as npt
from ompl import base, geometric, util

from pyrep_mujoco.motion.kinematics import Floats, IsFree, Kinematics, solve_ik
from pyrep_mujoco.motion.timing import time_parametrise

__all__ = ["Kinematics", "plan_rrt_connect", "solve_ik", "straight_line", "time_parametrise"]

_LINE_SPACING = (0.01, 0.05)  # [m], [rad] between poses of a straight line
_MAX_LINE_POINTS = 1500
_MIN_LINE_STEP = 1e-4  # of the whole line; smaller steps mean a singularity or a jump
_ATTEMPTS = 4  # plans, each checked twice as finely as the one before
_SHORTCUT_ATTEMPTS = 12
_SMOOTHING_WIDTHS = (25, 13, 7, 3)  # points of a moving average, widest that stays free

# Seeding after the first draw works, yet OMPL reports it as an error; so does every failed plan.
util.setLogLevel(util.LOG_NONE)


def straight_line(
    kin: Kinematics,
    q_start: npt.ArrayLike,
    pos: npt.ArrayLike,
    quat_wxyz: npt.ArrayLike,
    is_free: IsFree | None = None,
    max_joint_step: float = 0.02,
    steps: int | None = None,
) -> Floats | None:
    """Follow the straight line of the tip from where it is to a pose.

    The position moves along the line while the orientation turns about one axis at a constant
    rate (slerp); each point is inverse kinematics from the one before, so the arm cannot jump.

    Args:
        kin: the arm.
        q_start: (n,) configuration at the line's start [rad]; not itself checked with is_free.
        pos: (3,) tip position at the end [m], world.
        quat_wxyz: (4,) tip orientation at the end.
        is_free: tells whether a configuration is free of collisions; None accepts all.
        max_joint_step: bound on each joint's move between two points [rad].
        steps: least number of steps; by default one every 10 mm or 0.05 rad.

    Returns:
        (N, n) path from q_start to the pose, or None when it is blocked, leaves the joint
        limits or passes a singularity.
    """
    q = np.array(q_start, dtype=np.float64)
    line = _Line(*kin.fk(q), pos, quat_wxyz)
    walked = _walk(kin, q, line, is_free, max_joint_step, steps or line.steps())
    return None if walked is None else walked[1]


def even_line(
    kin: Kinematics,
    q_start: npt.ArrayLike,
    pos: npt.ArrayLike,
    quat_wxyz: npt.ArrayLike,
    points: int,
    is_free: IsFree | None = None,
    max_joint_step: float = 0.02,
) -> Floats | None:
    """Follow the straight line as `straight_line` does, in a given number of even steps.

    Returns:
        (points, n) path from q_start to the pose, as far apart along the line, or None.
    """
    q = np.array(q_start, dtype=np.float64)
    line = _Line(*kin.fk(q), pos, quat_wxyz)
    walked = _walk(kin, q, line, is_free, max_joint_step, line.steps())
    if walked is None:
        return None
    fractions, path = walked
    even = np.linspace(0.0, 1.0, points)
    out = np.stack([np.interp(even, fractions, column) for column in path.T], axis=1)
    for i, s in enumerate(even[1:-1], start=1):
        exact = kin.refine(out[i], *line.at(float(s)), max_iterations=8)
        out[i] = out[i] if exact is None else exact
    return out


def _walk(
    kin: Kinematics,
    q: Floats,
    line: "_Line",
    is_free: IsFree | None,
    max_joint_step: float,
    least: int,
) -> tuple[Floats, Floats] | None:
    """Return (N,) fractions of a line and the (N, n) configurations there; None if it is blocked.

    The steps are at most 1 / `least` of the line, and no joint moves further than allowed in one.
    """
    path, fractions, s, step = [q], [0.0], 0.0, 1.0 / least
    tangent = np.zeros_like(q)  # joint motion per unit of the line
    while s < 1.0:
        # The last step takes the remainder, so that no sliver is left by rounding.
        after = 1.0 if s + step > 1.0 - _MIN_LINE_STEP else s + step
        guess = q + tangent * (after - s)
        q_after = kin.refine(guess, *line.at(after), max_iterations=8)
        moved = np.inf if q_after is None else float(np.abs(q_after - q).max())
        if q_after is None or moved > max_joint_step:
            step = 0.5 * (after - s)
            if step < _MIN_LINE_STEP or len(path) > _MAX_LINE_POINTS:
                return None
            continue
        if is_free is not None and not is_free(q_after):
            return None
        if not kin.leaves_open:  # else what is open would run on and on
            tangent = (q_after - q) / (after - s)
        if moved < 0.6 * max_joint_step:
            step = min(1.5 * step, 1.0 / least)
        q, s = q_after, after
        path.append(q)
        fractions.append(s)
    return np.array(fractions), np.stack(path)


class _Line:
    """The tip's straight motion between two poses, s from 0 to 1."""

    def __init__(
        self, pos: Floats, quat_wxyz: Floats, pos_end: npt.ArrayLike, quat_end: npt.ArrayLike
    ) -> None:
        self._pos, self._quat = pos, quat_wxyz
        self._pos_end = np.asarray(pos_end, dtype=np.float64)
        self._quat_end = np.asarray(quat_end, dtype=np.float64)
        self._quat_end = self._quat_end / np.linalg.norm(self._quat_end)
        self._turn = np.zeros(3)  # rotation vector in the tip's own frame
        mujoco.mju_subQuat(self._turn, self._quat_end, quat_wxyz)

    def steps(self) -> int:
        """Return how many steps keep `_LINE_SPACING`."""
        sizes = np.linalg.norm(self._pos_end - self._pos), np.linalg.norm(self._turn)
        ratios = [size / spacing for size, spacing in zip(sizes, _LINE_SPACING, strict=True)]
        return max(1, int(np.ceil(max(ratios))))

    def at(self, s: float) -> tuple[Floats, Floats]:
        """Return the (3,) position and (4,) quaternion wxyz at s."""
        if s >= 1.0:
            return self._pos_end, self._quat_end
        quat = self._quat.copy()
        mujoco.mju_quatIntegrate(quat, self._turn, s)
        return self._pos + s * (self._pos_end - self._pos), quat


def plan_rrt_connect(
    q_start: npt.ArrayLike,
    goals: Sequence[npt.ArrayLike],
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    is_free: IsFree,
    seed: int,
    resolution: float = 0.02,
    max_iterations: int = 2000,
) -> Floats | None:
    """Plan a collision-free path to the goal that is reached first.

    The straight way through the joint space to each goal is tried before OMPL's RRT-Connect.
    What the planner returns is shortened, rounded and checked again at `resolution`.

    Args:
        q_start: (n,) start, free and within limits [rad].
        goals: (n,) goals, preferred first; those in collision are left out.
        lower: (n,) lower joint limits [rad].
        upper: (n,) upper joint limits [rad].
        is_free: tells whether a configuration is free of collisions.
        seed: of the planner, >= 0; the same arguments give the same path.
        resolution: bound on each joint's move between two checked points of the result [rad].
        max_iterations: bound on the planner's iterations.

    Returns:
        (N, n) path in joint steps <= resolution, or None.
    """
    start = np.asarray(q_start, dtype=np.float64)
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    # An invalid start or goal would burn the planner's whole budget.
    if not is_free(start):
        return None
    ends = [np.asarray(goal, dtype=np.float64) for goal in goals]
    ends = [q for q in ends if ((q >= lower) & (q <= upper)).all() and is_free(q)]
    for end in ends:
        if _is_edge_free(start, end, is_free, resolution):
            return _densify(np.stack([start, end]), resolution)
    if not ends or ((start < lower) | (start > upper)).any():
        return None
    limits = lower, upper
    return _plan_around(start, ends, limits, is_free, seed, resolution, max_iterations)


def _plan_around(
    start: Floats,
    ends: list[Floats],
    limits: tuple[Floats, Floats],
    is_free: IsFree,
    seed: int,
    resolution: float,
    max_iterations: int,
) -> Floats | None:
    """Plan, shorten, check and round; plan anew, more finely, when the check finds a collision."""
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng((seed, attempt))
        # The planner's own checks are coarse: some of its paths (2 of 20 past a wall) touch
        # something in between. Looking closer at once would cost all the others.
        coarse = 2 * resolution / 2**attempt
        corners = _rrt_corners(
            start, ends, limits, is_free, int(rng.integers(1, 2**31)), coarse, max_iterations
        )
        if corners is None:
            return None
        corners = _drop_corners(corners, is_free, resolution)
        corners = _shortcut(corners, is_free, resolution, rng)
        path = _densify(_drop_corners(corners, is_free, resolution), resolution)
        if all(is_free(q) for q in path):
            return _round_corners(path, is_free, resolution)
    return None


def _rrt_corners(
    start: Floats,
    ends: list[Floats],
    limits: tuple[Floats, Floats],
    is_free: IsFree,
    seed: int,
    resolution: float,
    max_iterations: int,
) -> Floats | None:
    """Return OMPL's (N, n) raw path; a fresh space and setup, since a cleared one remembers."""
    util.RNG.setSeed(seed)
    n = len(start)
    space = base.RealVectorStateSpace(n)
    bounds = base.RealVectorBounds(n)
    for i in range(n):
        bounds.setLow(i, float(limits[0][i]))
        bounds.setHigh(i, float(limits[1][i]))
    space.setBounds(bounds)
    setup = geometric.SimpleSetup(space)
    # list(state) runs past the end and crashes; a NumPy bool is a bad cast.
    setup.setStateValidityChecker(lambda state: bool(is_free(np.array(state[0:n]))))
    info = setup.getSpaceInformation()
    # OMPL's resolution is a fraction of the space's extent (Euclidean, about 13 rad).
    info.setStateValidityCheckingResolution(resolution / space.getMaximumExtent())
    setup.addStartState(_state(space, start))
    goal = base.GoalStates(info)
    for end in ends:
        goal.addState(_state(space, end))
    setup.setGoal(goal)
    setup.setPlanner(geometric.RRTConnect(info))
    count = iter(range(max_iterations))
    setup.solve(base.PlannerTerminationCondition(lambda: next(count, None) is None))
    if not setup.haveExactSolutionPath():  # an approximate one counts as solved elsewhere
        return None
    solution = setup.getSolutionPath()
    return np.array([solution.getState(i)[0:n] for i in range(solution.getStateCount())])


def _state(space: base.RealVectorStateSpace, q: Floats) -> base.State:
    state = space.allocState()
    for i, value in enumerate(q):
        state[i] = float(value)
    return state


def _is_edge_free(a: Floats, b: Floats, is_free: IsFree, resolution: float) -> bool:
    """Check the inside of an edge, middle first: a collision there shows soonest."""
    n = int(np.ceil(np.abs(b - a).max() / resolution))
    stride = 1 << max(0, n - 1).bit_length()
    while stride > 1:
        half = stride // 2
        for i in range(half, n, stride):
            if not is_free(a + (b - a) * (i / n)):
                return False
        stride = half
    return True


def _drop_corners(corners: Floats, is_free: IsFree, resolution: float) -> Floats:
    """From each corner go straight to the farthest later one that can be seen."""
    keep, i, last = [0], 0, len(corners) - 1
    while i < last:
        j = last
        while j > i + 1 and not _is_edge_free(corners[i], corners[j], is_free, resolution):
            j -= 1
        keep.append(j)
        i = j
    return corners[keep]


def _shortcut(
    corners: Floats, is_free: IsFree, resolution: float, rng: np.random.Generator
) -> Floats:
    """Replace pieces between random points of different edges by straight ones."""
    for _ in range(_SHORTCUT_ATTEMPTS):
        if len(corners) < 3:
            break
        lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
        ends = np.concatenate([[0.0], np.cumsum(lengths)])
        cut = np.sort(rng.uniform(0.0, ends[-1], 2))
        first, second = np.clip(np.searchsorted(ends, cut, side="right") - 1, 0, len(lengths) - 1)
        if first == second:
            continue
        a, b = (
            corners[i] + (corners[i + 1] - corners[i]) * ((c - ends[i]) / lengths[i])
            for i, c in ((first, cut[0]), (second, cut[1]))
        )
        if _is_edge_free(a, b, is_free, resolution):
            corners = np.concatenate([corners[: first + 1], [a, b], corners[second + 1 :]])
    return corners


def _densify(corners: Floats, resolution: float) -> Floats:
    """Return points along (N, n) corners with joint steps <= resolution."""
    pieces = [corners[:1]]
    for a, b in pairwise(corners):
        n = max(1, int(np.ceil(np.abs(b - a).max() / resolution)))
        pieces += [a + (b - a) * (np.arange(1, n) / n)[:, None], b[None]]
    return np.concatenate(pieces)


def _round_corners(path: Floats, is_free: IsFree, resolution: float) -> Floats:
    """Return the most rounded path, by moving averages, that is still free; ends stay."""
    for width in _SMOOTHING_WIDTHS:
        half = width // 2
        if len(path) <= width:
            continue
        # Point reflection at the ends: they and their directions stay.
        padded = np.concatenate(
            [2 * path[0] - path[half:0:-1], path, 2 * path[-1] - path[-2 : -half - 2 : -1]]
        )
        sums = np.cumsum(np.concatenate([np.zeros_like(path[:1]), padded]), axis=0)
        rounded: Floats = (sums[width:] - sums[:-width]) / width
        rounded[0], rounded[-1] = path[0], path[-1]
        if _largest_step(rounded) <= resolution * (1 + 1e-9) and all(is_free(q) for q in rounded):
            return rounded
    return path


def _largest_step(path: Floats) -> float:
    return float(np.abs(np.diff(path, axis=0)).max())
