"""Things that look the same after a turn: which of the poses alike a waypoint is said to have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlbench.engines import transforms as tf
from rlbench.engines.protocols import Engine, SceneObject
from rlbench.engines.transforms import Floats


@dataclass(frozen=True)
class TurnsAlike:
    """Turns of a frame about an axis that no picture tells apart.

    Attributes:
        thing: name of what the frame hangs on.
        point: (3,) a point of the axis, in the frame [m].
        axis: (3,) its direction, in the frame.
        turns: how many in a whole turn; None: any angle.
    """

    thing: str
    point: Floats
    axis: Floats
    turns: int | None

    def nearest(self, pose: Floats, to: Floats) -> Floats:
        """Return what is alike to a (4, 4) pose and turned the least from another one."""
        a = self.axis
        N = to[:3, :3].T @ pose[:3, :3]
        # The angle between both is smallest where the trace of N @ (turn by x about a), a constant
        # plus cosine * cos(x) + sine * sin(x), is largest.
        cosine = np.trace(N) - a @ N @ a
        sine = np.trace(N @ np.cross(np.eye(3), a))
        angle = float(np.arctan2(sine, cosine))
        if self.turns is not None:
            step = 2 * np.pi / self.turns
            angle = step * round(angle / step)
        return pose @ self._turn(angle)

    def _turn(self, angle: float) -> Floats:
        T = np.eye(4)
        quat = np.append(np.cos(angle / 2), np.sin(angle / 2) * self.axis)
        T[:3, :3] = tf.quat_wxyz_to_matrix(quat)
        T[:3, 3] = self.point - T[:3, :3] @ self.point
        return T


def turns_of_waypoints(
    engine: Engine, waypoints: Sequence[str], alike: Mapping[str, int | None]
) -> dict[str, TurnsAlike]:
    """Return, by waypoint, the turns that what it hangs on looks the same after.

    Args:
        engine: the scene, its episode begun.
        waypoints: names in number order.
        alike: name of a thing -> how many turns about the vertical through its origin look the
            same, None for all of them.
    """
    found = {}
    for name in waypoints:
        frame = engine.dummy(name)
        thing: SceneObject | None = frame
        while thing is not None and thing.get_name() not in alike:
            thing = thing.get_parent()
        if thing is not None:
            at = tf.invert(frame.get_matrix())
            point = at[:3, :3] @ thing.get_position() + at[:3, 3]
            which = thing.get_name()
            found[name] = TurnsAlike(which, point, at[:3, 2].copy(), alike[which])
    return found
