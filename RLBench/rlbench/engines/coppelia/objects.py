"""Objects of a CoppeliaSim scene under this package's protocols; each wraps one of PyRep's.

PyRep's own classes differ in results: intervals as (lowest, range), boxes of single shapes only,
flags as integers.
"""

from typing import Any

import numpy as np

from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.errors import SceneError
from rlbench.engines.object_protocols import Frame, Numbers, SceneObject
from rlbench.engines.object_types import ObjectType
from rlbench.engines.transforms import Floats, box_corners, euler_to_matrix


def native_of(obj: object) -> Any:
    """Return PyRep's object of one of this engine's, None of None.

    Raises:
        SceneError: it is of another engine.
    """
    if obj is None:
        return None
    if not isinstance(obj, CoppeliaObject):
        raise SceneError(f"{obj!r} is no object of a scene of CoppeliaSim")
    return obj.native


class CoppeliaObject:
    """Anything in the scene.

    Attributes:
        native: PyRep's object.
    """

    def __init__(self, graph: "SceneGraph[CoppeliaObject]", native: Any) -> None:
        self._graph = graph
        self.native = native

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_name()!r})"

    def get_name(self) -> str:
        """Return the object's name."""
        return str(self.native.get_name())

    def get_handle(self) -> int:
        """Return CoppeliaSim's handle, the value used in segmentation images."""
        return int(self.native.get_handle())

    def get_type(self) -> ObjectType:
        """Return the kind of object."""
        return ObjectType(self.native.get_type().value)

    def get_extension_string(self) -> str:
        """Return the command string, empty when there is none."""
        return str(self.native.get_extension_string())

    # ---- poses --------------------------------------------------------------------------

    def get_matrix(self, relative_to: Frame | None = None) -> Floats:
        """Return the (4, 4) transform to the world or to another object's frame."""
        return np.asarray(self.native.get_matrix(native_of(relative_to)), float)

    def set_matrix(self, matrix: Floats, relative_to: Frame | None = None) -> None:
        """Place the object and its descendants; velocities become zero."""
        self._reset_dynamics()
        self.native.set_matrix(np.asarray(matrix, float), native_of(relative_to))

    def get_position(self, relative_to: Frame | None = None) -> Floats:
        """Return (3,) position [m]."""
        return np.asarray(self.native.get_position(native_of(relative_to)), float)

    def set_position(
        self,
        position: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Move the object, keeping its rotation in the world."""
        self.native.set_position(_list(position), native_of(relative_to), reset_dynamics)

    def get_quaternion(self, relative_to: Frame | None = None) -> Floats:
        """Return (4,) quaternion xyzw."""
        return np.asarray(self.native.get_quaternion(native_of(relative_to)), float)

    def set_quaternion(
        self,
        quaternion: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place, quaternion xyzw."""
        self.native.set_quaternion(_list(quaternion), native_of(relative_to), reset_dynamics)

    def get_orientation(self, relative_to: Frame | None = None) -> Floats:
        """Return (3,) Euler angles [rad]."""
        return np.asarray(self.native.get_orientation(native_of(relative_to)), float)

    def set_orientation(
        self,
        orientation: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place to (3,) Euler angles [rad]."""
        self.native.set_orientation(_list(orientation), native_of(relative_to), reset_dynamics)

    def rotate(self, rotation: Numbers) -> None:
        """Turn the object in its own frame by (3,) Euler angles [rad]."""
        T = self.get_matrix()
        T[:3, :3] = T[:3, :3] @ euler_to_matrix(np.asarray(rotation, float))
        self.set_matrix(T)

    def get_pose(self, relative_to: Frame | None = None) -> Floats:
        """Return (7,) position and quaternion xyzw."""
        return np.asarray(self.native.get_pose(native_of(relative_to)), float)

    def set_pose(
        self,
        pose: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Place the object at (7,) position and quaternion xyzw."""
        self.native.set_pose(_list(pose), native_of(relative_to), reset_dynamics)

    def _reset_dynamics(self) -> None:
        for obj in self.get_objects_in_tree(exclude_base=False):
            obj.native.reset_dynamic_object()

    # ---- scene graph --------------------------------------------------------------------

    def get_parent(self) -> "CoppeliaObject | None":
        """Return the parent in the scene graph, None at the top."""
        parent = self.native.get_parent()
        return None if parent is None else self._graph.wrap(parent)

    def set_parent(
        self, parent_object: "CoppeliaObject | None", keep_in_place: bool = True
    ) -> None:
        """Change the parent in the scene graph.

        Raises:
            SceneError: the graph would become a cycle.
        """
        tree = {obj.get_handle() for obj in self.get_objects_in_tree(exclude_base=False)}
        if parent_object is not None and parent_object.get_handle() in tree:
            raise SceneError(f"{self.get_name()} cannot become a child of its own descendant")
        self.native.set_parent(native_of(parent_object), keep_in_place)

    def get_objects_in_tree(
        self,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> "list[CoppeliaObject]":
        """Return the descendants; see `object_protocols.SceneObject`."""
        kind = self._graph.api.const.ObjectType(object_type.value)
        return self._graph.tree(
            self.native,
            object_type=kind,
            exclude_base=exclude_base,
            first_generation_only=first_generation_only,
        )

    def get_bounding_box(self) -> Floats:
        """Return (6,) box of every shape in the object's tree, in the object's frame [m]."""
        corners = []
        for obj in self.get_objects_in_tree(exclude_base=False):
            if isinstance(obj, CoppeliaShape):
                T = obj.get_matrix(self)
                corners.append(box_corners(obj.get_bounding_box()) @ T[:3, :3].T + T[:3, 3])
        points = np.concatenate(corners) if corners else np.zeros((1, 3))
        return np.stack([points.min(0), points.max(0)], axis=1).reshape(6)

    def is_model(self) -> bool:
        """Tell whether the object is the root of a model."""
        return bool(self.native.is_model())

    def placing_box(self) -> Floats:
        """Return (6,) the box that must fit where the object is placed [m]."""
        if self.is_model():
            return np.asarray(self.native.get_model_bounding_box(), float)
        return self.get_bounding_box()


def _list(values: Numbers) -> list[float]:
    return [float(v) for v in values]


class CoppeliaDummy(CoppeliaObject):
    """A named frame: a dummy, or a Cartesian path."""


class CoppeliaShape(CoppeliaObject):
    """A visible or solid object. What an episode changes of it is undone by the next reset."""

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the shape's own frame [m]."""
        return np.asarray(self.native.get_bounding_box(), float)

    def set_color(self, color: Numbers) -> None:
        """Paint the shape (rgb in [0, 1])."""
        before = list(self.native.get_color())
        self._graph.remember(self.get_handle(), "color", lambda: self.native.set_color(before))
        self.native.set_color(_list(color))

    def get_color(self) -> Floats:
        """Return (3,) rgb."""
        return np.asarray(self.native.get_color(), float)

    def set_transparency(self, value: float) -> None:
        """Set opacity (1 = opaque), PyRep's sense."""
        self._remember_flag("transparency")
        self.native.set_transparency(float(value))
        self._graph.opacity[self.get_handle()] = float(value)

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the shape."""
        return bool(self.native.is_collidable())

    def set_collidable(self, value: bool) -> None:
        """Say whether motion planning must avoid the shape."""
        self._remember_flag("collidable")
        self.native.set_collidable(value)

    def is_detectable(self) -> bool:
        """Tell whether proximity sensors react to the shape."""
        return bool(self.native.is_detectable())

    def is_renderable(self) -> bool:
        """Tell whether cameras show the shape."""
        return bool(self.native.is_renderable())

    def set_renderable(self, value: bool) -> None:
        """Say whether cameras show the shape."""
        self._remember_flag("renderable")
        self.native.set_renderable(value)

    def is_respondable(self) -> bool:
        """Tell whether other bodies collide with the shape."""
        return bool(self.native.is_respondable())

    def is_dynamic(self) -> bool:
        """Tell whether the shape moves freely or on a joint."""
        return bool(self.native.is_dynamic())

    def set_dynamic(self, value: bool) -> None:
        """Say whether the shape moves."""
        self._remember_flag("dynamic")
        self.native.set_dynamic(value)

    def _remember_flag(self, what: str) -> None:
        getter = "get_" if what == "transparency" else "is_"
        before = getattr(self.native, f"{getter}{what}")()

        def undo() -> None:
            getattr(self.native, f"set_{what}")(before)
            if what == "transparency":
                self._graph.opacity.pop(self.get_handle(), None)

        self._graph.remember(self.get_handle(), what, undo)

    def check_collision(self, obj: SceneObject | None = None) -> bool:
        """Tell whether the shape touches `obj`'s tree, or any shape; collidable ones only."""
        mine = {o.get_handle() for o in self.get_objects_in_tree(exclude_base=False)}
        others = self._graph.not_robot() if obj is None else self._graph.tree(native_of(obj))
        return any(
            bool(self.native.check_collision(other.native))
            for other in others
            if isinstance(other, CoppeliaShape)
            and other.get_handle() not in mine
            and other.is_collidable()
        )


class CoppeliaJoint(CoppeliaObject):
    """A hinge (radians) or a slide (metres)."""

    def get_joint_position(self) -> float:
        """Return the value [rad or m]."""
        return float(self.native.get_joint_position())

    def set_joint_position(self, position: float, disable_dynamics: bool = False) -> None:
        """Set the value [rad or m]; with `disable_dynamics` two steps of 50 ms pass meanwhile."""
        self.native.set_joint_position(float(position), disable_dynamics)

    def get_joint_interval(self) -> tuple[bool, list[float]]:
        """Return (is cyclic, [lower, upper])."""
        is_cyclic, (lower, extent) = self.native.get_joint_interval()
        return bool(is_cyclic), [float(lower), float(lower + extent)]


class CoppeliaProximitySensor(CoppeliaObject):
    """A volume that detects; CoppeliaSim decides what is inside."""

    def is_detected(self, obj: SceneObject) -> bool:
        """Tell whether the sensor detects a shape or a dummy."""
        return bool(self.native.is_detected(native_of(obj)))


_CLASSES: dict[str, type[CoppeliaObject]] = {
    "SHAPE": CoppeliaShape,
    "JOINT": CoppeliaJoint,
    "DUMMY": CoppeliaDummy,
    "PATH": CoppeliaDummy,
    "PROXIMITY_SENSOR": CoppeliaProximitySensor,
}


def wrapped(graph: SceneGraph[CoppeliaObject], native: Any) -> CoppeliaObject:
    """Return an object of this package for one of PyRep's."""
    return _CLASSES.get(native.get_type().name, CoppeliaObject)(graph, native)
