"""The Panda's arm on CoppeliaSim: PyRep's planners."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlbench.engines import transforms as tf
from rlbench.engines.coppelia.objects import (
    CoppeliaDummy,
    CoppeliaObject,
    CoppeliaShape,
)
from rlbench.engines.coppelia.process import CoppeliaProcess
from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.errors import ConfigurationPathError
from rlbench.engines.object_protocols import Numbers
from rlbench.engines.transforms import Floats

# What RLBench asks of PyRep's planner.
_IK_TRIALS = 100
_IK_SOLUTIONS = 10
_PLANS_PER_SOLUTION = 10
_SHORTEST = 1e-4
"""Paths below this length in joint space [rad] would make PyRep divide by zero."""
_AT_REST = 1e-3
_STANDING = 5e-3
"""[rad/s] below which all joints of an arm that has arrived stand."""


class CoppeliaPath:
    """One of PyRep's paths, played one observation step at a time."""

    def __init__(self, native: Any, arm: Any, joints: int) -> None:
        points = np.asarray(native._path_points, float).reshape(-1, joints)
        self._native, self._arm = native, arm
        self._is_done = bool(np.abs(np.diff(points, axis=0)).sum() < _SHORTEST)

    def step(self) -> bool:
        """Command the next observation step; True when the way is done."""
        if self._is_done:
            return True
        # PyRep says that it is done with the last command, which must still be stepped.
        self._is_done = bool(self._native.step())
        return False

    def shortened(self, distance: float) -> None:
        """Return None: PyRep plays its ways to the end, and states come back without velocities."""

    def stay(self) -> None:
        """Do nothing: the joints keep their last command whatever hangs on them."""

    def settle(self) -> bool:
        """Tell whether the arm stands: its joints lag behind the last command."""
        return bool(np.abs(np.asarray(self._arm.get_joint_velocities())).max() < _STANDING)


class CoppeliaArm:
    """Seven position-controlled joints.

    PyRep's planner draws from a generator of CoppeliaSim that cannot be seeded: two
    demonstrations of one seed have the same scene, not the same path.
    """

    def __init__(
        self, process: CoppeliaProcess, graph: SceneGraph[CoppeliaObject], tip: CoppeliaDummy
    ) -> None:
        self._graph, self._tip = graph, tip
        self._native, self._gripper = process.arm, process.gripper
        self._home = process.home
        self._api = process.api

    def get_tip(self) -> CoppeliaDummy:
        """Return the frame that reaches waypoints."""
        return self._tip

    @property
    def joints(self) -> list[object]:
        """The joints, PyRep's own, from the base."""
        return list(self._native.joints)

    def joint_poses(self) -> Floats:
        """Return (n, 7) poses of the joints: positions [m] and quaternions xyzw, world."""
        return np.array([joint.get_pose() for joint in self._native.joints], float)

    def get_joint_target_positions(self) -> Floats:
        """Return (7,) what was commanded last [rad]."""
        return np.asarray(self._native.get_joint_target_positions(), float)

    def get_joint_positions(self) -> Floats:
        """Return (7,) [rad]."""
        return np.asarray(self._native.get_joint_positions(), float)

    def get_joint_velocities(self) -> Floats:
        """Return (7,) [rad/s]."""
        return np.asarray(self._native.get_joint_velocities(), float)

    def get_joint_forces(self) -> Floats:
        """Return (7,) [N m]; zeros where no step was made since the scene was reset.

        CoppeliaSim's sign follows the target velocity, which is undone as RLBench does.
        """
        try:
            forces = np.asarray(self._native.get_joint_forces(), float)
        except RuntimeError:  # PyRep: "No value available yet."
            return np.zeros(len(self._home))
        targets = np.asarray(self._native.get_joint_target_velocities(), float)
        return np.where(targets < 0, -forces, forces)

    def set_joint_positions(self, q: Numbers) -> None:
        """Put the arm at (7,) [rad], at rest; two steps of 50 ms pass meanwhile."""
        values = [float(v) for v in q]
        self._native.set_joint_positions(values, disable_dynamics=True)
        self._native.set_joint_target_velocities([0.0] * len(values))

    def home(self) -> None:
        """Put the arm at its saved pose; nothing is done where it is there already."""
        if np.abs(self.get_joint_positions() - self._home).max() > _AT_REST:
            self.set_joint_positions(self._home)

    def touched_shapes(self) -> list[str]:
        """Return the names of collidable shapes that the arm touches where it is."""
        return sorted(shape.get_name() for shape in self._touched())

    def _touched(self) -> list[CoppeliaShape]:
        if not self._native.check_arm_collision():
            return []
        held = {o.get_handle() for o in self._gripper.get_grasped_objects()}
        return [
            shape
            for shape in self._graph.not_robot()
            if isinstance(shape, CoppeliaShape)
            and shape.get_handle() not in held
            and shape.is_collidable()
            and self._native.check_arm_collision(shape.native)
        ]

    def can_follow(self, poses: Sequence[Floats], rng: np.random.Generator) -> bool:
        """Tell whether the arm reaches both ends of a path; PyRep checks the rest on the way."""
        return self.can_reach(poses[0], rng) and self.can_reach(poses[-1], rng)

    def preview(self, poses: Sequence[Floats]) -> list[Floats]:
        """Return nothing: PyRep's plans do not look ahead."""
        return []

    def can_reach(self, T_world_goal: Floats, rng: np.random.Generator) -> bool:
        """Tell whether some joint values put the tip at a (4, 4) pose (collisions ignored)."""
        pose = tf.transform_to_pose(T_world_goal)
        try:
            self._native.solve_ik_via_sampling(
                pose[:3].tolist(),
                quaternion=pose[3:].tolist(),
                ignore_collisions=True,
                trials=_IK_TRIALS,
                max_configs=1,
            )
        except self._api.errors.ConfigurationError:
            return False
        return True

    def plan(
        self,
        T_world_goal: Floats,
        rng: np.random.Generator,
        ignore_collisions: bool = False,
        linear_only: bool = False,
        following: Sequence[Floats] = (),
    ) -> CoppeliaPath:
        """Find a way of the tip to a (4, 4) pose: straight if it is free, else planned.

        PyRep plans one way at a time: `following` and `rng` have no effect.

        Raises:
            ConfigurationPathError: there is none.
        """
        pose = tf.transform_to_pose(T_world_goal)
        goal: dict[str, Any] = {
            "position": pose[:3].tolist(),
            "quaternion": pose[3:].tolist(),
            "ignore_collisions": ignore_collisions,
        }
        with self._without([] if ignore_collisions else self._touched()):
            native = self._find(goal, linear_only)
        return self._playable(native)

    @contextmanager
    def _without(self, shapes: Sequence[CoppeliaShape]) -> Iterator[None]:
        """Plan without some shapes.

        What touches the arm now (a door being pushed) must not forbid leaving it.
        """
        for shape in shapes:
            shape.native.set_collidable(False)
        try:
            yield
        finally:
            for shape in shapes:
                shape.native.set_collidable(True)

    def _find(self, goal: dict[str, Any], linear_only: bool) -> Any:
        try:
            if linear_only:
                return self._native.get_linear_path(**goal)
            return self._native.get_path(
                **goal,
                trials=_IK_TRIALS,
                max_configs=_IK_SOLUTIONS,
                trials_per_goal=_PLANS_PER_SOLUTION,
                algorithm=self._api.const.ConfigurationPathAlgorithms.RRTConnect,
            )
        except self._api.errors.ConfigurationPathError as error:
            what = "straight line of the tip" if linear_only else "path"
            raise ConfigurationPathError(f"PyRep finds no {what}: {error}") from error

    def plan_along(self, poses: Sequence[Floats]) -> CoppeliaPath:
        """Follow (4, 4) tip poses; collisions ignored.

        Poses from `CoppeliaEngine.path_points` are followed by PyRep's planner of Cartesian
        paths, others in straight lines.

        Raises:
            ConfigurationPathError: the arm cannot.
        """
        path = getattr(poses, "native", None)
        if path is None:
            return self._playable(self._straight_lines(poses))
        try:
            return self._playable(self._native.get_path_from_cartesian_path(path))
        except self._api.errors.ConfigurationPathError as error:
            raise ConfigurationPathError(
                f"PyRep cannot follow the path {path.get_name()}: {error}"
            ) from error

    def _straight_lines(self, poses: Sequence[Floats]) -> Any:
        start = list(self._native.get_joint_positions())
        parts = []
        try:
            for number, T in enumerate(poses):
                pose = tf.transform_to_pose(T)
                try:
                    line = self._native.get_linear_path(
                        position=pose[:3].tolist(),
                        quaternion=pose[3:].tolist(),
                        ignore_collisions=True,
                    )
                except self._api.errors.ConfigurationPathError as error:
                    raise ConfigurationPathError(
                        f"point {number} of the path is out of reach: {error}"
                    ) from error
                parts.append(np.asarray(line._path_points, float))
                line.set_to_end()
        finally:
            self._put(start)
        return self._api.paths.ArmConfigurationPath(self._native, np.concatenate(parts))

    def _put(self, q: Numbers) -> None:
        """Set the joints' values without a step, to look at the arm there."""
        values = [float(v) for v in q]
        # Twice, as RLBench does: once can leave the arm beside its joints' values.
        self._native.set_joint_positions(values)
        self._native.set_joint_positions(values)

    def _playable(self, native: Any) -> CoppeliaPath:
        return CoppeliaPath(native, self._native, len(self._home))
