"""Keypoints of a scene: points fixed to objects, in named groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rlbench.backend.turns_alike import TurnsAlike
from rlbench.backend.waypoints import place_of
from rlbench.engines import transforms as tf
from rlbench.engines.protocols import Engine, Observer, RobotModel, SceneObject, Shape
from rlbench.engines.transforms import Floats, box_corners
from rlbench.engines.vision import OWN_REACH

_OWN_REACH = {
    "waypoints": OWN_REACH,
    "frames": OWN_REACH,
    "boxes": OWN_REACH,
    "objects": np.inf,
    "robot": np.inf,
}
FRAME_AXIS_M = 0.08
"""A point of the group `frames` lies so far from its waypoint, along the waypoint's x or y axis."""
FRAME_POINTS = {
    "origin": np.zeros(3),
    "x": np.array([FRAME_AXIS_M, 0, 0]),
    "y": np.array([0, FRAME_AXIS_M, 0]),
}
"""Name -> place in the waypoint's frame [m]; the three points give the waypoint's whole pose."""


def robot_points(robot: RobotModel) -> tuple[tuple[str, str], ...]:
    """Return (keypoint, body) of the group `robot`."""
    pair = ("left_finger", "right_finger")
    names = pair if len(robot.fingers) == 2 else [f"finger{i}" for i in range(len(robot.fingers))]
    fingers = zip(names, robot.fingers, strict=True)
    return (("tip", robot.tip), *fingers, ("wrist", robot.hand))


@dataclass(frozen=True)
class Keypoints:
    """K points fixed to objects.

    Attributes:
        names: `<group>/<name>`.
        handles: (K,) handles of the objects.
        offsets: (K, 3) in the object's frame [m].
        owners: (K,) handle of the object that the point hangs on.
        own_reach: (K,) [m] surface of that object hides the point when it is at least this far
            before it. Infinity for centres of objects and points of the robot: a thing's centre
            is seen when the thing is.
    """

    names: list[str]
    handles: npt.NDArray[np.int64]
    offsets: Floats
    owners: npt.NDArray[np.int64]
    own_reach: Floats

    def positions(self, observer: Observer) -> Floats:
        """Return (K, 3) world positions [m]."""
        positions, R = observer.frames(self.handles)
        turned: Floats = np.einsum("kij,kj->ki", R, self.offsets)
        return positions + turned

    def standing_for(
        self, poses: Mapping[str, Floats], turns: Mapping[str, TurnsAlike], hand: Floats
    ) -> "Keypoints":
        """Return these keypoints with the group `frames` of things that look alike after a turn.

        All waypoints of a thing are turned alike, by what suits the first of them.

        Args:
            poses: (4, 4) to the world [m], by waypoint, at the start.
            turns: of the waypoints that hang on such things.
            hand: (4, 4) pose of the tip at the start.
        """
        offsets, chosen = self.offsets.copy(), dict[str, Floats]()
        for name, alike in turns.items():
            group, pose = f"frames/{name}/", poses[name]
            rows = [row for row, keypoint in enumerate(self.names) if keypoint.startswith(group)]
            if alike.thing not in chosen:
                chosen[alike.thing] = alike.nearest(pose, hand) @ tf.invert(pose)
            change = tf.invert(pose) @ chosen[alike.thing] @ pose
            offsets[rows] = offsets[rows] @ change[:3, :3].T + change[:3, 3]
        return replace(self, offsets=offsets)


def _owner(engine: Engine, handle: int) -> int:
    """Return the nearest shape at or above an object in the scene graph, or the object itself."""
    current: SceneObject | None = engine.object_of_handle(handle)
    while current is not None:
        if isinstance(current, Shape):
            return current.get_handle()
        current = current.get_parent()
    return handle


def movable_shapes(engine: Engine) -> list[Shape]:
    """Return free and hinged shapes of the scene, in scene order."""
    return [shape for shape in engine.shapes() if shape.is_dynamic()]


def make_keypoints(engine: Engine, groups: Sequence[str], waypoints: Sequence[str]) -> Keypoints:
    """Resolve keypoint groups once per scene.

    Args:
        engine: the loaded scene.
        groups: names from `observation_config.KEYPOINT_GROUPS`, in the order wanted.
        waypoints: waypoint names in number order.
    """
    rows: list[tuple[str, int, Floats]] = []
    for group in groups:
        if group == "waypoints":
            rows += [(f"{group}/{w}", engine.dummy(w).get_handle(), np.zeros(3)) for w in waypoints]
        elif group == "frames":
            rows += [
                (f"{group}/{w}/{point}", engine.dummy(w).get_handle(), start + place)
                for w in waypoints
                for start in (_start(engine, w),)
                for point, place in FRAME_POINTS.items()
            ]
        elif group == "robot":
            rows += [
                (f"{group}/{n}", *_robot_point(engine, name))
                for n, name in robot_points(engine.robot)
            ]
        else:
            for shape in movable_shapes(engine):
                corners = box_corners(shape.get_bounding_box())
                if group == "objects":
                    rows.append(
                        (f"{group}/{shape.get_name()}", shape.get_handle(), corners.mean(0))
                    )
                else:
                    rows += [
                        (f"{group}/{shape.get_name()}/{i}", shape.get_handle(), corner)
                        for i, corner in enumerate(corners)
                    ]
    handles = np.array([handle for _, handle, _ in rows], np.int64)
    return Keypoints(
        names=[name for name, _, _ in rows],
        handles=handles,
        offsets=np.array([offset for _, _, offset in rows]).reshape(-1, 3),
        owners=np.array([_owner(engine, int(h)) for h in handles], np.int64),
        own_reach=np.array([_OWN_REACH[name.split("/")[0]] for name, _, _ in rows], float),
    )


def _start(engine: Engine, waypoint: str) -> Floats:
    """Return where a waypoint's place is (`place_of`), in its frame."""
    place: Floats = tf.invert(engine.dummy(waypoint).get_matrix()) @ place_of(engine, waypoint)
    return place[:3, 3]


def _robot_point(engine: Engine, name: str) -> tuple[int, Floats]:
    """Return handle and offset; a fingertip is the end of the finger along the hand's z."""
    obj = engine.object(name)
    if name not in engine.robot.fingers or not isinstance(obj, Shape):
        return obj.get_handle(), np.zeros(3)
    T = tf.invert(obj.get_matrix()) @ engine.object(engine.robot.tip).get_matrix()
    along = T[:3, 2]
    corners = box_corners(obj.get_bounding_box())
    reach = (corners @ along).max()
    centre = corners.mean(0)
    return obj.get_handle(), centre + along * (reach - centre @ along)
