"""Plans the arm's ways to the waypoints of a task."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from rlbench.backend.episodes.waypoint_poses import ScenePoses, WaypointPoses
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
        self._arm, self._task = arm, task
        self._scene_poses = ScenePoses(engine)
        self.rng = np.random.default_rng(0)

    def plan(
        self,
        waypoint: Waypoint,
        after: Sequence[Waypoint],
        poses: WaypointPoses | None = None,
    ) -> ArmPath:
        """Find a way from where the arm is.

        Args:
            waypoint: to go to; one with a path is followed through all of it.
            after: the waypoints that come next.
            poses: of the waypoints; by default the scene's.

        Raises:
            DemoError: there is none (cause `no_path_to_<waypoint>`).
        """
        poses = poses or self._scene_poses
        following = [] if waypoint.path else self._following(waypoint, after, poses)

        def way(goal: Floats | None) -> ArmPath:
            if waypoint.path:
                return self._arm.plan_along(poses.path(waypoint, goal))
            return self._arm.plan(
                poses.matrix(waypoint) if goal is None else goal,
                self.rng,
                ignore_collisions=waypoint.ignores_collisions,
                linear_only=waypoint.is_linear,
                following=following,
            )

        try:
            return way(None)
        except ConfigurationPathError as error:
            first = error
        for other in poses.others(waypoint):
            with suppress(ConfigurationPathError):
                path = way(other)
                poses.use(waypoint, other)
                return path
        raise self._demo_error(waypoint, first) from first

    def _following(
        self, waypoint: Waypoint, after: Sequence[Waypoint], poses: WaypointPoses
    ) -> list[Floats]:
        """Return the (4, 4) poses that straight lines after a waypoint lead through."""
        rules = self._task.rules
        following: list[Floats] = []
        here = poses.matrix(waypoint)
        for next_one in after[:LINES]:
            if next_one.path and not rules.looks_along_paths:
                break
            if not poses.knows(next_one):
                break
            if next_one.path:
                return following + self._arm.preview(poses.path(next_one))
            there = poses.matrix(next_one)
            near = np.linalg.norm(there[:3, 3] - here[:3, 3]) < rules.near
            if not (near or next_one.ignores_collisions or next_one.is_linear):
                break
            following.append(there)
            here = there
        return following

    def _demo_error(self, waypoint: Waypoint, error: ConfigurationPathError) -> DemoError:
        return DemoError(
            f"{self._task.name}: no way to {waypoint.name}: {error}",
            cause=f"no_path_to_{waypoint.name}",
        )
