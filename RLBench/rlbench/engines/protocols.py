"""Protocols that every engine implements; PyRep's method and argument names.

Positions are metres in the world frame unless `relative_to` is given; quaternions are xyzw.
Tasks, conditions and placement see only these.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.robots.robot_model import RobotModel
from pyrep_mujoco.vision.images import RenderedImages

Floats = npt.NDArray[np.float64]


@runtime_checkable
class SceneObject(Protocol):
    """Anything with a name and a pose."""

    def get_name(self) -> str:
        """Return the object's name in the scene."""

    def get_handle(self) -> int:
        """Return the integer id used in segmentation images."""

    def get_position(self, relative_to: "SceneObject | None" = None) -> Floats:
        """Return (3,) position [m]."""

    def set_position(
        self,
        position: Sequence[float],
        relative_to: "SceneObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Move the object and all its logical descendants.

        With `reset_dynamics`, here and below, all of them stop; else they move on as before.
        """

    def get_quaternion(self, relative_to: "SceneObject | None" = None) -> Floats:
        """Return (4,) quaternion xyzw."""

    def set_quaternion(
        self,
        quaternion: Sequence[float],
        relative_to: "SceneObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object and all its logical descendants."""

    def get_orientation(self, relative_to: "SceneObject | None" = None) -> Floats:
        """Return (3,) Euler angles [rad], R = Rx(a) Ry(b) Rz(c)."""

    def set_orientation(
        self,
        orientation: Sequence[float],
        relative_to: "SceneObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object to (3,) Euler angles [rad], R = Rx(a) Ry(b) Rz(c)."""

    def get_matrix(self, relative_to: "SceneObject | None" = None) -> Floats:
        """Return the (4, 4) transform object to world, or to another object's frame."""

    def set_matrix(self, matrix: Floats, relative_to: "SceneObject | None" = None) -> None:
        """Place the object and all its logical descendants at a (4, 4) transform."""

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the object's own frame [m].

        A dummy's box is that of all shapes in its tree.
        """

    def is_model(self) -> bool:
        """Tell whether the object is marked as the root of a model."""

    def placing_box(self) -> Floats:
        """Return (6,) the box that must fit where the object is placed, in its own frame [m].

        A model's is that of its whole tree; a dummy's that of its tree or, in scenes that mark
        their models, its origin alone.
        """

    def get_pose(self, relative_to: "SceneObject | None" = None) -> Floats:
        """Return (7,) position and quaternion xyzw."""

    def set_pose(
        self,
        pose: Sequence[float],
        relative_to: "SceneObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Place the object and all its logical descendants at (7,) position, quaternion xyzw."""

    def get_parent(self) -> "SceneObject | None":
        """Return the parent in the scene graph, None at the top."""

    def set_parent(self, parent_object: "SceneObject | None", keep_in_place: bool = True) -> None:
        """Change the parent in the scene graph."""

    def get_objects_in_tree(
        self,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> "list[SceneObject]":
        """Return the logical descendants, joints too.

        Args:
            object_type: the kind wanted.
            exclude_base: leave the object itself out.
            first_generation_only: leave out what hangs on one of those that are returned.
        """


@runtime_checkable
class Shape(SceneObject, Protocol):
    """A visible or solid object."""

    def set_color(self, color: Sequence[float]) -> None:
        """Paint the shape (rgb in [0, 1])."""

    def get_color(self) -> Floats:
        """Return (3,) rgb."""

    def check_collision(self, obj: "SceneObject | None" = None) -> bool:
        """Tell whether the shape touches `obj`, or anything collidable."""

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the shape."""

    def is_dynamic(self) -> bool:
        """Tell whether the shape moves freely or on a joint."""


@runtime_checkable
class Joint(SceneObject, Protocol):
    """A hinge (radians) or a slide (metres)."""

    def get_joint_position(self) -> float:
        """Return the joint's value."""

    def set_joint_position(self, position: float, disable_dynamics: bool = False) -> None:
        """Set the joint's value at once, with `disable_dynamics` also of joints that physics moves.

        MuJoCo sets it in either case.
        """

    def get_joint_interval(self) -> tuple[bool, list[float]]:
        """Return (is cyclic, [lower, upper])."""


@runtime_checkable
class Dummy(SceneObject, Protocol):
    """A named frame."""

    def get_extension_string(self) -> str:
        """Return the waypoint command, empty when there is none."""


@runtime_checkable
class ProximitySensor(SceneObject, Protocol):
    """A volume that detects surfaces of shapes and origins of dummies."""

    def is_detected(self, obj: SceneObject) -> bool:
        """Tell whether any surface point (shape) or the origin (dummy) is inside."""


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
    def joints(self) -> Sequence[Any]:
        """The joints as objects of the scene, from the base."""

    def joint_poses(self) -> Floats:
        """Return (n, 7) poses of the joints, which their own motion does not turn, as `get_pose`."""

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

    def set_joint_positions(self, q: Sequence[float]) -> None:
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

    def servo_to(self, q: Sequence[float]) -> None:
        """Move the set points within the next step towards (7,) [rad], at most at the limits."""

    def set_joint_target_velocities(self, velocities: Sequence[float]) -> None:
        """Turn the joints at (7,) [rad/s] during the next step."""

    def set_joint_torques(self, torques: Sequence[float]) -> None:
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

    def grasp(self, shape: Shape) -> bool:
        """Hold `shape` if the hand's sensor detects it; tell whether it is held."""

    def release(self) -> None:
        """Let everything go."""


class Observer(Protocol):
    """What recordings need of an engine: poses of many objects, and what cameras see."""

    def frames(self, handles: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return (N, 3) positions [m] and (N, 3, 3) rotations, object to world."""

    def poses(self, handles: npt.NDArray[np.int64]) -> Floats:
        """Return (N, 7) positions [m] and quaternions xyzw, world."""

    def visibility(
        self,
        xyz: Floats,
        owners: npt.NDArray[np.int64],
        own_reach: Floats,
        camera_positions: Floats,
        uv: Floats,
        depth: Floats,
        image_size: tuple[int, int],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Tell how each camera sees each keypoint.

        Args:
            xyz: (K, 3) keypoints [m], world.
            owners: (K,) handle of the object that each hangs on.
            own_reach: (K,) [m] that object, with all that is fixed to it, hides the keypoint
                with what is at least this far before it; infinity: with nothing.
            camera_positions: (V, 3) camera centres [m], world.
            uv: (V, K, 2) projections [px].
            depth: (V, K) distances along the cameras' z axes [m].
            image_size: (width, height) [px].

        Returns:
            (V, K) 1 seen, 0.5 inside the image but hidden, 0 outside or behind the camera;
            (V, K) handle of the object that hides the keypoint, -1 where none does.
        """

    def images(
        self,
        camera: str,
        image_size: tuple[int, int],
        rgb: bool = True,
        depth: bool = True,
        mask: bool = True,
    ) -> RenderedImages:
        """Return what a camera of the table sees.

        Args:
            camera: its name.
            image_size: (width, height) [px]; images are (height, width, ...).
            rgb: make the colour image.
            depth: make the depth image.
            mask: make the image of handles.
        """

    def close(self) -> None:
        """Free what images need."""


@runtime_checkable
class Engine(Protocol):
    """A loaded simulation with the robot and one task's scene."""

    name: str
    version: str
    robot: RobotModel

    def reset(self) -> None:
        """Bring the scene back to how it was loaded."""

    def remember_start(self) -> None:
        """Make this moment the one that `reset` brings back."""

    def part_overlaps(self) -> None:
        """Move loose things out of what they stand in, where physics would throw them out."""

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""

    def step(self) -> None:
        """Advance one observation step (50 ms)."""

    def shape(self, name: str) -> Shape:
        """Look a shape up by name."""

    def dummy(self, name: str) -> Dummy:
        """Look a dummy up by name."""

    def joint(self, name: str) -> Joint:
        """Look a joint up by name."""

    def sensor(self, name: str) -> ProximitySensor:
        """Look a proximity sensor up by name."""

    def object(self, name: str) -> SceneObject:
        """Look any object but a joint up by name."""

    def object_of_handle(self, handle: int) -> SceneObject:
        """Return the object that segmentation images show as `handle`."""

    def mask_names(self) -> dict[int, str]:
        """Return handle -> name, each its own, of all that segmentation images may show now."""

    def object_names(self) -> list[str]:
        """Return the names of all objects but joints."""

    def shapes(self) -> list[Shape]:
        """Return all shapes that are not part of the robot."""

    def task_joints(self) -> list[Joint]:
        """Return the joints that are not part of the robot."""

    def observer(self, shadows: bool = False) -> Observer:
        """Return what records this scene; `shadows` are cast in images."""

    def open_viewer(self) -> Any:
        """Return a window on the running simulation, with `sync()` and `close()`."""

    def path_points(self, name: str) -> list[Floats]:
        """Return the (4, 4) world poses of a Cartesian path; empty when `name` is none."""

    def get_state(self) -> Any:
        """Return everything `set_state` needs to bring this moment back."""

    def set_state(self, state: Any) -> None:
        """Restore a state saved by `get_state`."""
