"""Forward and inverse kinematics of a hinged chain, on MuJoCo's C functions.

The chain is copied into a small model of its own: `mj_kinematics` on it costs a microsecond
whatever the scene holds, and the scene's own data is never touched.
"""

from collections.abc import Callable, Sequence

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.motion.loops import Loops

Floats = npt.NDArray[np.float64]
IsFree = Callable[[Floats], bool]

POSE_TOLERANCE = 1e-6  # [m] and [rad]
_TURN_TOLERANCE = 1.745e-3
"""[rad] that does where a pose is partly left open: an arm of few joints may not be able to turn
its tip exactly as asked. That of the groups in PyRep's model files."""
_MAX_ITERATIONS = 60
_STALL_AFTER = 5  # iterations without halving the error: a limit or an unreachable pose
_MAX_OPEN_STEP = 0.2  # [rad or m] of a joint in one step to a pose that is partly left open
_GAMMA = 5  # the turn about the tip's z among what must be reached
_DISTINCT = 0.1  # [rad] solutions closer than this in every joint count as one


class Kinematics:
    """The chain of hinges from the world to a tip body.

    Attributes:
        lower: (n,) lower joint limits [rad].
        upper: (n,) upper joint limits [rad].
    """

    def __init__(self, model: mujoco.MjModel, joint_names: Sequence[str], tip_body: str) -> None:
        chain = _chain_model(model, joint_names, tip_body)
        self._take(chain, chain.nbody - 1)

    @classmethod
    def of_chain(
        cls,
        chain: mujoco.MjModel,
        constraints: Sequence[bool] = (True,) * 6,
        loops: Loops | None = None,
    ) -> "Kinematics":
        """Take a model that is nothing but the chain, whose body `tip` is the tip.

        Args:
            chain: all joints of the arm are limited hinges or slides.
            constraints: what of a pose must be reached: x, y, z in the world, the two turns of the
                tip's z axis, and the turn about it.
            loops: say where joints that are not the arm's must be; None where there are none.
        """
        made = cls.__new__(cls)
        made._take(chain, chain.body("tip").id, loops)
        made._wanted = None if all(constraints) else np.asarray(constraints, np.float64)
        return made

    def _take(self, chain: mujoco.MjModel, tip: int, loops: Loops | None = None) -> None:
        self._model = chain
        self._wanted: Floats | None = None
        self._data = mujoco.MjData(self._model)
        self._tip, self._loops = tip, loops
        own = slice(None) if loops is None else loops.leaders
        self.lower: Floats = self._model.jnt_range[own, 0].copy()
        self.upper: Floats = self._model.jnt_range[own, 1].copy()
        n = len(self.lower)
        self._jacobian = np.zeros((6, chain.nv))
        self._error = np.zeros(6)
        self._quat = np.zeros(4)
        first = int(self._model.jnt_bodyid[0])
        self._reach = float(np.linalg.norm(self._model.body_pos[first + 1 :], axis=1).sum())
        self._reach += 2 * float(np.linalg.norm(self._model.jnt_pos, axis=1).sum())
        slides = self._model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE
        self._reach += float(np.abs(self._model.jnt_range[slides]).max(axis=1).sum())
        self._update(np.zeros(n))
        self._root: Floats = self._data.xanchor[0].copy()

    @property
    def leaves_open(self) -> bool:
        """Tell whether something of a pose need not be reached."""
        return self._wanted is not None

    def fk(self, q: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return the tip's (3,) position [m] and (4,) quaternion wxyz in the world."""
        self._update(np.asarray(q, dtype=np.float64))
        return self._data.xpos[self._tip].copy(), self._data.xquat[self._tip].copy()

    def jacobian(self, q: npt.ArrayLike) -> Floats:
        """Return the (6, n) Jacobian: tip velocity [m/s] over angular velocity [rad/s], world."""
        self._update(np.asarray(q, dtype=np.float64))
        return self._update_jacobian().copy()

    def pose_error(self, q: Floats, pos: Floats, quat_wxyz: Floats) -> Floats:
        """Return (6,) what is missing to the pose: translation [m] and rotation vector [rad]."""
        self._update(q)
        return self._update_error(pos, quat_wxyz).copy()

    def is_within_limits(self, q: npt.ArrayLike, margin: float = 0.0) -> bool:
        """Tell whether all joints keep `margin` [rad] from their limits."""
        q = np.asarray(q)
        return bool(((q >= self.lower + margin) & (q <= self.upper - margin)).all())

    def may_reach(self, pos: npt.ArrayLike) -> bool:
        """Tell whether (3,) `pos` [m] lies within the summed lengths of the links."""
        return float(np.linalg.norm(np.asarray(pos) - self._root)) <= self._reach

    def with_followers(self, q: Floats) -> Floats:
        """Return (n,) values of the joints, then those of joints that links move along."""
        if self._loops is None:
            return q
        self._update(q)
        return np.concatenate([q, self._loops.followers_of(self._data)])

    def _update(self, q: Floats) -> None:
        if self._loops is not None:
            self._loops.place(self._data, q)
            return
        self._data.qpos[:] = q
        mujoco.mj_kinematics(self._model, self._data)

    def _update_jacobian(self) -> Floats:
        mujoco.mj_comPos(self._model, self._data)
        J = self._jacobian
        mujoco.mj_jacBody(self._model, self._data, J[:3], J[3:], self._tip)
        return J if self._loops is None else self._loops.of_leaders(self._data, J)

    def _update_error(self, pos: Floats, quat_wxyz: Floats) -> Floats:
        error = self._error
        np.subtract(pos, self._data.xpos[self._tip], out=error[:3])
        mujoco.mju_negQuat(self._quat, self._data.xquat[self._tip])
        mujoco.mju_mulQuat(self._quat, quat_wxyz, self._quat.copy())
        mujoco.mju_quat2Vel(error[3:], self._quat, 1.0)
        return error

    def refine(
        self,
        q: Floats,
        pos: Floats,
        quat_wxyz: Floats,
        tolerance: float = POSE_TOLERANCE,
        max_iterations: int = _MAX_ITERATIONS,
    ) -> Floats | None:
        """Walk from q to a nearby configuration that reaches the pose, by damped least squares.

        The damping is half the squared error (Sugihara 2011, doi:10.1109/TRO.2011.2148230):
        sure steps far away, Newton's speed close by. A joint that would pass its limit is held
        there and the step is solved again for the others.

        Args:
            q: (n,) where to start [rad].
            pos: (3,) wanted tip position [m], world.
            quat_wxyz: (4,) wanted tip orientation, unit length.
            tolerance: bound on the error's components [m, rad]; see `_TURN_TOLERANCE`.
            max_iterations: bound on the steps.

        Returns:
            (n,) configuration within limits, or None.
        """
        q = np.minimum(np.maximum(q, self.lower), self.upper)
        best, best_at = np.inf, 0
        kept = self._projection(quat_wxyz)
        is_lenient = kept is not None or self._loops is not None
        patience = 3 * _STALL_AFTER if is_lenient else _STALL_AFTER  # steps are smaller
        for iteration in range(max_iterations + 1):
            self._update(q)
            error = self._update_error(pos, quat_wxyz)
            if kept is not None:
                error = kept @ self._without_own_turn(error, quat_wxyz)
            if is_lenient and np.abs(error[3:]).max() < _TURN_TOLERANCE:
                error[3:] = 0.0
            if max(error.max(), -error.min()) < tolerance:
                return q if self._loops is None or self._loops.is_closed(self._data) else None
            squared = float(error @ error)
            if squared < 0.25 * best:
                best, best_at = squared, iteration
            elif iteration - best_at > patience:
                return None
            q = self._step(q, error, 0.5 * squared + 1e-9, kept)
        return None

    def _projection(self, quat_wxyz: Floats) -> Floats | None:
        """Return (6, 6), which leaves of an error what must vanish; None where all must."""
        if self._wanted is None:
            return None
        flat = np.zeros(9)
        mujoco.mju_quat2Mat(flat, quat_wxyz)
        R, kept = flat.reshape(3, 3), np.diag(self._wanted)
        kept[3:, 3:] = R @ kept[3:, 3:] @ R.T
        return kept

    def _without_own_turn(self, error: Floats, quat_wxyz: Floats) -> Floats:
        """Return an error (6,) whose turn is the shortest that brings the tip's z to its goal.

        Where the turn about z counts, it is left as it is.
        """
        assert self._wanted is not None
        if self._wanted[_GAMMA]:
            return error
        goal, now = np.zeros(3), self._data.xmat[self._tip].reshape(3, 3)[:, 2]
        mujoco.mju_rotVecQuat(goal, np.array([0.0, 0.0, 1.0]), quat_wxyz)
        axis = np.cross(now, goal)
        sine, cosine = float(np.linalg.norm(axis)), float(now @ goal)
        turn = axis * (np.arctan2(sine, cosine) / sine) if sine > 0 else axis
        return np.concatenate([error[:3], turn])

    def _step(self, q: Floats, error: Floats, damping: float, kept: Floats | None) -> Floats:
        J = self._update_jacobian()
        if kept is not None:
            J = kept @ J
        step = _least_squares(J, error, damping)
        if kept is not None or self._loops is not None:
            # What is left open must not run away where the arm is stretched.
            step *= min(1.0, _MAX_OPEN_STEP / max(float(np.abs(step).max()), 1e-12))
        after = q + step
        outside = (after < self.lower) | (after > self.upper)
        if outside.any():
            held = np.where(outside, np.minimum(np.maximum(after, self.lower), self.upper), q)
            rest = J * ~outside
            move = _least_squares(rest, error - J @ (held - q), damping)
            after = np.minimum(np.maximum(held + move, self.lower), self.upper)
        return after


def _least_squares(J: Floats, error: Floats, damping: float) -> Floats:
    """Return the (n,) shortest step of (6, n) J towards (6,) error, damped."""
    A = J @ J.T
    A.ravel()[::7] += damping
    x = np.empty(6)
    # MuJoCo's Cholesky: NumPy's `solve` spends five times the work on its arguments.
    mujoco.mju_cholFactor(A, 0.0)
    mujoco.mju_cholSolve(x, A, error)
    step: Floats = J.T @ x
    return step


def _chain_model(
    model: mujoco.MjModel, joint_names: Sequence[str], tip_body: str
) -> mujoco.MjModel:
    """Copy the bodies from the world to the tip, with their hinges, into a model of their own."""
    tip = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, tip_body)
    if tip < 0:
        names = [model.body(i).name for i in range(model.nbody)]
        raise SceneError(f"kinematics: body {tip_body!r} is not in the model; bodies are {names}")
    chain = [tip]
    while chain[0] > 0:
        chain.insert(0, int(model.body_parentid[chain[0]]))
    joints = [j for b in chain for j in range(model.njnt) if model.jnt_bodyid[j] == b]
    found = [model.joint(j).name for j in joints]
    hinges = [j for j in joints if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_HINGE]
    if found != list(joint_names) or hinges != joints:
        raise SceneError(
            f"kinematics: the chain to body {tip_body!r} has the joints {found}; "
            f"it must have exactly the hinges {list(joint_names)}, in this order"
        )
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    parent = spec.worldbody
    for b in chain[1:]:
        parent = parent.add_body(
            pos=model.body_pos[b],
            quat=model.body_quat[b],
            mass=1.0,
            inertia=[1.0, 1.0, 1.0],
            explicitinertial=True,
        )
        for j in joints:
            if model.jnt_bodyid[j] == b:
                is_limited = bool(model.jnt_limited[j])
                parent.add_joint(
                    type=mujoco.mjtJoint.mjJNT_HINGE,
                    pos=model.jnt_pos[j],
                    axis=model.jnt_axis[j],
                    ref=model.qpos0[model.jnt_qposadr[j]],
                    limited=True,
                    range=model.jnt_range[j] if is_limited else [-np.pi, np.pi],
                )
    return spec.compile()


def solve_ik(
    kin: Kinematics,
    pos: npt.ArrayLike,
    quat_wxyz: npt.ArrayLike,
    q_start: npt.ArrayLike,
    rng: np.random.Generator,
    is_free: IsFree | None = None,
    max_solutions: int = 8,
    max_restarts: int = 40,
) -> list[Floats]:
    """Find configurations that reach a pose: from q_start, then from seeded restarts.

    Restarts alternate between the neighbourhood of q_start and the whole joint space.

    Args:
        kin: the arm.
        pos: (3,) wanted tip position [m], world.
        quat_wxyz: (4,) wanted tip orientation.
        q_start: (n,) configuration that solutions should be close to [rad].
        rng: source of the restarts.
        is_free: tells whether a configuration is free of collisions; None accepts all.
        max_solutions: stop after so many distinct free solutions.
        max_restarts: stop after so many restarts.

    Returns:
        (n,) configurations within limits, more than 0.1 rad apart in some joint, nearest to
        q_start (Euclidean) first; empty when nothing was found.
    """
    pos = np.asarray(pos, dtype=np.float64)
    quat = np.asarray(quat_wxyz, dtype=np.float64)
    quat = quat / np.linalg.norm(quat)
    q_start = np.asarray(q_start, dtype=np.float64)
    if not kin.may_reach(pos):
        return []
    seen: list[Floats] = []
    free: list[Floats] = []
    for attempt in range(max_restarts + 1):
        q = kin.refine(_guess(kin, q_start, attempt, rng), pos, quat)
        if q is None or any(np.abs(q - other).max() < _DISTINCT for other in seen):
            continue
        seen.append(q)
        if is_free is None or is_free(q):
            free.append(q)
            if len(free) >= max_solutions:
                break
    return sorted(free, key=lambda q: float(np.linalg.norm(q - q_start)))


def _guess(kin: Kinematics, q_start: Floats, attempt: int, rng: np.random.Generator) -> Floats:
    if attempt == 0:
        return q_start
    if attempt % 2:
        return q_start + rng.normal(0.0, 0.5, len(q_start))
    return rng.uniform(kin.lower, kin.upper)
