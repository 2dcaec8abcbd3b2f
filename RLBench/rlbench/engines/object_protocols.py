"""Protocols of what a scene holds: shapes, joints, frames and sensors, by PyRep's names.

Positions are metres in the world frame unless `relative_to` is given; quaternions are xyzw.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rlbench.engines.object_types import ObjectType
from rlbench.engines.transforms import Floats

Numbers = Sequence[float] | Floats
"""A list or an array of numbers."""


class Frame(Protocol):
    """What has a pose."""

    def get_matrix(self, relative_to: "Frame | None" = None) -> Floats:
        """Return the (4, 4) transform to the world, or to another frame."""


@runtime_checkable
class SceneObject(Frame, Protocol):
    """Anything with a name and a pose."""

    def get_name(self) -> str:
        """Return the object's name in the scene."""

    def get_type(self) -> ObjectType:
        """Return the kind of object."""

    def get_handle(self) -> int:
        """Return the integer id used in segmentation images."""

    def get_position(self, relative_to: Frame | None = None) -> Floats:
        """Return (3,) position [m]."""

    def set_position(
        self,
        position: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Move the object and all its logical descendants.

        With `reset_dynamics`, here and below, all of them stop; else they move on as before.
        """

    def get_quaternion(self, relative_to: Frame | None = None) -> Floats:
        """Return (4,) quaternion xyzw."""

    def set_quaternion(
        self,
        quaternion: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object and all its logical descendants."""

    def get_orientation(self, relative_to: Frame | None = None) -> Floats:
        """Return (3,) Euler angles [rad], R = Rx(a) Ry(b) Rz(c)."""

    def set_orientation(
        self,
        orientation: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object to (3,) Euler angles [rad], R = Rx(a) Ry(b) Rz(c)."""

    def set_matrix(self, matrix: Floats, relative_to: Frame | None = None) -> None:
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

    def get_pose(self, relative_to: Frame | None = None) -> Floats:
        """Return (7,) position and quaternion xyzw."""

    def set_pose(
        self,
        pose: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Place the object and all its logical descendants at (7,) position, quaternion xyzw."""

    def get_parent(self) -> "SceneObject | None":
        """Return the parent in the scene graph, None at the top."""

    def get_objects_in_tree(
        self,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> "Sequence[SceneObject]":
        """Return the logical descendants, joints too.

        Args:
            object_type: the kind wanted.
            exclude_base: leave the object itself out.
            first_generation_only: leave out what hangs on one of those that are returned.
        """


@runtime_checkable
class Shape(SceneObject, Protocol):
    """A visible or solid object."""

    def set_color(self, color: Numbers) -> None:
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


@runtime_checkable
class WrapsObjects(Protocol):
    """An engine whose objects stand for another library's, which task files may hold."""

    def wrap(self, native: object) -> SceneObject:
        """Return the engine's own object for one of that library's."""
