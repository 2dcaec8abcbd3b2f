"""Places a task at random where its waypoints are within reach, or says why that failed."""

import random

import numpy as np

from rlbench.backend.episodes.waypoint_plans import WaypointPlanner
from rlbench.backend.exceptions import (
    BoundaryError,
    DemoError,
    FixedPlacementError,
    NoWaypointsError,
    WaypointError,
)
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.task import Task
from rlbench.engines.protocols import Engine, Robot
from rlbench.engines.transforms import Floats

SETTLE_STEPS = 10
"""Steps in which things that were placed come to rest."""


class Placement:
    """Places one task, again for each episode.

    Attributes:
        count: how many placements the present episode took.
        refusals: why each refused one of them was refused.
    """

    def __init__(
        self,
        engine: Engine,
        robot: Robot,
        task: Task,
        planner: WaypointPlanner,
        static_positions: bool,
    ) -> None:
        """Get ready.

        Args:
            engine: the simulation.
            robot: must reach the waypoints.
            task: what is placed.
            planner: of the task.
            static_positions: leave the task where its scene puts it.
        """
        self._engine, self._robot, self._task, self._planner = engine, robot, task, planner
        self._static_positions = static_positions
        # Task and workspace share one generator, so one seed decides the whole placement.
        self._workspace = SpawnBoundary([engine.shape("workspace")], task.rng, task.rules.boundary)
        self.count = 0
        self.refusals: list[str] = []

    def bring_into_workspace(self) -> None:
        """Put the task into the middle of the workspace, unless it is saved inside.

        RLBench puts every task into the middle; its scenes are saved in the middle of the
        workspace that they were designed for, 15 cm nearer to the arm than it is now.
        """
        workspace, base = self._engine.shape("workspace"), self._engine.object(self._task.name)
        box, here = workspace.get_bounding_box(), base.get_position(workspace)
        if np.any(here[:2] < box[[0, 2]]) or np.any(here[:2] > box[[1, 3]]):
            base.set_position(workspace.get_position())

    def reset(self) -> None:
        """Bring task, scene and robot back to how they were loaded; the hand is open and empty."""
        self._task.cleanup()
        self._task.return_to_start()
        self._robot.gripper.release()
        self._engine.reset()
        self._robot.gripper.reset()
        self._robot.arm.home()

    def run(self, variation: int) -> list[str]:
        """Place the task.

        Returns:
            Descriptions of the variation.

        Raises:
            DemoError: all placements failed (cause `placement`).
            FixedPlacementError: the only one there is failed.
        """
        self.refusals = []
        most = self._task.rules.most_placements
        for self.count in range(1, most + 1):
            self.reset()
            drawn = self._drawn()
            try:
                descriptions = self._try(variation)
            except (BoundaryError, WaypointError) as error:
                self.refusals.append(str(error))
                if self._stays() and drawn == self._drawn():
                    raise FixedPlacementError(
                        f"{self._task.name}, variation {variation}: it cannot start where its "
                        f"scene puts it: {error}; nothing of it is placed at random, so no other "
                        "try would differ"
                        f"{'; leave static_positions out' * self._static_positions}",
                        cause="placement",
                    ) from error
                continue
            self._task.reset_conditions()
            return descriptions
        raise DemoError(
            f"{self._task.name}, variation {variation}: {most} placements failed; "
            f"the last: {self.refusals[-1]}",
            cause="placement",
        )

    def _try(self, variation: int) -> list[str]:
        """Place the task once.

        Raises:
            BoundaryError: it finds no place, or touches the arm.
            WaypointError: a waypoint is out of reach.
        """
        rules = self._task.rules
        descriptions = self._task.init_episode(variation)
        is_moved = not self._stays()
        if is_moved:
            self._move()
        if is_moved or rules.checks_fixed_arm:
            self._check_clear()
        if rules.parts_overlaps:
            self._engine.separate_overlaps()
        self._check_waypoints()
        for _ in range(SETTLE_STEPS):
            self._engine.step()
        if rules.checks_start:
            self._check_start()
        return descriptions

    def _stays(self) -> bool:
        """Tell whether the task as a whole stays where its scene puts it."""
        return self._static_positions or self._task.is_static_workspace()

    def _drawn(self) -> tuple[object, ...]:
        """Return what is another value once a task has drawn a random number."""
        _, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002 - its task files'
        own = self._task.rng.bit_generator.state
        return str(own), np.asarray(keys).tobytes(), position, random.getstate()

    def _move(self) -> None:
        """Put the task as a whole somewhere in the workspace."""
        low, high = self._task.base_rotation_bounds()
        self._workspace.clear()
        self._workspace.sample(
            self._task.boundary_root(),
            ignore_collisions=True,
            min_rotation=low,
            max_rotation=high,
        )

    def _check_clear(self) -> None:
        # A door that starts inside the hand is thrown open or shut while the scene settles.
        touched = self._robot.arm.touched_shapes()
        if touched:
            raise BoundaryError(f"the arm at home touches {', '.join(touched)}")

    def _check_waypoints(self) -> None:
        rules, arm, rng = self._task.rules, self._robot.arm, self._planner.rng
        waypoints = self._task.get_waypoints()
        if not waypoints:
            raise NoWaypointsError(f"{self._task.name} has no object waypoint0", "no_waypoints")
        start: list[Floats] = []
        for waypoint in waypoints:
            if waypoint.path and not rules.checks_paths:
                continue
            here = waypoint.dummy.get_matrix()
            if waypoint.path:
                is_reached = arm.can_follow(self._engine.path_points(waypoint.name), rng)
            else:
                is_reached = arm.can_reach(here, rng)
            if not is_reached:
                raise WaypointError(f"{waypoint.name} of {self._task.name} is out of reach")
            # RLBench, too, asks for the lines of its scenes before an episode begins.
            needs_line = waypoint.is_linear and len(start) > 0
            if needs_line and not arm.can_follow([*start, here], rng):
                raise WaypointError(f"no line of the tip leads to {waypoint.name}")
            start = [here] if rules.checks_lines and not waypoint.path else []

    def _check_start(self) -> None:
        """Refuse placements from which a demonstration cannot even begin.

        RLBench's tasks hang things beside their hooks, which then fall, and put what is to be
        grasped so near to something else that the hand has no room.
        """
        self._check_waypoints()
        first, *after = self._task.get_waypoints()
        if first.start_ability is None:
            try:
                self._planner.plan(first, after)
            except DemoError as error:
                raise WaypointError(str(error)) from error
