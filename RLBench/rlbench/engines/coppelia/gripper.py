"""The Panda's gripper on CoppeliaSim."""

import numpy as np

from pyrep_mujoco.robots.hand import HandState
from rlbench.engines.constants import STEP
from rlbench.engines.coppelia.objects import CoppeliaObject, CoppeliaShape, native_of
from rlbench.engines.coppelia.process import CoppeliaProcess
from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.object_protocols import SceneObject
from rlbench.engines.transforms import Floats

_AT_REST = 1e-3
_STILL = 1e-4
"""Fingers that move less in a step [m] are blocked."""


class CoppeliaGripper:
    """Two fingers; what they hold becomes a child of the hand."""

    def __init__(self, process: CoppeliaProcess, graph: SceneGraph[CoppeliaObject]) -> None:
        self._graph = graph
        self._native = process.gripper
        self._opened = process.opened
        self._state = HandState()
        sensors = [graph.wrap(sensor) for sensor in self._native._touch_sensors]
        # Left before right, as the fingers are everywhere in this package.
        self._touch_sensors = sorted(sensors, key=lambda s: "left" not in _parent_name(s))

    def reset(self) -> None:
        """Open fully and hold nothing."""
        self.release()
        self._state.reset()
        if np.abs(self.get_joint_positions() - self._opened).max() > _AT_REST:
            self._native.set_joint_positions(self._opened, disable_dynamics=True)
        self._native.set_joint_target_velocities([0.0] * len(self._opened))

    def actuate(self, amount: float, velocity: float) -> bool:
        """Move one observation step towards an opening in [0, 1]; True when done or stalled."""
        is_done = bool(self._native.actuate(amount, velocity))
        self._state.was_told(amount, is_done)
        return is_done

    def servo_to(self, travel: Floats, velocity: float) -> None:
        """Move the fingers within the next step towards (2,) [m], at most at `velocity` [m/s]."""
        amount = float(np.mean(travel / self.get_range()))
        self._state.was_led(amount, self.get_joint_positions(), np.full(len(travel), _STILL))
        missing = np.clip(travel, 0.0, self.get_range()) - self.get_joint_positions()
        speed = np.clip(missing / STEP, -velocity, velocity)
        self._native.set_joint_target_velocities([float(v) for v in speed])

    def set_target(self, travel: Floats) -> None:
        """Keep the fingers where they are; `travel` (2,) [m] is reached before by `servo_to`."""
        self._native.set_joint_target_velocities([0.0] * len(self._opened))

    def get_target(self) -> Floats:
        """Return (2,) where the fingers are kept [m]: where they are."""
        return self.get_joint_positions()

    def get_range(self) -> Floats:
        """Return the fingers' (2,) travel from closed to open [m]."""
        _, intervals = self._native.get_joint_intervals()
        return np.array([upper for _, upper in intervals], float)

    def get_open_amount(self) -> Floats:
        """Return (2,) openings in [0, 1]."""
        return np.asarray(self._native.get_open_amount(), float)

    def is_open(self) -> bool:
        """Tell whether the hand is open: fingers apart, not closed on anything, holding nothing."""
        return self._state.is_open(self.get_open_amount(), bool(self._native.get_grasped_objects()))

    def get_joint_positions(self) -> Floats:
        """Return (2,) finger travel [m]."""
        return np.asarray(self._native.get_joint_positions(), float)

    def get_touch_sensor_forces(self) -> Floats:
        """Return (6,) contact force on each finger, world frame [N]."""
        return np.concatenate(
            [s.get_matrix()[:3, :3] @ np.asarray(s.native.read()[0]) for s in self._touch_sensors]
        )

    def get_grasped_objects(self) -> list[CoppeliaShape]:
        """Return the shapes that are held."""
        held = [self._graph.wrap(obj) for obj in self._native.get_grasped_objects()]
        return [obj for obj in held if isinstance(obj, CoppeliaShape)]

    def grasp(self, shape: SceneObject) -> bool:
        """Hold `shape` if the hand's sensor detects it; tell whether it is held."""
        if any(o.get_handle() == shape.get_handle() for o in self.get_grasped_objects()):
            return True
        return bool(self._native.grasp(native_of(shape)))

    def release(self) -> None:
        """Let everything go."""
        self._native.release()


def _parent_name(obj: CoppeliaObject) -> str:
    parent = obj.get_parent()
    return "" if parent is None else parent.get_name()
