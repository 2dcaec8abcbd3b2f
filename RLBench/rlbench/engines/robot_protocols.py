"""Protocols of the robot: its arm, its hand, and what is known of it beside its scene.

Poses of the tip are (4, 4) transforms tip to world [m].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from rlbench.engines.cameras import CameraSpec
from rlbench.engines.object_protocols import Dummy, Numbers, SceneObject, Shape
from rlbench.engines.transforms import Floats


class RobotModel(Protocol):
    """Names of a robot's parts, and its cameras."""

    @property
    def root(self) -> str:
        """Name of the body that everything of the robot hangs on."""

    @property
    def tip(self) -> str:
        """Name of the frame that reaches waypoints."""

    @property
    def hand(self) -> str:
        """Name of the body that held objects hang on."""

    @property
    def fingers(self) -> tuple[str, ...]:
        """Names of the fingers' bodies; of two the left one comes first."""

    def mounted(self, camera: CameraSpec) -> CameraSpec:
        """Return a camera of the table as it is on this robot."""

    def owns(self, object_name: str) -> bool:
        """Tell whether an object of this name is a part of the robot."""


class ArmPath(Protocol):
    """A timed way of the arm."""

    def step(self) -> bool:
        """Command the next observation step; True when the way is done."""

    def shortened(self, distance: float) -> "ArmPath | None":
        """Return the way, not begun, without the tip's last `distance` [m]; None: it cannot be."""

    def stay(self) -> None:
        """Command one more step at the way's end, with what the hand carries now."""

    def settle(self) -> bool:
        """Command one more step at the way's end; True once the arm stands there, or is stopped."""


class Arm(Protocol):
    """A serial arm with a tip."""

    @property
    def joints(self) -> Sequence[object]:
        """The joints as objects of the scene, PyRep's own on CoppeliaSim, from the base."""

    def joint_poses(self) -> Floats:
        """Return (n, 7) poses of the joints; a joint's own motion does not turn its pose."""

    def get_joint_target_positions(self) -> Floats:
        """Return (7,) what was commanded last [rad]."""

    def get_tip(self) -> Dummy:
        """Return the frame that reaches waypoints."""

    def get_joint_positions(self) -> Floats:
        """Return (7,) [rad]."""

    def get_joint_velocities(self) -> Floats:
        """Return (7,) [rad/s]."""

    def get_joint_forces(self) -> Floats:
        """Return (7,) [N m]."""

    def set_joint_positions(self, q: Numbers) -> None:
        """Put the arm at (7,) [rad] at once, at rest."""

    def home(self) -> None:
        """Put the arm at its saved pose."""

    def touched_shapes(self) -> list[str]:
        """Return the names of collidable shapes that the arm touches where it is."""

    def can_reach(self, T_world_goal: Floats, rng: np.random.Generator) -> bool:
        """Tell whether some joint values put the tip at a (4, 4) pose (collisions ignored)."""

    def can_follow(self, poses: Sequence[Floats], rng: np.random.Generator) -> bool:
        """Tell whether some arm pose at the first of (4, 4) tip poses leads through all others."""

    def preview(self, poses: Sequence[Floats]) -> list[Floats]:
        """Return a few (4, 4) poses of a path, for the `following` of plans that lead to it."""

    def plan(
        self,
        T_world_goal: Floats,
        rng: np.random.Generator,
        ignore_collisions: bool = False,
        linear_only: bool = False,
        following: Sequence[Floats] = (),
    ) -> ArmPath:
        """Find a way of the tip to a (4, 4) pose: straight if it is free, else planned.

        Raises:
            ConfigurationPathError: there is none.
        """

    def plan_along(self, poses: Sequence[Floats]) -> ArmPath:
        """Follow (4, 4) tip poses one after the other in straight lines; collisions ignored.

        Raises:
            ConfigurationPathError: the arm cannot.
        """


@runtime_checkable
class ServoArm(Arm, Protocol):
    """An arm whose joints take commands step by step, as action modes give them."""

    max_velocity: Floats

    def servo_to(self, q: Numbers) -> None:
        """Move the set points within the next step towards (7,) [rad], at most at the limits."""

    def set_joint_target_velocities(self, velocities: Numbers) -> None:
        """Turn the joints at (7,) [rad/s] during the next step."""

    def set_joint_torques(self, torques: Numbers) -> None:
        """Drive the joints with (7,) [N m] until `hold`, gravity compensated."""

    def hold(self) -> None:
        """Keep the last set points, or the present pose after torques."""

    def get_joint_targets(self) -> Floats:
        """Return (7,) set points [rad]."""

    def joint_limits(self) -> tuple[Floats, Floats]:
        """Return (7,) lower and (7,) upper limits [rad]."""

    def torque_limits(self) -> Floats:
        """Return (7,) the motors' greatest torques [N m]."""

    def joints_for(self, T_world_goal: Floats, locked: Mapping[int, float] | None = None) -> Floats:
        """Return (7,) [rad] at a (4, 4) tip pose, near the present; some joints at given values.

        Raises:
            IKError: none was found.
        """

    def plan_to(self, q: Floats, ignore_collisions: bool = True) -> ArmPath:
        """Move all joints in proportion to (7,) [rad].

        Raises:
            ConfigurationPathError: something is in the way.
        """


@runtime_checkable
class LimitedArm(ServoArm, Protocol):
    """An arm whose planned ways keep to limits that may be lowered."""

    max_acceleration: Floats


class Gripper(Protocol):
    """N fingers and what they hold; travel is in [rad] where fingers turn."""

    def reset(self) -> None:
        """Open fully and hold nothing."""

    def actuate(self, amount: float, velocity: float) -> bool:
        """Move one observation step towards an opening in [0, 1]; True when done or stalled."""

    def get_open_amount(self) -> Floats:
        """Return (N,) openings in [0, 1]."""

    def is_open(self) -> bool:
        """Tell whether the hand is open: fingers apart, not closed on anything, holding nothing."""

    def get_joint_positions(self) -> Floats:
        """Return (N,) finger travel [m]."""

    def get_touch_sensor_forces(self) -> Floats:
        """Return (3 N,) contact force on each finger, world frame [N]."""

    def get_grasped_objects(self) -> Sequence[Shape]:
        """Return the shapes that are held."""

    def servo_to(self, travel: Floats, velocity: float) -> None:
        """Move the fingers within the next step towards (N,) [m], at most at `velocity` [m/s].

        The speed is the Panda's; fingers of another travel move in proportion to it.
        """

    def set_target(self, travel: Floats) -> None:
        """Keep the fingers at (N,) [m]."""

    def get_target(self) -> Floats:
        """Return (N,) where the fingers are kept [m]."""

    def get_range(self) -> Floats:
        """Return the fingers' (N,) travel from closed to open [m]."""

    def grasp(self, shape: SceneObject) -> bool:
        """Hold `shape` if the hand's sensor detects it; tell whether it is held."""

    def release(self) -> None:
        """Let everything go."""


@dataclass(frozen=True)
class Robot:
    """An arm with a gripper."""

    arm: Arm
    gripper: Gripper
