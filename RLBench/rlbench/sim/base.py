"""Protocols that every engine implements; PyRep's method and argument names.

Positions are metres in the world frame unless `relative_to` is given; quaternions are xyzw.
Tasks, conditions and placement see only these.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

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
        """Move the object and all its logical descendants."""

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

    def set_parent(self, parent: "SceneObject | None", keep_in_place: bool = True) -> None:
        """Change the parent in the scene graph."""

    def get_objects_in_tree(self, exclude_base: bool = False) -> "list[SceneObject]":
        """Return this object and its logical descendants."""


@runtime_checkable
class Shape(SceneObject, Protocol):
    """A visible or solid object."""

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the object's own frame [m]."""

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

    def set_joint_position(self, position: float, disable_dynamics: bool = True) -> None:
        """Set the joint's value at once."""

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
class Engine(Protocol):
    """A loaded simulation with the robot and one task's scene."""

    name: str

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

    def get_state(self) -> Any:
        """Return everything `set_state` needs to bring this moment back."""

    def set_state(self, state: Any) -> None:
        """Restore a state saved by `get_state`."""
