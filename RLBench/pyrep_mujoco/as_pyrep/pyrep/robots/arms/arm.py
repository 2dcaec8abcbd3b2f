"""Arms: inverse kinematics, paths, collisions."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrep.const import ConfigurationPathAlgorithms as Algos
from pyrep.errors import ConfigurationError, ConfigurationPathError, IKError
from pyrep.objects.cartesian_path import CartesianPath
from pyrep.objects.dummy import Dummy
from pyrep.objects.object import Object
from pyrep.robots.configuration_paths.arm_configuration_path import ArmConfigurationPath
from pyrep.robots.robot_component import RobotComponent
from pyrep_mujoco import transforms as tf
from pyrep_mujoco.motion.arm_planner import GOALS
from pyrep_mujoco.robots.session_arm import SessionArm
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import joints
from pyrep_mujoco.vision.sensors import drawings

Floats = npt.NDArray[np.float64]
Numbers = Sequence[float] | Floats

_RESOLUTION_METHODS = ("pseudo_inverse", "damped_least_squares", "jacobian_transpose")
_ONE_ROTATION = "give the rotation as euler or as quaternion, and not as both"


class Arm(RobotComponent):
    """An arm with a tip.

    Attributes:
        max_velocity: along paths [rad/s], in the space of the joints.
        max_acceleration: along paths [rad/s^2].
        max_jerk: is kept for callers; paths change their acceleration at once.
    """

    def __init__(
        self,
        count: int,
        name: str,
        num_joints: int,
        base_name: str | None = None,
        max_velocity: float = 1.0,
        max_acceleration: float = 4.0,
        max_jerk: float = 1000,
    ) -> None:
        """Find an arm in the scene.

        Args:
            count: which of several copies, 0 for the first.
            name: its joints are `<name>_joint1` ..., its tip `<name>_tip`.
            num_joints: how many there are.
            base_name: of the model, where that is not `name`.
            max_velocity: along paths [rad/s].
            max_acceleration: along paths [rad/s^2].
            max_jerk: has no effect.
        """
        super().__init__(
            count, name, [f"{name}_joint{i + 1}" for i in range(num_joints)], base_name
        )
        self.max_velocity, self.max_acceleration = max_velocity, max_acceleration
        self.max_jerk = max_jerk
        self._ik_target = Dummy(f"{name}_target{self._suffix}")
        self._ik_tip = Dummy(f"{name}_tip{self._suffix}")
        self._engine = SessionArm(current(), self._joint_handles, self._ik_tip.get_handle())

    # ---- how inverse kinematics works ---------------------------------------------------

    def set_ik_element_properties(
        self,
        constraint_x: bool = True,
        constraint_y: bool = True,
        constraint_z: bool = True,
        constraint_alpha_beta: bool = True,
        constraint_gamma: bool = True,
    ) -> None:
        """Say what of a pose the tip must reach.

        Args:
            constraint_x: its place along the world's x.
            constraint_y: its place along the world's y.
            constraint_z: its place along the world's z.
            constraint_alpha_beta: the direction of its z axis.
            constraint_gamma: its turn about its z axis.
        """
        turns = (constraint_alpha_beta, constraint_alpha_beta, constraint_gamma)
        self._engine.constraints = (constraint_x, constraint_y, constraint_z, *turns)

    def set_ik_group_properties(
        self,
        resolution_method: str = "pseudo_inverse",
        max_iterations: int = 6,
        dls_damping: float = 0.1,
    ) -> None:
        """Check the name of a method; all are solved alike, by least squares that damp themselves.

        Raises:
            ValueError: the method is unknown.
        """
        if resolution_method not in _RESOLUTION_METHODS:
            raise ValueError(
                f"resolution_method must be one of {', '.join(_RESOLUTION_METHODS)}; "
                f"got {resolution_method!r}"
            )

    def _goal(
        self,
        position: Numbers,
        euler: Numbers | None,
        quaternion: Numbers | None,
        relative_to: Object | None,
    ) -> Floats:
        """Return the (4, 4) pose that the tip shall have, world."""
        if euler is not None:
            R = tf.euler_to_matrix(np.asarray(euler, np.float64))
        elif quaternion is not None:
            wxyz = tf.xyzw_to_wxyz(np.asarray(quaternion, np.float64))
            R = tf.quat_wxyz_to_matrix(wxyz / np.linalg.norm(wxyz))
        else:  # the place alone was given: as the target is turned
            handle = self._ik_target.get_handle()
            base = None if relative_to is None else relative_to.get_handle()
            R = current().matrix(handle, base)[:3, :3]
        T = tf.transform(np.asarray(position, np.float64), R)
        return T if relative_to is None else current().matrix(relative_to.get_handle()) @ T

    # ---- configurations -----------------------------------------------------------------

    def solve_ik_via_sampling(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        ignore_collisions: bool = False,
        trials: int = 300,
        max_configs: int = 1,
        distance_threshold: float = 0.65,
        max_time_ms: int = 10,
        relative_to: Object | None = None,
    ) -> Floats:
        """Return configurations with the tip at a pose, the nearest to the present one first.

        The same call from the same state of the scene returns the same.

        Args:
            position: (3,) of the tip [m].
            euler: (3,) of the tip [rad], or
            quaternion: (4,) of the tip, xyzw.
            ignore_collisions: the arm may touch anything there.
            trials: bound on the attempts.
            max_configs: bound on the number of configurations, which differ by 0.1 rad or more.
            distance_threshold: has no effect.
            max_time_ms: has no effect: attempts end by count, not by the clock.
            relative_to: whose frame the pose is in; None for the world.

        Returns:
            (N, joints) [rad or m], N at least 1.

        Raises:
            ConfigurationError: none was found, or the rotation is given twice or not at all.
        """
        if (euler is None) == (quaternion is None):
            raise ConfigurationError(_ONE_ROTATION)
        goal = self._goal(position, euler, quaternion, relative_to)
        found = self._engine.plan().configurations(goal, ignore_collisions, trials, max_configs)
        if not found:
            raise ConfigurationError(
                f"{self.get_name()}: no configuration has the tip there"
                + ("" if ignore_collisions else " and is free of collisions")
            )
        return np.array(found)

    def get_configs_for_tip_pose(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        ignore_collisions: bool = False,
        trials: int = 300,
        max_configs: int = 60,
        relative_to: Object | None = None,
    ) -> list[Floats]:
        """Return what `solve_ik_via_sampling` does, as a list; that one is to be used."""
        warnings.warn("use solve_ik_via_sampling", DeprecationWarning, stacklevel=2)
        found = self.solve_ik_via_sampling(
            position,
            euler,
            quaternion,
            ignore_collisions,
            trials,
            max_configs,
            relative_to=relative_to,
        )
        return list(found)

    def solve_ik_via_jacobian(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        relative_to: Object | None = None,
        locked_joints: Sequence[int] | None = None,
    ) -> list[float]:
        """Return the configuration with the tip at a pose that is walked to from the present one.

        Args:
            position: (3,) of the tip [m].
            euler: (3,) of the tip [rad], or
            quaternion: (4,) of the tip, xyzw.
            relative_to: whose frame the pose is in; None for the world.
            locked_joints: indices of joints that stay as they are, but within their intervals, and
                are left out of the result.

        Raises:
            IKError: the walk does not get there.
        """
        plan = self._engine.plan()
        locked = {i: self.joints[i].nearest(float(plan.start[i])) for i in locked_joints or ()}
        goal = self._goal(position, euler, quaternion, relative_to)
        self._ik_target.set_matrix(goal)
        try:
            found = plan.configuration(goal, locked)
        except IKError as error:
            raise IKError(f"{self.get_name()}: {error}; it may be too far away") from error
        return [float(value) for i, value in enumerate(found) if i not in locked]

    def solve_ik(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        relative_to: Object | None = None,
    ) -> list[float]:
        """Return what `solve_ik_via_jacobian` does; that one is to be used."""
        warnings.warn("use solve_ik_via_jacobian", DeprecationWarning, stacklevel=2)
        return self.solve_ik_via_jacobian(position, euler, quaternion, relative_to)

    def get_jacobian(self) -> Floats:
        """Return (joints, 6) the tip's velocity [m/s, rad/s] for 1 rad/s or m/s of each joint.

        World axes: x, y, z, then the turning about them. What the tip need not reach has no column;
        the turning is about the tip's own axes where one is missing. The first row is of the joint
        nearest to the tip, the last one of that nearest to the base, as in CoppeliaSim.
        """
        return self._engine.jacobian().T[::-1].copy()

    # ---- paths --------------------------------------------------------------------------

    def _set_values(self, positions: Sequence[float]) -> None:
        followers = self._engine.followers(positions)
        super()._set_values(positions)
        for handle, value in followers.items():
            joints.set_position(current(), handle, value)

    def _path(self, rows: Floats) -> ArmConfigurationPath:
        return ArmConfigurationPath(self, rows.flatten())

    def get_path_from_cartesian_path(self, path: CartesianPath) -> ArmConfigurationPath:
        """Return a path of the joints whose tip follows a Cartesian one; collisions do not matter.

        Raises:
            ConfigurationPathError: it cannot be followed, or its start not be reached, in straight
                lines.
        """
        poses = [
            tf.transform(np.asarray(position), tf.euler_to_matrix(np.asarray(turn)))
            for position, turn in (path.get_pose_on_path(i / 100) for i in range(101))
        ]
        return self._path(self._engine.plan().along(poses))

    def get_linear_path(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        steps: int = 50,
        ignore_collisions: bool = False,
        relative_to: Object | None = None,
    ) -> ArmConfigurationPath:
        """Return a path on which the tip goes straight to a pose.

        Args:
            position: (3,) of the tip [m].
            euler: (3,) of the tip [rad], or
            quaternion: (4,) of the tip, xyzw.
            steps: number of configurations, at least 2.
            ignore_collisions: the arm may touch anything on its way.
            relative_to: whose frame the pose is in; None for the world.

        Raises:
            ConfigurationPathError: there is none, or the rotation is given twice or not at all.
        """
        if (euler is None) == (quaternion is None):
            raise ConfigurationPathError(_ONE_ROTATION)
        if steps < 2:
            raise ConfigurationPathError(f"a path has at least 2 steps, got {steps}")
        goal = self._goal(position, euler, quaternion, relative_to)
        return self._path(self._engine.plan().line(goal, steps, ignore_collisions))

    def get_nonlinear_path(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        ignore_collisions: bool = False,
        trials: int = 300,
        max_configs: int = 1,
        distance_threshold: float = 0.65,
        max_time_ms: int = 10,
        trials_per_goal: int = 1,
        algorithm: Algos = Algos.SBL,
        relative_to: Object | None = None,
    ) -> ArmConfigurationPath:
        """Return a planned path that ends with the tip at a pose.

        The same call from the same state of the scene returns the same.

        Args:
            position: (3,) of the tip [m].
            euler: (3,) of the tip [rad], or
            quaternion: (4,) of the tip, xyzw.
            ignore_collisions: the arm may touch anything on its way.
            trials: bound on the attempts to find a configuration at the pose.
            max_configs: bound on the configurations that the path may end in; at least 8 are tried.
            distance_threshold: has no effect.
            max_time_ms: has no effect.
            trials_per_goal: so often the planner begins anew where it finds nothing.
            algorithm: has no effect: the planner is OMPL's RRT-Connect.
            relative_to: whose frame the pose is in; None for the world.

        Raises:
            ConfigurationPathError: none was found, or the rotation is given twice or not at all.
        """
        if (euler is None) == (quaternion is None):
            raise ConfigurationPathError(_ONE_ROTATION)
        goal = self._goal(position, euler, quaternion, relative_to)
        most = max(max_configs, GOALS)
        plan = self._engine.plan()
        return self._path(plan.way(goal, ignore_collisions, trials, most, trials_per_goal))

    def get_path(
        self,
        position: Numbers,
        euler: Numbers | None = None,
        quaternion: Numbers | None = None,
        ignore_collisions: bool = False,
        trials: int = 300,
        max_configs: int = 1,
        distance_threshold: float = 0.65,
        max_time_ms: int = 10,
        trials_per_goal: int = 1,
        algorithm: Algos = Algos.SBL,
        relative_to: Object | None = None,
    ) -> ArmConfigurationPath:
        """Return a straight path of the tip to a pose, or a planned one where there is none.

        Arguments are those of `get_nonlinear_path`.

        Raises:
            ConfigurationPathError: neither was found.
        """
        try:
            return self.get_linear_path(
                position,
                euler,
                quaternion,
                ignore_collisions=ignore_collisions,
                relative_to=relative_to,
            )
        except ConfigurationPathError:
            bounds = trials, max_configs, distance_threshold, max_time_ms, trials_per_goal
            return self.get_nonlinear_path(
                position, euler, quaternion, ignore_collisions, *bounds, algorithm, relative_to
            )

    # ---- tip, collisions, drawings ------------------------------------------------------

    def get_tip(self) -> Dummy:
        """Return the frame that reaches poses."""
        return self._ik_tip

    def check_arm_collision(self, obj: Object | None = None) -> bool:
        """Tell whether the arm, with what it holds, touches an object, or anything collidable.

        Only shapes that are collidable count.
        """
        touched = self._engine.touched()
        return bool(touched) if obj is None else obj.get_handle() in touched

    def draw_tips(self, rows: Floats) -> int:
        """Draw the tip's way through (N, joints) configurations; return the drawing's number."""
        kinematics = self._engine.plan().kinematics
        return drawings.add(current(), np.array([kinematics.fk(row)[0] for row in rows]))

    def clear_drawing(self, number: int) -> None:
        """Take a drawing out."""
        drawings.remove(current(), number)
