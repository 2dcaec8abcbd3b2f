"""Keypoints of a MuJoCo scene: points fixed to bodies, in named groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlbench import transforms as tf
from rlbench.sim.mujoco_engine import MujocoEngine
from rlbench.sim.mujoco_objects import MujocoObject, MujocoShape
from rlbench.sim.robot_model import RobotModel
from rlbench.transforms import Floats


def robot_points(robot: RobotModel) -> tuple[tuple[str, str], ...]:
    """Return (keypoint, body) of the group `robot`."""
    left, right = robot.fingers
    return (
        ("tip", robot.tip),
        ("left_finger", left),
        ("right_finger", right),
        ("wrist", robot.hand),
    )


@dataclass(frozen=True)
class Keypoints:
    """K points fixed to bodies.

    Attributes:
        names: `<group>/<name>`.
        bodies: (K,) body ids.
        offsets: (K, 3) in the body's frame [m].
        owners: (K,) body id of the object whose own geometry does not hide the point.
    """

    names: list[str]
    bodies: npt.NDArray[np.int64]
    offsets: Floats
    owners: npt.NDArray[np.int64]

    def positions(self, engine: MujocoEngine) -> Floats:
        """Return (K, 3) world positions [m]."""
        R = engine.data.xmat[self.bodies].reshape(-1, 3, 3)
        return engine.data.xpos[self.bodies] + np.einsum("kij,kj->ki", R, self.offsets)


def _owner(engine: MujocoEngine, body: int) -> int:
    """Return the nearest shape at or above a body in the scene graph, or the body itself."""
    current = body
    while current != 0:
        if isinstance(engine.object_of_body(current), MujocoShape):
            return current
        current = engine.parent_of(current)
    return body


def movable_shapes(engine: MujocoEngine) -> list[MujocoShape]:
    """Return free and hinged shapes of the scene, in scene order."""
    return [shape for shape in engine.shapes() if shape.is_dynamic()]


def make_keypoints(
    engine: MujocoEngine, groups: Sequence[str], waypoints: Sequence[str]
) -> Keypoints:
    """Resolve keypoint groups once per scene.

    Args:
        engine: the loaded scene.
        groups: names from `observation_config.KEYPOINT_GROUPS`, in the order wanted.
        waypoints: waypoint names in number order.
    """
    rows: list[tuple[str, int, Floats]] = []
    for group in groups:
        if group == "waypoints":
            rows += [(f"{group}/{w}", engine.dummy(w).body, np.zeros(3)) for w in waypoints]
        elif group == "robot":
            rows += [
                (f"{group}/{n}", *_robot_point(engine, body))
                for n, body in robot_points(engine.robot)
            ]
        else:
            for shape in movable_shapes(engine):
                corners = shape.box_corners(world=False)
                if group == "objects":
                    rows.append((f"{group}/{shape.get_name()}", shape.body, corners.mean(0)))
                else:
                    rows += [
                        (f"{group}/{shape.get_name()}/{i}", shape.body, corner)
                        for i, corner in enumerate(corners)
                    ]
    bodies = np.array([body for _, body, _ in rows], np.int64)
    return Keypoints(
        names=[name for name, _, _ in rows],
        bodies=bodies,
        offsets=np.array([offset for _, _, offset in rows]).reshape(-1, 3),
        owners=np.array([_owner(engine, int(b)) for b in bodies], np.int64),
    )


def _robot_point(engine: MujocoEngine, name: str) -> tuple[int, Floats]:
    """Return body and offset; a fingertip is the end of the finger along the hand's z."""
    obj: MujocoObject = engine.object(name)
    if name not in engine.robot.fingers or not isinstance(obj, MujocoShape):
        return obj.body, np.zeros(3)
    T = tf.invert(obj.transform()) @ engine.object(engine.robot.tip).transform()
    along = T[:3, 2]
    corners = obj.box_corners(world=False)
    reach = (corners @ along).max()
    centre = corners.mean(0)
    return obj.body, centre + along * (reach - centre @ along)
