"""One demonstration: the arm follows the waypoints, the hand acts at them."""

from collections.abc import Callable, Sequence

import numpy as np

from rlbench.backend.episodes.last_way import come_to_rest, end_where_fulfilled
from rlbench.backend.episodes.waypoint_plans import WaypointPlanner
from rlbench.backend.episodes.waypoint_poses import ScenePoses, WaypointPoses
from rlbench.backend.exceptions import DemoError
from rlbench.backend.task import Task
from rlbench.backend.waypoints import Waypoint
from rlbench.engines.protocols import ArmPath, Engine, Robot
from rlbench.engines.transforms import Floats

GRIPPER_SPEED = 0.04
"""Of fingers that open or close [m/s]."""
MAX_GRIPPER_STEPS = 60
EMPTY = 0.03
"""A hand that has closed so far [0, 1] has nothing between its fingers."""
MAX_REPEATS = 20
"""Rounds through the waypoints, where a task asks for more than one."""


class Demonstration:
    """Follows the waypoints of a placed task to its success; used once."""

    def __init__(
        self,
        engine: Engine,
        robot: Robot,
        task: Task,
        planner: WaypointPlanner,
        stepped: Callable[[Floats], None],
        poses: WaypointPoses | None = None,
    ) -> None:
        """Get ready.

        Args:
            engine: the simulation.
            robot: what acts.
            task: placed, its episode begun.
            planner: of the task.
            stepped: called after every step of 50 ms with (n + 1,) what was commanded in it: the
                joints [rad] and the opening of the hand in [0, 1].
            poses: of the waypoints; by default the scene's.
        """
        self._engine, self._robot, self._task, self._planner = engine, robot, task, planner
        self._stepped = stepped
        self._poses = poses or ScenePoses(engine)
        self._opening = float(robot.gripper.is_open())

    def run(self, record: Callable[[], None], reached: Callable[[], None]) -> None:
        """Follow the waypoints.

        Args:
            record: called at the start and after every step of 50 ms.
            reached: called when the tip arrives at a waypoint, before the gripper acts.

        Raises:
            DemoError: a waypoint cannot be reached, or the task is not fulfilled at the end.
        """
        record()

        def step() -> None:
            self._engine.step()
            self._task.step()
            command = self._robot.arm.get_joint_target_positions()
            self._stepped(np.append(command, self._opening))
            if self._task.watches():
                self._task.success()
            record()

        # Once: abilities may leave a waypoint out in one round and not in the next.
        waypoints = self._task.get_waypoints()
        path: ArmPath | None = None
        for _ in range(MAX_REPEATS):
            for i, waypoint in enumerate(waypoints):
                path = self._visit(waypoint, waypoints[i + 1 :], step, reached) or path
            if not self._task.should_repeat_waypoints() or self._task.success()[0]:
                break
        self._await_success(step)
        if path is not None:
            come_to_rest(path, step)
        if not self._task.success()[0]:
            raise DemoError(
                f"{self._task.name}: all waypoints were passed, the task is not fulfilled",
                cause="not_successful",
            )

    def _visit(
        self,
        waypoint: Waypoint,
        after: Sequence[Waypoint],
        step: Callable[[], None],
        reached: Callable[[], None],
    ) -> ArmPath | None:
        """Go to a waypoint and do what it says; return the way there, None if it is left out."""
        waypoint.start_of_path()
        if waypoint.skip:
            return None
        self._poses.prepare(waypoint, step)
        path = self._way(waypoint, after)
        while not path.step():
            step()
        come_to_rest(path, step)
        waypoint.end_of_path()
        reached()
        self._act(waypoint, path, step)
        return path

    def _way(self, waypoint: Waypoint, after: Sequence[Waypoint]) -> ArmPath:
        path, task = self._planner.plan(waypoint, after, self._poses), self._task
        ends = not after and waypoint.gripper is None and waypoint.end_ability is None
        ends &= self._poses.is_scene
        if not (ends and task.rules.ends_early) or task.watches() or task.may_repeat_waypoints():
            return path
        return end_where_fulfilled(self._engine, path, lambda: task.success()[0])

    def _act(self, waypoint: Waypoint, path: ArmPath, step: Callable[[], None]) -> None:
        """Open or close the gripper as the waypoint's command says."""
        command = waypoint.gripper
        if command is None:
            return
        gripper = self._robot.gripper
        if command.opens:
            self._poses.opened()
            gripper.release()
            path.stay()  # what is let go must not make the arm spring up
        amount = command.amount
        if amount is None:
            amount = 1.0 if command.opens else 0.0
        self._opening = amount
        for _ in range(MAX_GRIPPER_STEPS):
            if gripper.actuate(amount, GRIPPER_SPEED):
                break
            step()
        if not command.opens:
            graspable = self._task.get_graspable_objects()
            held = [shape for shape in graspable if gripper.grasp(shape)]
            path.stay()
            is_empty = bool((gripper.get_open_amount() < EMPTY).all())
            self._poses.closed(held, bool(graspable) and not held and is_empty)

    def _await_success(self, step: Callable[[], None]) -> None:
        for _ in range(self._task.rules.extra_steps):
            if self._task.success()[0]:
                return
            step()
