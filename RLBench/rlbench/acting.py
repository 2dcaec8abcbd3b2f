"""A robot that acts by poses of waypoints that somebody predicts, by RLBench's own rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rlbench.backend.episodes.waypoint_poses import UNSEEN, Doubts, GivenPoses, Look, Visit
from rlbench.backend.exceptions import (
    ConfigurationPathError,
    DemoError,
    FixedPlacementError,
)
from rlbench.backend.observation import Observation
from rlbench.backend.turns_alike import TurnsAlike
from rlbench.backend.waypoints import Waypoint, place_of
from rlbench.engines.transforms import Floats
from rlbench.task_environment import MAX_ATTEMPTS, TaskEnvironment

__all__ = ["CAUSES", "Acted", "Actor", "Doubts", "Look", "Visit", "Waypoint"]

CAUSES = ("not_placed", "unseen", "no_path", "broken", "missed_grasp", "dropped", "not_fulfilled")
"""Why a robot that acts does not succeed: the task could not be placed; nobody knew where a
waypoint is; no way leads there, or none of the kind that the task asks for; the simulation or the
task's own code failed; the hand closed on nothing; it lost what it held; the task is not fulfilled
at the end. The first that holds counts."""


@dataclass(frozen=True)
class Acted:
    """What came of acting.

    Attributes:
        cause: empty for success, else one of `CAUSES`.
        detail: the cause in more words; a waypoint where it concerns one.
        visits: waypoints that the arm was sent to, in order, with the poses used and the true ones.
        steps: how many steps of 50 ms it took.
    """

    cause: str
    detail: str
    visits: tuple[Visit, ...]
    steps: int

    @property
    def is_success(self) -> bool:
        """Tell whether the task is fulfilled."""
        return not self.cause


class Actor:
    """Places a task, watches it, and follows waypoints at given poses."""

    def __init__(self, task: TaskEnvironment) -> None:
        """Act in `task`, in its variation (`set_variation`)."""
        self.task = task
        self._turns: dict[str, TurnsAlike] = {}

    def place(self, seed: int, example: int) -> list[str]:
        """Place the task; a function of seed, task, variation and example alone.

        Returns:
            Descriptions of the variation.

        Raises:
            DemoError: all attempts failed; they are those of `TaskEnvironment.reset`.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                descriptions = self.task.begin(seed, example, attempt)
            except DemoError as error:
                if attempt == MAX_ATTEMPTS - 1 or isinstance(error, FixedPlacementError):
                    raise
            else:
                self._turns = self.task.recorder.turns_alike()
                return descriptions
        raise AssertionError

    def watch(self, frames: int) -> list[Observation]:
        """Look for `frames` frames of 50 ms while the robot stands still, from now on."""
        seen = [self.task.get_observation()]
        while len(seen) < frames:
            self.task.scene.step()
            seen.append(self.task.get_observation())
        return seen

    def true_poses(self) -> dict[str, Floats]:
        """Return the (4, 4) places (`place_of`) of the waypoints now, tip to world [m], by name."""
        engine = self.task.scene.engine
        return {name: place_of(engine, name) for name in self.task.waypoint_names}

    def deviation(self, name: str, used: Floats, true: Floats) -> tuple[float, float]:
        """Return how far a pose used for a waypoint is from the true one: [mm], and [degrees].

        Where what the waypoint hangs on looks the same after a turn, the nearest of the poses
        alike counts as the true one.

        Args:
            name: of the waypoint.
            used: (4, 4), tip to world [m].
            true: (4, 4), at the same moment.
        """
        if name in self._turns:
            true = self._turns[name].nearest(true, used)
        return deviation(used, true)

    def follow(
        self,
        poses: Mapping[str, Floats],
        look: Look | None = None,
        on_step: Callable[[], None] | None = None,
        doubts: Doubts | None = None,
    ) -> Acted:
        """Do the task: order, gripper commands and extension strings are its own.

        A pose stands still in the world, unless its waypoint hangs on what the hand holds: then it
        moves with the hand.

        Args:
            poses: (4, 4), tip to world [m], by waypoint; one that is left out is not known.
            look: is asked for poses again before each waypoint.
            on_step: is called after each step of 50 ms, also of those that `look` lets pass.
            doubts: is asked what a pose may be as well, where no way leads to it.
        """
        scene = self.task.scene
        given = GivenPoses(scene.engine, scene.robot.arm, poses, look, doubts)
        steps = -1  # `record` is called at the start, too

        def record() -> None:
            nonlocal steps
            steps += 1
            if steps and on_step is not None:
                on_step()

        cause = detail = ""
        try:
            scene.demonstrate(record, lambda: None, given)
        except DemoError as error:
            given.check_hold()
            cause, detail = _cause(error, given), str(error)
        return Acted(cause, detail, tuple(given.visits), max(steps, 0))


def _cause(error: DemoError, given: GivenPoses) -> str:
    first = error.cause.split("_")[0]
    if first == UNSEEN:
        return "unseen"
    if _lacks_a_way(error):
        return "no_path"
    if error.cause != "not_successful":
        return "broken"
    if given.missed:
        return "missed_grasp"
    return "dropped" if given.dropped else "not_fulfilled"


def _lacks_a_way(error: BaseException | None) -> bool:
    """Tell whether a demonstration ended since no way was found: by its planner, or by its task.

    Tasks may plan for themselves, and refuse where only a way of another kind would lead on.
    """
    while error is not None:
        if isinstance(error, ConfigurationPathError):
            return True
        error = error.__cause__
    return False


def deviation(used: Floats, true: Floats) -> tuple[float, float]:
    """Return how far a (4, 4) pose is from another: [mm], and [degrees]."""
    turn = used[:3, :3] @ true[:3, :3].T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    angle = np.arctan2(np.linalg.norm(axis), np.trace(turn) - 1)
    shift = np.linalg.norm(used[:3, 3] - true[:3, 3])
    return float(1000 * shift), float(np.degrees(angle))
