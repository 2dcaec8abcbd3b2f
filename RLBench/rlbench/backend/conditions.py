"""Success conditions: small objects that look at the scene and say yes or no."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rlbench.engines.protocols import Joint, ProximitySensor, SceneObject, Shape


class Holder(Protocol):
    """What conditions need of a gripper."""

    def get_grasped_objects(self) -> Sequence[Shape]:
        """Return the shapes that are held."""


class Condition:
    """One fact about the scene.

    Attributes:
        remembers: what is met depends on the past too; it is asked after every step.
    """

    remembers = False

    def condition_met(self) -> tuple[bool, bool]:
        """Return (is met, ends the episode)."""
        raise NotImplementedError("a condition defines condition_met")

    def reset(self) -> None:
        """Forget what was seen in the last episode."""


class JointCondition(Condition):
    """A joint has moved by more than an amount from where the scene has it, as in RLBench."""

    def __init__(self, joint: Joint, position: float) -> None:
        """Watch `joint`; `position` is the movement needed from its present value [rad or m]."""
        self._joint = joint
        self._position = position
        self._start = joint.get_joint_position()

    def condition_met(self) -> tuple[bool, bool]:
        """Return (moved far enough, False)."""
        return abs(self._joint.get_joint_position() - self._start) > self._position, False


class DetectedCondition(Condition):
    """A sensor detects an object (or, negated, does not)."""

    def __init__(self, obj: SceneObject, detector: ProximitySensor, negated: bool = False) -> None:
        """Watch whether `detector` sees `obj`."""
        self._obj, self._detector, self._negated = obj, detector, negated

    def condition_met(self) -> tuple[bool, bool]:
        """Return (detected, False)."""
        return self._detector.is_detected(self._obj) != self._negated, False


class NothingGrasped(Condition):
    """The gripper holds nothing."""

    def __init__(self, gripper: Holder) -> None:
        """Watch `gripper`."""
        self._gripper = gripper

    def condition_met(self) -> tuple[bool, bool]:
        """Return (holds nothing, False)."""
        return len(self._gripper.get_grasped_objects()) == 0, False


class GraspedCondition(Condition):
    """The gripper holds an object."""

    def __init__(self, gripper: Holder, shape: Shape) -> None:
        """Watch whether `gripper` holds `shape`."""
        self._gripper, self._shape = gripper, shape

    def condition_met(self) -> tuple[bool, bool]:
        """Return (holds it, False)."""
        held = [shape.get_handle() for shape in self._gripper.get_grasped_objects()]
        return self._shape.get_handle() in held, False


class DetectedSeveralCondition(Condition):
    """A sensor detects at least a number of objects."""

    def __init__(
        self, objects: Sequence[SceneObject], detector: ProximitySensor, number_needed: int
    ) -> None:
        """Watch how many of `objects` the detector sees."""
        self._objects, self._detector, self._needed = objects, detector, number_needed

    def condition_met(self) -> tuple[bool, bool]:
        """Return (enough are detected, False)."""
        seen = sum(self._detector.is_detected(obj) for obj in self._objects)
        return seen >= self._needed, False


class EmptyCondition(Condition):
    """A list that the task keeps is empty."""

    def __init__(self, container: Sequence[object]) -> None:
        """Watch `container`."""
        self._container = container

    def condition_met(self) -> tuple[bool, bool]:
        """Return (is empty, False)."""
        return len(self._container) == 0, False


class ColorCondition(Condition):
    """A shape has a colour."""

    def __init__(self, shape: Shape, success_rgb: Sequence[float]) -> None:
        """Watch whether `shape` is painted `success_rgb`, within 1/512."""
        self._shape, self._rgb = shape, np.asarray(success_rgb, float)

    def condition_met(self) -> tuple[bool, bool]:
        """Return (has the colour, False)."""
        return bool(np.abs(self._shape.get_color() - self._rgb).max() < 1 / 512), False


class FollowCondition(Condition):
    """An object passes close by a series of points, and leaves them no more than a little."""

    MAX_STRIKES = 4
    remembers = True

    def __init__(
        self,
        obj: SceneObject,
        points: Sequence[Sequence[float]],
        relative_to: SceneObject | None = None,
        delta_limit: float = 0.01,
        start_after_first: bool = True,
    ) -> None:
        """Watch `obj`.

        Args:
            obj: what moves.
            points: (N, 3) positions [m] to pass in this order.
            relative_to: frame of the points, None for the world.
            delta_limit: distance [m] from the next point beyond which it is lost; a point counts
                as passed within half of it.
            start_after_first: being far from the first point is no fault.
        """
        self._obj, self._frame = obj, relative_to
        self._points = np.asarray(points, float).reshape(-1, 3)
        self._limit, self._may_wait = delta_limit, start_after_first
        self.reset()

    def reset(self) -> None:
        """Start at the first point."""
        self._next, self._strikes = 0, 0

    def condition_met(self) -> tuple[bool, bool]:
        """Return (all points are passed, the way was lost for good)."""
        here = self._obj.get_position(self._frame)
        advanced = False
        while self._next < len(self._points):
            distance = float(np.linalg.norm(here - self._points[self._next]))
            if distance > self._limit:
                waits = self._may_wait and self._next == 0
                if not advanced and not waits:
                    self._strikes += 1
                return False, self._strikes > self.MAX_STRIKES
            if distance > self._limit / 2:
                return False, False
            self._next, self._strikes, advanced = self._next + 1, 0, True
        return True, False


class OrConditions(Condition):
    """At least one of several conditions is met."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        """Watch `conditions`."""
        self._conditions = conditions
        self.remembers = any(condition.remembers for condition in conditions)

    def reset(self) -> None:
        """Reset all of them."""
        for condition in self._conditions:
            condition.reset()

    def condition_met(self) -> tuple[bool, bool]:
        """Return (any is met, one that is met ends the episode)."""
        results = [condition.condition_met() for condition in self._conditions]
        return any(met for met, _ in results), any(met and ends for met, ends in results)


class ConditionSet(Condition):
    """Several conditions together, in order if asked."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        order_matters: bool = False,
        simultaneously_met: bool = True,
    ) -> None:
        """Combine `conditions`.

        Args:
            conditions: what must hold.
            order_matters: a condition counts only after all before it were met; they need not
                hold any longer, as in RLBench.
            simultaneously_met: all must hold at one moment; False remembers those met earlier.
        """
        self._conditions = list(conditions)
        self._ordered = order_matters
        self._together = simultaneously_met and not order_matters
        self.remembers = not self._together or any(c.remembers for c in self._conditions)
        self._met = np.zeros(len(self._conditions), bool)

    def reset(self) -> None:
        """Reset all of them."""
        self._met[:] = False
        for condition in self._conditions:
            condition.reset()

    def condition_met(self) -> tuple[bool, bool]:
        """Return (all are met, one that is met ends the episode)."""
        ends = False
        for i, condition in enumerate(self._conditions):
            if self._ordered and not self._met[:i].all():
                break
            met, terminates = condition.condition_met()
            ends = ends or (met and terminates)
            self._met[i] = met or (self._met[i] and not self._together)
        return bool(self._met.all()), ends
