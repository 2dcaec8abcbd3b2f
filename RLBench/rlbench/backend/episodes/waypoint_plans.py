"""Plans the arm's ways to the waypoints of a task."""

from collections.abc import Callable, Sequence

import numpy as np

from rlbench.backend.exceptions import ConfigurationPathError, DemoError
from rlbench.backend.task import Task
from rlbench.backend.waypoints import Waypoint
from rlbench.engines.protocols import Arm, ArmPath, Engine
from rlbench.engines.transforms import Floats

LINES = 2
"""A plan looks ahead at so many straight lines after its waypoint."""


class WaypointPlanner:
    """Plans for one task.

    Attributes:
        rng: source of all motion planning; seeded anew for each episode.
    """

    def __init__(self, engine: Engine, arm: Arm, task: Task) -> None:
        """Plan ways of `arm` to the waypoints of `task`."""
        self._engine, self._arm, self._task = engine, arm, task
        self.rng = np.random.default_rng(0)

    def plan(self, waypoint: Waypoint, after: Sequence[Waypoint]) -> ArmPath:
        """Find a way from where the arm is.

        Args:
            waypoint: to go to; one with a path is followed through all of it.
            after: the waypoints that come next.

        Raises:
            DemoError: there is none (cause `no_path_to_<waypoint>`).
        """
        if waypoint.path:
            # Its object may have moved since the list was made.
            points = self._engine.path_points(waypoint.name)
            return self._or_demo_error(waypoint, lambda: self._arm.plan_along(points))
        following = self._following(waypoint, after)
        return self._or_demo_error(
            waypoint,
            lambda: self._arm.plan(
                waypoint.dummy.get_matrix(),
                self.rng,
                ignore_collisions=waypoint.ignores_collisions,
                linear_only=waypoint.is_linear,
                following=following,
            ),
        )

    def _following(self, waypoint: Waypoint, after: Sequence[Waypoint]) -> list[Floats]:
        """Return the (4, 4) poses that straight lines after a waypoint lead through."""
        rules = self._task.rules
        following: list[Floats] = []
        here = waypoint.dummy.get_matrix()
        for next_one in after[:LINES]:
            if next_one.path and not rules.looks_along_paths:
                break
            if next_one.path:
                points = self._engine.path_points(next_one.name)
                return following + self._arm.preview(points)
            there = next_one.dummy.get_matrix()
            near = np.linalg.norm(there[:3, 3] - here[:3, 3]) < rules.near
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
                f"{self._task.name}: no way to {waypoint.name}: {error}",
                cause=f"no_path_to_{waypoint.name}",
            ) from error
