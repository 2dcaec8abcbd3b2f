"""An arm: its servos, the ways it can go, what it touches."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import ConfigurationPathError, IKError
from pyrep_mujoco.motion.kinematics import Kinematics, solve_ik
from pyrep_mujoco.motion.pose_paths import pose_along
from pyrep_mujoco.motion.timing import time_parametrise
from pyrep_mujoco.motion.way_planner import PATH_SPARE, WayPlanner
from pyrep_mujoco.objects.frames import MujocoDummy
from pyrep_mujoco.objects.joint import MujocoJoint
from pyrep_mujoco.objects.scene_object import Numbers
from pyrep_mujoco.robots.arm_motion import TimedPath
from pyrep_mujoco.robots.obstacles import Obstacles
from pyrep_mujoco.robots.robot_model import Grip
from pyrep_mujoco.robots.robot_scene import RobotScene
from pyrep_mujoco.transforms import Floats

LINES = 2
"""A plan looks ahead at so many straight lines for what blocks them; not at whole paths."""
PREVIEW = 12
"""So many poses of a path are looked at by a plan that leads to its start."""
CLOSE, TIGHT = 2e-3, 8e-3
"""Overlaps [m] that a careful arm accepts where no way is free without them."""
MAX_LAG = 0.12
"""Set points run ahead of a blocked joint by at most this [rad]; it is what full speed needs."""
MAX_UNCHECKED = 0.02
"""Collisions are checked at least this densely along a way of the joints [rad]."""


class Arm:
    """Hinges driven by position servos with velocity feed-forward.

    Attributes:
        qpos_ids: (7,) where the joints' values are.
        dof_ids: (7,) where the joints' velocities are.
        actuators: (7,) ids of the joints' servos.
        is_careful: see `RobotModel`.
        kinematics: of the joints.
        obstacles: what the arm may run into.
        tip: frame that reaches waypoints.
        max_velocity: (7,) [rad/s].
        max_acceleration: (7,) [rad/s^2].
    """

    def __init__(self, scene: RobotScene) -> None:
        """Take what the arm needs from a scene: its joints, its controls, what stands around."""
        world, robot = scene.world, scene.robot
        model = world.model
        self._world, self._controls, self._welds = world, scene.controls, scene.welds
        self._table, self._robot = scene.table, robot
        self._joints = [scene.joint(name) for name in robot.joints]
        self.qpos_ids = np.array([model.joint(j).qposadr[0] for j in robot.joints])
        self.dof_ids = np.array([model.joint(j).dofadr[0] for j in robot.joints])
        self.actuators = np.array([model.actuator(j).id for j in robot.joints])
        self._joint_ids = np.array([model.joint(j).id for j in robot.joints])
        self._carriers = model.body_parentid[model.jnt_bodyid[self._joint_ids]]
        # From what carries a joint to the joint: what the joint itself turns comes after it.
        frames = [tf.invert(world.transform(int(body))) for body in self._carriers]
        turns = [T @ j.get_matrix() for T, j in zip(frames, self.joints, strict=True)]
        self._joint_turns = np.array([_turning(T[:3, :3]) for T in turns])
        kp = model.actuator_gainprm[self.actuators, 0]
        kv = -model.actuator_biasprm[self.actuators, 2]
        self._kp, self._lead = kp, kv / kp
        self._hand = model.body(robot.hand).id
        self.is_careful = robot.is_careful
        self.kinematics = Kinematics(model, list(robot.joints), robot.tip)
        self.obstacles = Obstacles(world, robot, scene.welds, scene.table)
        self.tip = scene.dummy(robot.tip)
        self.max_velocity = np.array(robot.max_velocity)
        self.max_acceleration = np.array(robot.max_acceleration)
        self._step_seconds = scene.controls.step_seconds
        self._held: Floats | None = None
        self._servos: tuple[tuple[Floats, Floats], ...] | None = None

    def get_tip(self) -> MujocoDummy:
        """Return the frame that reaches waypoints."""
        return self.tip

    @property
    def joints(self) -> list[MujocoJoint]:
        """The joints as objects of the scene, from the base."""
        return list(self._joints)

    @property
    def substeps(self) -> int:
        """Steps of physics in one observation step."""
        return self._controls.substeps

    @property
    def physics_seconds(self) -> float:
        """Duration of a step of physics [s]."""
        return float(self._world.model.opt.timestep)

    def joint_poses(self) -> Floats:
        """Return (n, 7) poses of the joints: positions [m] and quaternions xyzw, world."""
        data = self._world.data
        quats = np.einsum("nij,nj->ni", self._joint_turns, data.xquat[self._carriers])
        quats[quats[:, 0] < 0] *= -1.0
        return np.hstack([data.xanchor[self._joint_ids], tf.wxyz_to_xyzw(quats)])

    def get_joint_target_positions(self) -> Floats:
        """Return (7,) what was commanded last [rad]."""
        return self.get_joint_positions() if self._held is None else self._held.copy()

    def get_joint_positions(self) -> Floats:
        """Return (7,) [rad]."""
        return np.array(self._world.data.qpos[self.qpos_ids])

    def get_joint_velocities(self) -> Floats:
        """Return (7,) [rad/s]."""
        return np.array(self._world.data.qvel[self.dof_ids])

    def get_joint_forces(self) -> Floats:
        """Return (7,) actuator torques [N m]."""
        return np.array(self._world.data.qfrc_actuator[self.dof_ids])

    def set_joint_positions(self, q: Numbers) -> None:
        """Put the arm at (7,) [rad], at rest, servos holding it."""
        data = self._world.data
        self.hold()
        self._held = np.array(q, float)
        data.qpos[self.qpos_ids] = q
        data.qvel[self.dof_ids] = 0.0
        data.ctrl[self.actuators] = q
        self._world.refresh()

    def home(self) -> None:
        """Put the arm at its saved pose."""
        self.set_joint_positions(self._robot.home)

    def command(self, q: Floats, qd: Floats, qdd: Floats | None = None) -> None:
        """Write set points for the next step: (n, 7) q [rad], qd [rad/s], n <= substeps.

        The servo force is kp (u - q) - kv qd; u = q + (kv / kp) qd removes the lag. Where
        accelerations qdd [rad/s^2] are given, inertia and the weight in the hand are made up for,
        too.
        """
        rows = self._controls.rows()
        rows[: len(q), self.actuators] = q + self._lead * qd
        rows[len(q) :, self.actuators] = q[-1]
        if qdd is not None:
            inertia, weight = self._load()
            rows[: len(q), self.actuators] += qdd @ inertia / self._kp
            rows[:, self.actuators] += weight / self._kp
        self._held = q[-1]

    def _load(self) -> tuple[Floats, Floats]:
        """Return (7, 7) inertia [kg m^2] with the load, (7,) torque [N m] against its weight."""
        model, data = self._world.model, self._world.data
        M, J = np.zeros((model.nv, model.nv)), np.zeros((3, model.nv))
        mujoco.mj_fullM(model, data, M)
        inertia, weight = M[np.ix_(self.dof_ids, self.dof_ids)], np.zeros(len(self.dof_ids))
        for body in self._welds.held:
            mujoco.mj_jac(model, data, J, None, data.subtree_com[body], self._hand)
            J_arm, mass = J[:, self.dof_ids], model.body_subtreemass[body]
            inertia += mass * J_arm.T @ J_arm
            weight -= mass * J_arm.T @ model.opt.gravity
        return inertia, weight

    def servo_to(self, q: Numbers) -> None:
        """Move the set points within one step to (7,) [rad], at most at the speed limits.

        They stay within the joints' limits; `hold` keeps them there after the step.
        """
        start = self.get_joint_targets()
        reach = self.max_velocity * self._step_seconds
        goal = np.clip(q, self.kinematics.lower, self.kinematics.upper)
        goal = start + np.clip(goal - start, -reach, reach)
        n = self._controls.substeps
        ramp = np.linspace(0.0, 1.0, n + 1)[1:, None]
        qd = np.tile((goal - start) / self._step_seconds, (n, 1))
        self.command(start + ramp * (goal - start), qd)
        self._held = goal

    def set_joint_target_velocities(self, velocities: Numbers) -> None:
        """Turn the joints at (7,) [rad/s] during the next step, at most at the speed limits."""
        self.servo_to(self.get_joint_targets() + np.asarray(velocities) * self._step_seconds)

    def set_joint_torques(self, torques: Numbers) -> None:
        """Drive the joints with (7,) [N m] until `hold`, gravity compensated, at most the motors'.

        The servos are off meanwhile: without torque the arm drifts on freely.
        """
        model, rows = self._world.model, self.actuators
        if self._servos is None:
            fields = (model.actuator_gainprm, model.actuator_biasprm, model.actuator_ctrllimited)
            self._servos = tuple((field, field[rows].copy()) for field in fields)
        model.actuator_gainprm[rows, 0] = 1.0
        model.actuator_biasprm[rows] = 0.0
        model.actuator_ctrllimited[rows] = 0
        self._controls.rows()[:, rows] = torques
        self._held = None

    def hold(self) -> None:
        """Make the servos keep the last set points, or the present pose after torques."""
        if self._servos is not None:
            for field, values in self._servos:
                field[self.actuators] = values
            self._servos = None
        q = self.get_joint_positions()
        held = q if self._held is None else np.clip(self._held, q - MAX_LAG, q + MAX_LAG)
        self._world.data.ctrl[self.actuators] = held

    def get_joint_targets(self) -> Floats:
        """Return (7,) the servos' set points [rad], as far as the arm can have followed them."""
        q = self.get_joint_positions()
        targets: Floats = self._world.data.ctrl[self.actuators]
        return np.clip(targets, q - MAX_LAG, q + MAX_LAG)

    def joint_limits(self) -> tuple[Floats, Floats]:
        """Return (7,) lower and (7,) upper limits [rad]."""
        return self.kinematics.lower.copy(), self.kinematics.upper.copy()

    def torque_limits(self) -> Floats:
        """Return (7,) the motors' greatest torques [N m]."""
        return np.array(self._world.model.actuator_forcerange[self.actuators, 1])

    def joints_for(self, T_world_goal: Floats, locked: Mapping[int, float] | None = None) -> Floats:
        """Return (7,) [rad] at a (4, 4) tip pose, walked to from the present configuration.

        Args:
            T_world_goal: tip to world.
            locked: value [rad] of joints, by index, that must not move otherwise.

        Raises:
            IKError: none was found.
        """
        chain = copy.copy(self.kinematics)
        chain.lower, chain.upper = self.joint_limits()
        for joint, value in (locked or {}).items():
            chain.lower[joint] = chain.upper[joint] = value
        quat = tf.matrix_to_quat_wxyz(T_world_goal[:3, :3])
        q = chain.refine(self.get_joint_positions(), T_world_goal[:3, 3], quat)
        if q is None:
            raise IKError("inverse kinematics from the present configuration found no solution")
        return q

    def plan_to(self, q: Floats, ignore_collisions: bool = True) -> TimedPath:
        """Move all joints in proportion to (7,) [rad], within speed and acceleration limits.

        Raises:
            ConfigurationPathError: something is in the way.
        """
        start = self.get_joint_positions()
        if not ignore_collisions:
            self.obstacles.sync()
            self.obstacles.sync(ignored=self.obstacles.touching(start))
            steps = max(2, int(np.ceil(np.abs(q - start).max() / MAX_UNCHECKED)) + 1)
            if not all(self.obstacles.is_free(point) for point in np.linspace(start, q, steps)):
                raise ConfigurationPathError("the way there is not free of collisions")
        return self.timed(np.stack([start, q]))

    def touched_shapes(self) -> list[str]:
        """Return the names of collidable shapes that the arm touches where it is."""
        self.obstacles.sync()
        bodies = sorted(self.obstacles.touching(self.get_joint_positions()))
        return [self._table.of_handle(body).get_name() for body in bodies]

    def can_reach(self, T_world_goal: Floats, rng: np.random.Generator) -> bool:
        """Tell whether some joint values put the tip at a (4, 4) pose."""
        return bool(
            solve_ik(
                self.kinematics,
                T_world_goal[:3, 3],
                tf.matrix_to_quat_wxyz(T_world_goal[:3, :3]),
                self.get_joint_positions(),
                rng,
                max_solutions=1,
            )
        )

    def plan(
        self,
        T_world_goal: Floats,
        rng: np.random.Generator,
        ignore_collisions: bool = False,
        linear_only: bool = False,
        following: Sequence[Floats] = (),
    ) -> TimedPath:
        """Find a way of the tip to a (4, 4) pose: straight if it is free, else planned."""
        self.obstacles.sync()
        q_start = self.get_joint_positions()
        # What touches the arm now (a door being pushed) must not forbid leaving it.
        self.obstacles.sync(ignored=self.obstacles.touching(q_start))
        tests = self._blocking_tests() if ignore_collisions else self._collision_tests()
        failures = []
        for is_free in tests:
            looks_ahead = self.is_careful and len(following) <= LINES
            planner = self._planner(rng, is_free, self._blocks() if looks_ahead else None)
            try:
                path = planner.find(q_start, T_world_goal, linear_only, following)
            except ConfigurationPathError as error:
                failures.append(error)
            else:
                return self.timed(path)
        if not self.can_reach(T_world_goal, np.random.default_rng(0)):
            raise ConfigurationPathError("out of reach")
        raise failures[0]

    def _planner(
        self,
        rng: np.random.Generator,
        is_free: Callable[[Floats], bool] | None = None,
        passes: Callable[[Floats], bool] | None = None,
    ) -> WayPlanner:
        return WayPlanner(self.kinematics, self.is_careful, rng, is_free, passes)

    def _blocking_tests(self) -> list[Callable[[Floats], bool] | None]:
        """Return what counts as free where collisions are allowed, the strictest first.

        Even then the arm cannot pass through a wall: it would get stuck and drop what it holds.
        """
        if not self.is_careful:
            return [None]
        blocks = self._blocks()
        tight = partial(blocks, depth=TIGHT)
        return [blocks, tight, partial(tight, counts_walls=False), None]

    def _blocks(self) -> partial[bool]:
        return partial(self.obstacles.is_free, counts_held=False, only_fixed=True)

    def _collision_tests(self) -> list[Callable[[Floats], bool]]:
        """Return what may count as free, the strictest first.

        Scenes ask for poses at which a held thing stands 2 mm deep in its shelf, or the fingers
        in what they are to grasp.
        """
        # What is solid without being collidable is what things are put into: no reason for a
        # detour.
        free = partial(self.obstacles.is_free, counts_walls=False)
        if not self.is_careful:
            return [free]
        return [
            free,
            partial(free, depth=CLOSE, counts_held=False),
            partial(free, depth=TIGHT, counts_held=False),
        ]

    def preview(self, poses: Sequence[Floats]) -> list[Floats]:
        """Return a few (4, 4) poses of a path, for plans that lead to its start."""
        return [pose_along(poses, f) for f in np.linspace(0.0, 1.0 - PATH_SPARE, PREVIEW)]

    def can_follow(self, poses: Sequence[Floats], rng: np.random.Generator) -> bool:
        """Tell whether some arm pose at the first of (4, 4) tip poses leads through all others."""
        # Most placements fail here: looking at two of its poses is cheaper than following it.
        if not all(self.can_reach(pose_along(poses, f), rng) for f in (0.5, 1.0 - PATH_SPARE)):
            return False
        planner = self._planner(rng)
        starts = solve_ik(
            self.kinematics,
            poses[0][:3, 3],
            tf.matrix_to_quat_wxyz(poses[0][:3, :3]),
            self.get_joint_positions(),
            rng,
            max_solutions=planner.MORE_CANDIDATES,
            max_restarts=planner.MORE_RESTARTS,
        )
        return any(planner.leads(q, poses) for q in starts)

    def plan_along(self, poses: Sequence[Floats]) -> TimedPath:
        """Follow (4, 4) tip poses one after the other in straight lines; collisions ignored."""
        planner = self._planner(np.random.default_rng(0))
        path = planner.follow(self.get_joint_positions(), poses)
        return self.timed(path, self._robot.path_grip)

    def timed(self, path: Floats, grip: Grip | None = None) -> TimedPath:
        """Play (N, 7) joint values [rad], from rest to rest, as fast as the limits allow."""
        q, qd = time_parametrise(
            path,
            self.max_velocity,
            self.max_acceleration,
            self.physics_seconds,
            self._robot.path_limits,
        )
        return TimedPath(self, self._welds, q, qd, grip)


def _turning(R: Floats) -> Floats:
    """Return (4, 4), which makes of a quaternion wxyz that of the frame turned by (3, 3) in it."""
    w, x, y, z = tf.matrix_to_quat_wxyz(R)
    return np.array([[w, -x, -y, -z], [x, w, z, -y], [y, -z, w, x], [z, y, -x, w]])
