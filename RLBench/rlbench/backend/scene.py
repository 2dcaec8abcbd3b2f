"""One task in the world: placing it, settling it, and demonstrating it."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from rlbench.backend.episodes.last_way import come_to_rest, end_where_fulfilled
from rlbench.backend.exceptions import (
    BoundaryError,
    ConfigurationPathError,
    DemoError,
    FixedPlacementError,
    NoWaypointsError,
    TaskEnvironmentError,
    WaypointError,
)
from rlbench.backend.observation import Observation
from rlbench.backend.robot import Robot
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task
from rlbench.backend.waypoints import Waypoint
from rlbench.engines.protocols import ArmPath, Engine
from rlbench.engines.transforms import Floats

MAX_PLACEMENTS = 20
"""54 % of close_fridge placements are out of reach: five tries would lose 1 demo in 20."""
MAX_PLACEMENTS_RLBENCH = 100
"""The same for RLBench's tasks: open_microwave needs 30."""
SETTLE_STEPS = 10
EXTRA_STEPS = 10
"""Steps granted after the last waypoint for things that still move."""
ROLLING_STEPS = 30
"""The same for RLBench's tasks: a ball is still on its way to the goal."""
GRIPPER_SPEED = 0.04
WORKSPACE_MARGIN, WORKSPACE_HEIGHT = 0.2, 1.0
"""Actions may aim so far [m] beside the workspace, and so far above it."""
NEAR = 0.1
"""Between waypoints closer than this [m] only a straight line will do: a bulb is screwed in."""
MAX_GRIPPER_STEPS = 60
MAX_REPEATS = 20


class Scene:
    """Runs episodes of one task. `record` is called after every observation step.

    Attributes:
        placements: how many placements the present episode took.
        refusals: why each refused one of them was refused.
        on_step: called after every `step`.
        joint_position_action: in a demonstration (n + 1,) what was commanded in the last 50 ms:
            joints [rad] and opening of the hand [0, 1]; None before its first step.
        pyrep: the simulation under PyRep's names.
        robot_setup: name of the robot.
    """

    def __init__(
        self, engine: Engine, robot: Robot, task: Task, static_positions: bool = False
    ) -> None:
        """Load `task` into the engine's scene; `static_positions` never places it anew."""
        self._static_positions = static_positions
        self.engine = engine
        self.robot = robot
        self.task = task
        # Task and workspace share one generator, so one seed decides the whole placement.
        self._workspace = SpawnBoundary(
            [engine.shape("workspace")], task.rng, as_rlbench=task.is_from_rlbench
        )
        if task.is_from_rlbench:
            self._bring_into_workspace()
        with task.global_random:
            task.init_task()
        if task.is_from_rlbench:
            engine.remember_start()  # RLBench's resets keep what `init_task` moved
        task.keep_start()
        self._plan_rng = np.random.default_rng(0)
        self.on_step: Callable[[], None] | None = None
        self.placements = 0
        self.refusals: list[str] = []
        self.joint_position_action: Floats | None = None
        self.robot_setup = "panda"
        self._opening = 1.0
        self._step_callback: Callable[[], None] | None = None
        self._observe: Callable[[], Observation] | None = None

    # ---- RLBench's names ----------------------------------------------------------------

    @property
    def pyrep(self) -> Any:
        """The simulation under PyRep's names."""
        return self.task.pyrep

    def register_step_callback(self, func: Callable[[], None] | None) -> None:
        """Call `func` after every 50 ms of steps and demonstrations; None ends that."""
        self._step_callback = func and self.task.global_random.giving_back(func)

    def observe_by(self, function: Callable[[], Observation]) -> None:
        """Say what observes the scene."""
        self._observe = function

    def get_observation(self) -> Observation:
        """Return the present moment.

        Raises:
            TaskEnvironmentError: nothing observes the scene.
        """
        if self._observe is None:
            raise TaskEnvironmentError("the scene is not observed; Environment.get_task does that")
        return self._observe()

    def _bring_into_workspace(self) -> None:
        """Put a task into the middle of the workspace, unless it is saved inside.

        RLBench puts every task into the middle; its scenes are saved in the middle of the
        workspace that they were designed for, 15 cm nearer to the arm than it is now.
        """
        workspace, base = self.engine.shape("workspace"), self.engine.object(self.task.name)
        box, here = workspace.get_bounding_box(), base.get_position(workspace)
        if np.any(here[:2] < box[[0, 2]]) or np.any(here[:2] > box[[1, 3]]):
            base.set_position(workspace.get_position())

    def init_episode(self, variation: int, seed: np.random.SeedSequence) -> list[str]:
        """Reset the simulation and place the task; the result depends on the seed alone.

        NumPy's and Python's global generators are left as they are.

        Returns:
            Descriptions of the variation.

        Raises:
            DemoError: all placements failed (cause `placement`).
            FixedPlacementError: the only one there is failed.
        """
        place_seed, plan_seed, legacy_seed = seed.spawn(3)
        self.task.rng.bit_generator.state = np.random.default_rng(place_seed).bit_generator.state
        self._plan_rng = np.random.default_rng(plan_seed)
        # RLBench's own task files draw from NumPy's and Python's global generators.
        self.task.global_random.seed(int(legacy_seed.generate_state(1)[0]))
        with self.task.global_random:
            return self._init_episode(variation)

    def _init_episode(self, variation: int) -> list[str]:
        self.refusals = []
        most = MAX_PLACEMENTS_RLBENCH if self.task.is_from_rlbench else MAX_PLACEMENTS
        for self.placements in range(1, most + 1):
            self._reset()
            drawn = self._drawn()
            try:
                descriptions = self.task.init_episode(variation)
                if self._place():
                    self._check_clear()
                if self.task.is_from_rlbench:
                    self.engine.part_overlaps()
                self._check_waypoints()
                for _ in range(SETTLE_STEPS):
                    self.engine.step()
                if self.task.is_from_rlbench:
                    self._check_start()
            except (BoundaryError, WaypointError) as error:
                self.refusals.append(str(error))
                if self._stays() and drawn == self._drawn():
                    raise FixedPlacementError(
                        f"{self.task.name}, variation {variation}: it cannot start where its scene "
                        f"puts it: {error}; nothing of it is placed at random, so no other try "
                        f"would differ{'; leave static_positions out' * self._static_positions}",
                        cause="placement",
                    ) from error
                continue
            self.task.reset_conditions()
            return descriptions
        raise DemoError(
            f"{self.task.name}, variation {variation}: {most} placements failed; "
            f"the last: {self.refusals[-1]}",
            cause="placement",
        )

    def _reset(self) -> None:
        self.task.cleanup()
        self.task.return_to_start()
        self.robot.gripper.release()
        self.engine.reset()
        self.robot.gripper.reset()
        self.robot.arm.home()

    def _stays(self) -> bool:
        """Tell whether the task as a whole stays where its scene puts it."""
        return self._static_positions or self.task.is_static_workspace()

    def _drawn(self) -> tuple[object, ...]:
        """Return what is another value once a task has drawn a random number."""
        _, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002 - its task files'
        own = self.task.rng.bit_generator.state
        return str(own), np.asarray(keys).tobytes(), position, random.getstate()

    def _place(self) -> bool:
        """Put the task somewhere in the workspace; False where it stays."""
        if self._stays():
            return not self.task.is_from_rlbench
        low, high = self.task.base_rotation_bounds()
        self._workspace.clear()
        self._workspace.sample(
            self.task.boundary_root(),
            ignore_collisions=True,
            min_rotation=low,
            max_rotation=high,
        )
        return True

    def _check_clear(self) -> None:
        # A door that starts inside the hand is thrown open or shut while the scene settles.
        touched = self.robot.arm.touched_shapes()
        if touched:
            raise BoundaryError(f"the arm at home touches {', '.join(touched)}")

    def _check_waypoints(self) -> None:
        waypoints = self.task.get_waypoints()
        if not waypoints:
            raise NoWaypointsError(f"{self.task.name} has no object waypoint0", "no_waypoints")
        start: list[Floats] = []
        for waypoint in waypoints:
            if waypoint.path and not self.task.is_from_rlbench:
                continue  # ours are drawn within reach
            here = waypoint.dummy.get_matrix()
            if waypoint.path:
                points = self.engine.path_points(waypoint.name)
                is_reached = self.robot.arm.can_follow(points, self._plan_rng)
            else:
                is_reached = self.robot.arm.can_reach(here, self._plan_rng)
            if not is_reached:
                raise WaypointError(f"{waypoint.name} of {self.task.name} is out of reach")
            # RLBench, too, asks for the lines of its scenes before an episode begins.
            needs_line = waypoint.is_linear and len(start) > 0
            if needs_line and not self.robot.arm.can_follow([*start, here], self._plan_rng):
                raise WaypointError(f"no line of the tip leads to {waypoint.name}")
            start = [here] if self.task.is_from_rlbench and not waypoint.path else []

    def _check_start(self) -> None:
        """Refuse placements from which a demonstration cannot even begin.

        RLBench's tasks hang things beside their hooks, which then fall, and put what is to be
        grasped so near to something else that the hand has no room.
        """
        self._check_waypoints()
        first, *after = self.task.get_waypoints()
        if first.start_ability is None:
            try:
                self._plan(first, after)
            except DemoError as error:
                raise WaypointError(str(error)) from error

    # ---- actions ------------------------------------------------------------------------

    @property
    def plan_rng(self) -> np.random.Generator:
        """Source of all motion planning in this episode."""
        return self._plan_rng

    def step(self) -> None:
        """Advance 50 ms; action modes call it as often as an action takes."""
        self.engine.step()
        self.task.step()
        for told in (self._step_callback, self.on_step):
            if told is not None:
                told()

    def workspace_bounds(self) -> tuple[Floats, Floats]:
        """Return (3,) lowest and (3,) highest position [m], world, that actions may aim at."""
        workspace = self.engine.shape("workspace")
        position, (x0, x1, y0, y1, _, _) = workspace.get_position(), workspace.get_bounding_box()
        margin = np.array([WORKSPACE_MARGIN, WORKSPACE_MARGIN, 0.0])
        low, high = np.array([x0, y0, 0.0]), np.array([x1, y1, WORKSPACE_HEIGHT])
        return position + low - margin, position + high + margin

    def check_target_in_workspace(self, position: Floats) -> bool:
        """Tell whether (3,) `position` [m] lies within `workspace_bounds`."""
        low, high = self.workspace_bounds()
        return bool(((low < position) & (position < high)).all())

    # ---- demonstration ------------------------------------------------------------------

    def demonstrate(self, record: Callable[[], None], reached: Callable[[], None]) -> None:
        """Follow the waypoints to success.

        Args:
            record: called at the start and after every step of 50 ms.
            reached: called when the tip arrives at a waypoint, before the gripper acts.

        Raises:
            DemoError: a waypoint cannot be reached, or the task is not fulfilled at the end.
        """
        with self.task.global_random:
            self._demonstrate(record, reached)

    def _demonstrate(self, record: Callable[[], None], reached: Callable[[], None]) -> None:
        self.joint_position_action = None
        self._opening = float(self.robot.gripper.is_open())
        record()

        def step() -> None:
            self.engine.step()
            self.task.step()
            command = self.robot.arm.get_joint_target_positions()
            self.joint_position_action = np.append(command, self._opening)
            if self._step_callback is not None:
                self._step_callback()
            if self.task.watches():
                self.task.success()
            record()

        # Once: abilities may leave a waypoint out in one round and not in the next.
        waypoints = self.task.get_waypoints()
        path: ArmPath | None = None
        for _ in range(MAX_REPEATS):
            for i, waypoint in enumerate(waypoints):
                path = self._visit(waypoint, waypoints[i + 1 :], step, reached) or path
            if not self.task.should_repeat_waypoints() or self.task.success()[0]:
                break
        self._await_success(step)
        if path is not None:
            come_to_rest(path, step)
        if not self.task.success()[0]:
            raise DemoError(
                f"{self.task.name}: all waypoints were passed, the task is not fulfilled",
                cause="not_successful",
            )

    def _visit(
        self,
        waypoint: Waypoint,
        after: list[Waypoint],
        step: Callable[[], None],
        reached: Callable[[], None],
    ) -> ArmPath | None:
        """Go to a waypoint and do what it says; return the way there, None if it is left out."""
        waypoint.start_of_path()
        if waypoint.skip:
            return None
        path = self._way(waypoint, after)
        while not path.step():
            step()
        come_to_rest(path, step)
        waypoint.end_of_path()
        reached()
        self._act(waypoint, path, step)
        return path

    def _way(self, waypoint: Waypoint, after: list[Waypoint]) -> ArmPath:
        path = self._plan(waypoint, after)
        ends = not after and waypoint.gripper is None and waypoint.end_ability is None
        if not (ends and self.task.is_from_rlbench) or self.task.watches():
            return path
        if self.task.may_repeat_waypoints():
            return path
        return end_where_fulfilled(self.engine, path, lambda: self.task.success()[0])

    def _plan(self, waypoint: Waypoint, after: list[Waypoint]) -> ArmPath:
        if waypoint.path:
            # Its object may have moved since the list was made.
            points = self.engine.path_points(waypoint.name)
            return self._or_demo_error(waypoint, lambda: self.robot.arm.plan_along(points))
        following = self._following(waypoint, after)
        return self._or_demo_error(
            waypoint,
            lambda: self.robot.arm.plan(
                waypoint.dummy.get_matrix(),
                self._plan_rng,
                ignore_collisions=waypoint.ignores_collisions,
                linear_only=waypoint.is_linear,
                following=following,
            ),
        )

    def _following(self, waypoint: Waypoint, after: list[Waypoint]) -> list[Floats]:
        """Return the (4, 4) poses that straight lines after a waypoint lead through."""
        following: list[Floats] = []
        here = waypoint.dummy.get_matrix()
        for next_one in after[:2]:
            if next_one.path and not self.task.is_from_rlbench:
                break
            if next_one.path:
                points = self.engine.path_points(next_one.name)
                return following + self.robot.arm.preview(points)
            there = next_one.dummy.get_matrix()
            near = np.linalg.norm(there[:3, 3] - here[:3, 3]) < NEAR and self.task.is_from_rlbench
            if not (near or next_one.ignores_collisions or next_one.is_linear):
                break
            following.append(there)
            here = there
        return following

    def _or_demo_error(self, waypoint: Waypoint, plan: Callable[[], ArmPath]) -> ArmPath:
        try:
            return plan()
        except ConfigurationPathError as error:
            raise DemoError(
                f"{self.task.name}: no way to {waypoint.name}: {error}",
                cause=f"no_path_to_{waypoint.name}",
            ) from error

    def _act(self, waypoint: Waypoint, path: ArmPath, step: Callable[[], None]) -> None:
        """Open or close the gripper as the waypoint's command says."""
        command = waypoint.gripper
        if command is None:
            return
        gripper = self.robot.gripper
        if command.opens:
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
            for shape in self.task.get_graspable_objects():
                gripper.grasp(shape)
            path.stay()

    def _await_success(self, step: Callable[[], None]) -> None:
        for _ in range(ROLLING_STEPS if self.task.is_from_rlbench else EXTRA_STEPS):
            if self.task.success()[0]:
                return
            step()
