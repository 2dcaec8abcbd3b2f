"""Where the waypoints are that an arm follows: as the scene has them, or as somebody says.

Order, gripper commands and extension strings are always the task's. RLBench reads the pose of a
waypoint when the arm is about to move to it; so does `ScenePoses`. `GivenPoses` uses what was said
of the poses before. Such a pose stands still in the world, unless its waypoint hangs on a thing
that the hand holds: then it moves with the hand, since an arm knows how it has moved itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rlbench.backend.exceptions import DemoError
from rlbench.backend.waypoints import Waypoint, place_of
from rlbench.engines import transforms as tf
from rlbench.engines.protocols import Arm, Engine, Shape
from rlbench.engines.transforms import Floats

UNSEEN = "unseen"
"""Begins the cause of a demonstration that failed since nobody knew a waypoint's pose."""
SLIPPED_M = 0.02
"""What the hand holds has slipped when it has moved so far relative to the tip [m]."""

Step = Callable[[], None]
Doubts = Callable[[str], Sequence[Floats]]
"""Returns what a waypoint's pose may be as well: (4, 4) changes of its frame in the world, turned
about its origin; the likeliest first."""
Look = Callable[[Waypoint, Step, Mapping[str, Floats]], Mapping[str, Floats] | None]
"""Told the next waypoint, how to let 50 ms pass, and the (4, 4) poses, tip to world, by waypoint
that are known now; returns those that it knows better. The others stay as they were; None: all."""


class WaypointPoses(Protocol):
    """What a demonstration asks about its waypoints."""

    @property
    def is_scene(self) -> bool:
        """Tell whether poses are the scene's own, so that the arm may try its last way before."""

    def prepare(self, waypoint: Waypoint, step: Step) -> None:
        """Be told that the way to a waypoint is planned next; `step` lets 50 ms pass."""

    def matrix(self, waypoint: Waypoint) -> Floats:
        """Return the (4, 4) pose of a waypoint, tip to world.

        Raises:
            DemoError: it is not known (cause `unseen_<waypoint>`).
        """

    def knows(self, waypoint: Waypoint) -> bool:
        """Tell whether `matrix` is known."""

    def others(self, waypoint: Waypoint) -> Sequence[Floats]:
        """Return (4, 4) poses to try in turn where no way leads to `matrix`."""

    def use(self, waypoint: Waypoint, pose: Floats) -> None:
        """Be told that one of `others` is used."""

    def path(self, waypoint: Waypoint, at: Floats | None = None) -> list[Floats]:
        """Return the (4, 4) poses of a waypoint that is a path; `at` is one of `others`."""

    def closed(self, held: Sequence[Shape], has_missed: bool) -> None:
        """Be told that the hand has closed: what it holds, and that it met nothing to hold."""

    def opened(self) -> None:
        """Be told that the hand is about to open."""


@dataclass(frozen=True)
class ScenePoses:
    """The poses that the scene has at the moment."""

    engine: Engine

    @property
    def is_scene(self) -> bool:
        """True."""
        return True

    def prepare(self, waypoint: Waypoint, step: Step) -> None:
        """Do nothing."""

    def matrix(self, waypoint: Waypoint) -> Floats:
        """Return the pose of the waypoint's frame."""
        return waypoint.dummy.get_matrix()

    def knows(self, waypoint: Waypoint) -> bool:
        """Tell that it is."""
        return True

    def others(self, waypoint: Waypoint) -> Sequence[Floats]:
        """Return none: the scene has one pose."""
        return ()

    def use(self, waypoint: Waypoint, pose: Floats) -> None:
        """Do nothing."""

    def path(self, waypoint: Waypoint, at: Floats | None = None) -> list[Floats]:
        """Return the poses of the path; its object may have moved since the list was made."""
        return self.engine.path_points(waypoint.name)

    def closed(self, held: Sequence[Shape], has_missed: bool) -> None:
        """Do nothing."""

    def opened(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Visit:
    """A waypoint that the arm was sent to.

    Attributes:
        name: of the waypoint.
        used: (4, 4) the pose that was used, tip to world [m].
        true: (4, 4) the pose that the scene had then.
        is_other: it was not the first pose: no way led there.
    """

    name: str
    used: Floats
    true: Floats
    is_other: bool = False


class GivenPoses:
    """Poses that somebody gives, before the arm moves or again before each waypoint.

    Attributes:
        visits: the waypoints that were visited, in order.
        missed: waypoints at which the hand closed on nothing, in a task of things to hold.
        dropped: waypoints after which the hand had lost what it held.
    """

    def __init__(
        self,
        engine: Engine,
        arm: Arm,
        poses: Mapping[str, Floats],
        look: Look | None = None,
        doubts: Doubts | None = None,
    ) -> None:
        """Begin with `poses`, (4, 4) by waypoint; `look` is asked again before each waypoint."""
        self._engine, self._tip, self._look = engine, arm.get_tip(), look
        self._doubts = doubts
        self._poses = dict(poses)
        self._carried: dict[str, Floats] = {}  # waypoint -> (4, 4) waypoint to tip
        self._held: list[tuple[Shape, Floats]] = []
        self.visits: list[Visit] = []
        self.missed: list[str] = []
        self.dropped: list[str] = []

    @property
    def is_scene(self) -> bool:
        """False."""
        return False

    def prepare(self, waypoint: Waypoint, step: Step) -> None:
        """Look again, if that was asked for, and note the visit."""
        seen = None if self._look is None else self._look(waypoint, step, self._now())
        if seen is not None:
            self._poses.update(seen)
            self._carried = {n: T for n, T in self._carried.items() if n not in seen}
            self._carry()
        used = self.matrix(waypoint)
        self.visits.append(Visit(waypoint.name, used, place_of(self._engine, waypoint.name)))

    def _now(self) -> dict[str, Floats]:
        """Return what is known of all waypoints now."""
        T = self._tip.get_matrix()
        return {**self._poses, **{name: T @ there for name, there in self._carried.items()}}

    def matrix(self, waypoint: Waypoint) -> Floats:
        """Return what is known of the waypoint's pose."""
        if waypoint.name in self._carried:
            moved: Floats = self._tip.get_matrix() @ self._carried[waypoint.name]
            return moved
        if not self.knows(waypoint):
            raise DemoError(
                f"{waypoint.name}: its pose is not known", cause=f"{UNSEEN}_{waypoint.name}"
            )
        return self._poses[waypoint.name]

    def knows(self, waypoint: Waypoint) -> bool:
        """Tell whether somebody has said where the waypoint is."""
        return waypoint.name in self._carried or waypoint.name in self._poses

    def others(self, waypoint: Waypoint) -> list[Floats]:
        """Return what the pose may be as well."""
        if self._doubts is None:
            return []
        pose, found = self.matrix(waypoint), []
        for change in self._doubts(waypoint.name):
            other = pose.copy()
            other[:3, :3] = change[:3, :3] @ pose[:3, :3]
            other[:3, 3] += change[:3, 3]
            found.append(other)
        return found

    def use(self, waypoint: Waypoint, pose: Floats) -> None:
        """Note that another pose is used."""
        self.visits[-1] = replace(self.visits[-1], used=pose, is_other=True)

    def path(self, waypoint: Waypoint, at: Floats | None = None) -> list[Floats]:
        """Return the path: its shape, relative to its waypoint, is the task's; its place is not."""
        place = place_of(self._engine, waypoint.name)
        T = (self.matrix(waypoint) if at is None else at) @ tf.invert(place)
        return [T @ point for point in self._engine.path_points(waypoint.name)]

    def closed(self, held: Sequence[Shape], has_missed: bool) -> None:
        """Carry what hangs on the things that are held."""
        if has_missed:
            self.missed.append(self.visits[-1].name)
        at = tf.invert(self._tip.get_matrix())
        self._held = [(shape, at @ shape.get_matrix()) for shape in held]
        self._carry()

    def opened(self) -> None:
        """Leave everything where the hand opens."""
        self.check_hold()
        self._poses = self._now()
        self._carried, self._held = {}, []

    def check_hold(self) -> None:
        """Note whether the hand has lost what it held."""
        at = tf.invert(self._tip.get_matrix())
        moved = [
            float(np.linalg.norm((at @ shape.get_matrix() - there)[:3, 3]))
            for shape, there in self._held
        ]
        if any(distance > SLIPPED_M for distance in moved):
            self.dropped.append(self.visits[-1].name)

    def _carry(self) -> None:
        at = tf.invert(self._tip.get_matrix())
        for shape, _ in self._held:
            names = {obj.get_name() for obj in shape.get_objects_in_tree()}
            for name in names & self._poses.keys():
                self._carried.setdefault(name, at @ self._poses[name])
