"""PyRep's classes of objects: calling one looks an object of the current scene up by its name.

`Shape("cup")` is the engine's own object, so conditions, boundaries and engines need no wrapping;
`isinstance(obj, Shape)` tells its kind.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rlbench.backend.exceptions import SceneError, WrongObjectTypeError
from rlbench.backend.pyrep_names.scene_context import current_engine
from rlbench.engines import transforms as tf
from rlbench.engines.object_types import ObjectType, PrimitiveShape
from rlbench.engines.shape_making import (
    Form,
    MakesShapes,
    ShapeEditor,
    mesh_form,
    primitive_form,
    read_obj,
)

STATIC_MASS = 1.0
on_lookup: list[Callable[[str, ObjectType | None], Any]] = []
"""Called with name and kind of each look-up; what is not None stands in for the object."""


def find(name_or_handle: str | int, kind: ObjectType | None) -> Any:
    """Return an object of the current scene.

    Args:
        name_or_handle: its name, or the handle that `get_handle` gave.
        kind: what it must be, None for any.

    Raises:
        SceneError: there is none.
        WrongObjectTypeError: it is of another kind.
    """
    engine = current_engine()
    if isinstance(name_or_handle, int):
        found: Any = engine.object_of_handle(name_or_handle)
    else:
        for hook in on_lookup:
            instead = hook(name_or_handle, kind)
            if instead is not None:
                return instead
        found = by_name(name_or_handle, kind)
    if kind is not None and found.get_type() != kind:
        raise WrongObjectTypeError(
            f"object {found.get_name()!r} is a {_word(found.get_type())}, not a {_word(kind)}"
        )
    return found


def _word(kind: ObjectType) -> str:
    return kind.name.lower().replace("_", " ")


def by_name(name: str, kind: ObjectType | None) -> Any:
    """Return an object of the current scene; `kind` says where to look for one that is not there.

    Raises:
        SceneError: there is none.
    """
    engine = current_engine()
    joints = {joint.get_name() for joint in engine.task_joints()}
    if name in joints or (kind == ObjectType.JOINT and not engine.has(name)):
        return engine.joint(name)
    if not engine.has(name) and kind is not None:
        lookups = {
            ObjectType.SHAPE: engine.shape,
            ObjectType.DUMMY: engine.dummy,
            ObjectType.PROXIMITY_SENSOR: engine.sensor,
        }
        return lookups.get(kind, engine.object)(name)
    return engine.object(name)


def exists(name: str) -> bool:
    """Tell whether the current scene has an object of that name."""
    engine = current_engine()
    return engine.has(name) or any(joint.get_name() == name for joint in engine.task_joints())


class _Kind(type):
    """Makes calling a class a look-up."""

    kind: ObjectType | None

    def __call__(cls, name_or_handle: str | int) -> Any:
        return find(name_or_handle, cls.kind)

    def __instancecheck__(cls, instance: object) -> bool:
        get_type = getattr(instance, "get_type", None)
        return get_type is not None and cls.kind in {None, get_type()}


class Object(metaclass=_Kind):
    """Anything in the scene."""

    kind: ClassVar[ObjectType | None] = None

    @staticmethod
    def exists(name: str) -> bool:
        """Tell whether the current scene has an object of that name."""
        return exists(name)

    @staticmethod
    def get_object(name_or_handle: str | int) -> Any:
        """Return an object of any kind."""
        return find(name_or_handle, None)

    @staticmethod
    def get_object_type(name: str) -> ObjectType:
        """Return the kind of an object."""
        found: ObjectType = find(name, None).get_type()
        return found

    @staticmethod
    def get_object_name(name_or_handle: str | int) -> str:
        """Return the name of a handle."""
        return str(find(name_or_handle, None).get_name())


class Dummy(Object):
    """A named frame."""

    kind = ObjectType.DUMMY

    @staticmethod
    def create(size: float = 0.01) -> Any:
        """Make a frame at the world's origin; `size` is without effect."""
        return _editor("Dummy.create").make_frame("Dummy", np.eye(4))


class Joint(Object):
    """A hinge or a slide."""

    kind = ObjectType.JOINT


class ProximitySensor(Object):
    """A volume that detects."""

    kind = ObjectType.PROXIMITY_SENSOR


class ForceSensor(Object):
    """A rigid joint that tells what it carries."""

    kind = ObjectType.FORCE_SENSOR


class CartesianPath(Object):
    """A path of the tip."""

    kind = ObjectType.PATH


class VisionSensor(Object):
    """A camera that is an object of the task's scene; images come from observations."""

    kind = ObjectType.VISION_SENSOR


class Camera(Object):
    """A view of CoppeliaSim's window."""

    kind = ObjectType.CAMERA


class Light(Object):
    """A lamp."""

    kind = ObjectType.LIGHT


class Octree(Object):
    """Occupied space; no scene has one here."""

    kind = ObjectType.OCTREE


class Shape(Object):
    """A visible or solid object."""

    kind = ObjectType.SHAPE

    @staticmethod
    def create(  # noqa: PLR0913, PLR0917 - PyRep's arguments
        type: PrimitiveShape,
        size: Sequence[float],
        mass: float = 1.0,
        backface_culling: bool = False,
        visible_edges: bool = False,
        smooth: bool = False,
        respondable: bool = True,
        static: bool = False,
        renderable: bool = True,
        position: Sequence[float] | None = None,
        orientation: Sequence[float] | None = None,
        color: Sequence[float] | None = None,
    ) -> Any:
        """Make a primitive.

        Args:
            type: its form.
            size: (3,) full side lengths [m].
            mass: [kg].
            backface_culling: without effect.
            visible_edges: without effect.
            smooth: without effect.
            respondable: other bodies collide with it.
            static: physics does not move it.
            renderable: cameras show it.
            position: (3,) [m], world; default the origin.
            orientation: (3,) Euler angles [rad].
            color: rgb in [0, 1].
        """
        if not isinstance(type, PrimitiveShape):
            raise SceneError(f"Shape.create: type must be a PrimitiveShape, found {type!r}")
        names = {PrimitiveShape.CUBOID: "Cuboid", PrimitiveShape.SPHERE: "Sphere"}
        names |= {PrimitiveShape.CYLINDER: "Cylinder", PrimitiveShape.CONE: "Cone"}
        T = tf.transform(np.zeros(3), np.eye(3))
        T[:3, 3] = 0.0 if position is None else position
        if orientation is not None:
            T[:3, :3] = tf.euler_to_matrix(np.asarray(orientation, float))
        form = primitive_form(type, size, not static, float(mass))
        shape = _editor("Shape.create").make(names[type], form, T)
        shape.set_respondable(respondable)
        shape.set_renderable(renderable)
        if color is not None:
            shape.set_color(color)
        return shape

    @staticmethod
    def import_mesh(filename: str, scaling_factor: float = 1.0, *_: Any, **__: Any) -> Any:
        """Make a static shape from an `.obj` file, which collides as the hulls of its parts.

        Raises:
            SceneError: the file cannot be read.
        """
        parts = [(v * scaling_factor, faces) for v, faces in read_obj(Path(filename))]
        return _from_parts(parts)

    import_shape = import_mesh

    @staticmethod
    def create_mesh(vertices: Sequence[float], indices: Sequence[int], *_: Any, **__: Any) -> Any:
        """Make a static shape of (3 N,) coordinates [m] and (3 M,) indices."""
        points = np.asarray(vertices, float).reshape(-1, 3)
        return _from_parts([(points, np.asarray(indices, int).reshape(-1, 3))])


def _from_parts(parts: list[tuple[np.ndarray, np.ndarray]]) -> Any:
    """Make a shape whose frame is at the middle of its box, world aligned."""
    points = np.concatenate([vertices for vertices, _ in parts])
    middle = (points.min(0) + points.max(0)) / 2
    form: Form = mesh_form([(v - middle, f) for v, f in parts], False, STATIC_MASS)
    shape = _editor("Shape").make("Shape", form, tf.transform(middle, np.eye(3)))
    shape.set_respondable(False)
    return shape


def _editor(what: str) -> ShapeEditor:
    engine = current_engine()
    if not isinstance(engine, MakesShapes):
        raise SceneError(f"{what}: engine {engine.name} makes shapes through PyRep itself")
    return engine.editor
