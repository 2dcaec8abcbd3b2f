"""Objects of the scene: what all kinds have in common."""

import operator
import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pyrep.const import ObjectType
from pyrep.errors import ObjectIsNotModelError, WrongObjectTypeError
from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.configuration import save_tree
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.files.export import export
from pyrep_mujoco.session.kinds import type_number
from pyrep_mujoco.session.objects import flags, scaling, shapes, touching
from pyrep_mujoco.ttm.reading.model import (
    COLLIDABLE,
    DETECTABLE,
    MEASURABLE,
    RENDERABLE,
)

Floats: TypeAlias = npt.NDArray[np.float64]
Numbers: TypeAlias = Sequence[float] | npt.NDArray[Any]

object_type_to_class: dict[ObjectType, Any] = {}
"""The class of each kind of object."""

NOT_COLLIDABLE, NOT_MEASURABLE, NOT_RENDERABLE, NOT_DETECTABLE = 1, 2, 4, 8
NOT_DYNAMIC, NOT_RESPONDABLE = 32, 64
_ROUNDING = 1e-6
"""Matrices are rotations up to here."""


class Object:
    """An object of the scene.

    Poses are in metres and radians; quaternions are x, y, z, w; frames are those of the world where
    no other object is given.
    """

    def __init__(self, name_or_handle: str | int) -> None:
        """Look an object up.

        Raises:
            TypeError: neither a name nor a whole number was given.
            PyRepError: there is none of that name or handle.
            WrongObjectTypeError: it is of another kind.
        """
        session = current()
        if isinstance(name_or_handle, str):
            self._handle = session.handle(name_or_handle)
        else:
            self._handle = operator.index(name_or_handle)
        wanted, actual = self._get_requested_type(), self.get_type()
        if actual != wanted:
            raise WrongObjectTypeError(
                f"{session.document.label}: {self.get_name()!r} is of type {actual.name}; "
                f"{type(self).__name__} asks for {wanted.name}"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Object):
            raise NotImplementedError
        return self.get_handle() == other.get_handle()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._handle})"

    # ---- look-up ------------------------------------------------------------------------

    @staticmethod
    def exists(name: str) -> bool:
        """Tell whether an object has a name; `name@alt` means an alternative name."""
        try:
            current().handle(name)
        except CallError:
            return False
        return True

    @staticmethod
    def get_object_type(name: str) -> ObjectType:
        """Return the kind of a named object."""
        session = current()
        return ObjectType(type_number(session.need(session.handle(name))))

    @staticmethod
    def get_object_name(name_or_handle: str | int) -> str:
        """Return the name of an object."""
        if isinstance(name_or_handle, str):
            return name_or_handle
        return current().document.name_of(int(name_or_handle))

    @staticmethod
    def get_object(name_or_handle: str | int) -> "Object":
        """Return an object as what it is."""
        session = current()
        is_name = isinstance(name_or_handle, str)
        handle = session.handle(str(name_or_handle)) if is_name else int(name_or_handle)
        return to_type(handle)

    def _get_requested_type(self) -> ObjectType:
        """Return the kind that this class stands for."""
        raise NotImplementedError("Must be overridden.")

    def get_type(self) -> ObjectType:
        """Return the kind of the object."""
        return ObjectType(type_number(current().need(self._handle)))

    def get_handle(self) -> int:
        """Return the object's number, which it keeps as long as it is in the scene."""
        return self._handle

    def still_exists(self) -> bool:
        """Tell whether the object is in the scene."""
        return current().still_exists(self._handle)

    def get_name(self) -> str:
        """Return the name, empty where the object is gone."""
        return current().document.name_of(self._handle)

    def set_name(self, name: str) -> None:
        """Give the object another name.

        Raises:
            PyRepError: it is taken.
        """
        current().document.rename(self._handle, name)

    # ---- size ---------------------------------------------------------------------------

    def scale_object(self, scale_x: float, scale_y: float, scale_z: float) -> None:
        """Scale the object along its axes; further calls scale what it then is."""
        scaling.scale(current(), self._handle, (scale_x, scale_y, scale_z))

    def get_size_factor(self) -> float:
        """Return by how much the object was scaled so far."""
        return self._settings().get("size_factor", 1.0)

    # ---- pose ---------------------------------------------------------------------------

    def get_position(self, relative_to: "Object | None" = None) -> Floats:
        """Return (3,) position [m]."""
        return self.get_matrix(relative_to)[:3, 3].copy()

    def set_position(
        self,
        position: Numbers,
        relative_to: "Object | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Move the object to (3,) [m].

        Args:
            position: (3,) [m].
            relative_to: in whose frame; None: the world's.
            reset_dynamics: bring what is in the object's tree to rest.
        """
        self._reset_tree(reset_dynamics)
        current().set_position(self._handle, _floats(position, 3), _handle(relative_to))

    def get_orientation(self, relative_to: "Object | None" = None) -> Floats:
        """Return (3,) Euler angles [rad]."""
        return tf.matrix_to_euler(self.get_matrix(relative_to)[:3, :3])

    def set_orientation(
        self,
        orientation: Numbers,
        relative_to: "Object | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place to (3,) Euler angles [rad]; see `set_position`."""
        self._reset_tree(reset_dynamics)
        R = tf.euler_to_matrix(_floats(orientation, 3))
        current().set_rotation(self._handle, R, _handle(relative_to))

    def get_quaternion(self, relative_to: "Object | None" = None) -> Floats:
        """Return (4,) quaternion x, y, z, w."""
        return self.get_pose(relative_to)[3:]

    def set_quaternion(
        self,
        quaternion: Numbers,
        relative_to: "Object | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place to (4,) x, y, z, w, of any length; see `set_position`."""
        self._reset_tree(reset_dynamics)
        R = tf.quat_wxyz_to_matrix(tf.xyzw_to_wxyz(_quaternion(quaternion)))
        current().set_rotation(self._handle, R, _handle(relative_to))

    def get_pose(self, relative_to: "Object | None" = None) -> Floats:
        """Return (7,) position and quaternion x, y, z, w."""
        T = self.get_matrix(relative_to)
        w, x, y, z = tf.quick_quat_wxyz(T[:3, :3])
        return np.array([*T[:3, 3], x, y, z, w])

    def set_pose(
        self,
        pose: Numbers,
        relative_to: "Object | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Put the object at (7,) position and quaternion x, y, z, w; see `set_position`."""
        self._reset_tree(reset_dynamics)
        numbers = _floats(pose, 7)
        _quaternion(numbers[3:])
        current().set_matrix(self._handle, tf.pose_to_transform(numbers), _handle(relative_to))

    def get_matrix(self, relative_to: "Object | None" = None) -> Floats:
        """Return the (4, 4) transform to the world, or to another object."""
        return current().matrix(self._handle, _handle(relative_to))

    def set_matrix(self, matrix: npt.NDArray[Any], relative_to: "Object | None" = None) -> None:
        """Put the object at a (4, 4) transform.

        Of its upper left (3, 3) only the turning counts: the nearest rotation is taken.

        Raises:
            ValueError: it is no such array, or mirrors or flattens things.
        """
        if not isinstance(matrix, np.ndarray) or matrix.shape not in ((4, 4), (3, 4)):
            raise ValueError("Expected Numpy 4x4 array.")
        T = np.eye(4)
        T[:3] = matrix[:3]
        T[:3, :3] = _rotation(T[:3, :3])
        current().set_matrix(self._handle, T, _handle(relative_to))

    def rotate(self, rotation: Numbers) -> None:
        """Turn the object about its own z, then y, then x axis as they are now (3,) [rad]."""
        R = self.get_matrix()[:3, :3] @ tf.euler_to_matrix(_floats(rotation, 3))
        current().set_rotation(self._handle, R)

    def get_velocity(self) -> tuple[Floats, Floats]:
        """Return (3,) velocity [m/s] and (3,) angular velocity [rad/s], world axes."""
        return current().velocity(self._handle)

    def reset_dynamic_object(self) -> None:
        """Bring the object to rest."""
        current().need(self._handle)
        current().physics.stop(self._handle)

    def _reset_tree(self, reset_dynamics: bool) -> None:
        if reset_dynamics:
            current().stop_motion(self._handle)

    # ---- tree ---------------------------------------------------------------------------

    def get_parent(self) -> "Object | None":
        """Return what the object hangs on, None at the top."""
        parent = current().need(self._handle).parent
        return None if parent is None else to_type(parent)

    def set_parent(self, parent_object: "Object | None", keep_in_place: bool = True) -> None:
        """Hang the object on another, or on nothing.

        Args:
            parent_object: None for nothing.
            keep_in_place: it stays where it is; else its pose in its parent's frame stays.
        """
        current().hang(self._handle, _handle(parent_object), keep_in_place)

    def get_objects_in_tree(self, *args: Any, **kwargs: Any) -> "list[Object]":
        """Return what hangs on the object; arguments as of `PyRep.get_objects_in_tree`."""
        return self._get_objects_in_tree(self._handle, *args, **kwargs)

    @staticmethod
    def _get_objects_in_tree(
        root_object: "Object | int | None" = None,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> "list[Object]":
        if isinstance(root_object, Object):
            root = root_object.get_handle()
        elif root_object is None or isinstance(root_object, int):
            root = root_object  # type: ignore[assignment]
        else:
            raise ValueError("root_object must be None, int or Object")
        session = current()
        found = session.in_tree(
            root, exclude_base=exclude_base, first_generation_only=first_generation_only
        )
        out = []
        for handle in found:
            number = type_number(session.need(handle))
            if object_type != ObjectType.ALL and number != object_type.value:
                continue
            try:
                out.append(to_type(handle))
            except ValueError:
                name = session.document.name_of(handle)
                warnings.warn(
                    f"Object ({handle}, {name!r}) has {ObjectType(number)}, which is not supported",
                    stacklevel=3,
                )
        return out

    def copy(self) -> "Object":
        """Copy the object, and nothing that hangs on it."""
        return type(self)(current().copy(self._handle, whole_model=False))

    def remove(self) -> None:
        """Take the object out of the scene, and all that hangs on it where it is a model.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
        """
        current().remove(self._handle)

    # ---- what touches -------------------------------------------------------------------

    def get_contact(
        self, contact_obj: "Object | None" = None, get_contact_normal: bool = True
    ) -> list[Any]:
        """Return contacts with another object, or with all.

        Args:
            contact_obj: None for all.
            get_contact_normal: tell the normal too.

        Returns:
            Of each `contact`: point, force and normal; and `contact_handles`.
        """
        found: list[Any] = list(touching.contacts(current(), self._handle))
        if not get_contact_normal:
            found = [{**each, "contact": each["contact"][:6]} for each in found]
        if contact_obj is None:
            return found
        return [each for each in found if contact_obj.get_handle() in each["contact_handles"]]

    def check_collision(self, obj: "Object | None" = None) -> bool:
        """Tell whether the object intersects another, or any other collidable one."""
        return touching.check_collision(current(), self._handle, _handle(obj))

    def check_distance(self, other: "Object") -> float:
        """Return the distance to another object [m]."""
        return touching.distance(current(), self._handle, other.get_handle())

    # ---- boxes and texts ----------------------------------------------------------------

    def get_bounding_box(self) -> list[float]:
        """Return xmin, xmax, ymin, ymax, zmin, zmax in the object's frame [m]."""
        return [float(v) for v in flags.bounding_box(current(), self._handle)]

    def get_model_bounding_box(self) -> list[float]:
        """Return the same of all shapes of a model.

        Raises:
            ObjectIsNotModelError: the object is no model.
        """
        self._check_model()
        return [float(v) for v in flags.model_bounding_box(current(), self._handle)]

    def get_extension_string(self) -> str:
        """Return the text that the scene's maker gave the object."""
        return current().need(self._handle).extension

    def get_configuration_tree(self) -> bytes:
        """Return where everything in the object's tree is, for `PyRep.set_configuration_tree`."""
        return save_tree(current(), self._handle)

    # ---- flags --------------------------------------------------------------------------

    def is_collidable(self) -> bool:
        """Tell whether the object is collidable."""
        return flags.has(current(), self._handle, COLLIDABLE)

    def set_collidable(self, value: bool) -> None:
        """Make the object collidable, or not."""
        flags.give(current(), self._handle, COLLIDABLE, value)

    def is_measurable(self) -> bool:
        """Tell whether the object is measurable."""
        return flags.has(current(), self._handle, MEASURABLE)

    def set_measurable(self, value: bool) -> None:
        """Make the object measurable, or not."""
        flags.give(current(), self._handle, MEASURABLE, value)

    def is_detectable(self) -> bool:
        """Tell whether proximity sensors react to the object."""
        return flags.has(current(), self._handle, DETECTABLE)

    def set_detectable(self, value: bool) -> None:
        """Let proximity sensors react to the object, or not."""
        flags.give(current(), self._handle, DETECTABLE, value)

    def is_renderable(self) -> bool:
        """Tell whether vision sensors show the object."""
        return flags.has(current(), self._handle, RENDERABLE)

    def set_renderable(self, value: bool) -> None:
        """Let vision sensors show the object, or not."""
        flags.give(current(), self._handle, RENDERABLE, value)

    # ---- models -------------------------------------------------------------------------

    def is_model(self) -> bool:
        """Tell whether the object is the base of a model."""
        return flags.is_model(current(), self._handle)

    def set_model(self, value: bool) -> None:
        """Make the object the base of a model, or not."""
        flags.set_model(current(), self._handle, value)

    def is_model_collidable(self) -> bool:
        """Tell whether a model may be collidable."""
        return self._allows(NOT_COLLIDABLE)

    def set_model_collidable(self, value: bool) -> None:
        """Let a model be collidable, or nothing of it."""
        self._allow(NOT_COLLIDABLE, value)

    def is_model_measurable(self) -> bool:
        """Tell whether a model may be measurable."""
        return self._allows(NOT_MEASURABLE)

    def set_model_measurable(self, value: bool) -> None:
        """Let a model be measurable, or nothing of it."""
        self._allow(NOT_MEASURABLE, value)

    def is_model_detectable(self) -> bool:
        """Tell whether a model may be detectable."""
        return self._allows(NOT_DETECTABLE)

    def set_model_detectable(self, value: bool) -> None:
        """Let a model be detectable, or nothing of it."""
        self._allow(NOT_DETECTABLE, value)

    def is_model_renderable(self) -> bool:
        """Tell whether a model may be renderable."""
        return self._allows(NOT_RENDERABLE)

    def set_model_renderable(self, value: bool) -> None:
        """Let a model be renderable, or nothing of it."""
        self._allow(NOT_RENDERABLE, value)

    def is_model_dynamic(self) -> bool:
        """Tell whether a model may be dynamic."""
        return self._allows(NOT_DYNAMIC)

    def set_model_dynamic(self, value: bool) -> None:
        """Let a model be dynamic, or nothing of it."""
        self._allow(NOT_DYNAMIC, value)

    def is_model_respondable(self) -> bool:
        """Tell whether a model may be respondable."""
        return self._allows(NOT_RESPONDABLE)

    def set_model_respondable(self, value: bool) -> None:
        """Let a model be respondable, or nothing of it."""
        self._allow(NOT_RESPONDABLE, value)

    def save_model(self, path: str) -> None:
        """Write the model as MJCF into a file of that name; a warning says so.

        Raises:
            ObjectIsNotModelError: the object is no model.
        """
        self._check_model()
        export(current(), path, self._handle)

    def _allows(self, bit: int) -> bool:
        return not flags.overrides(current(), self._handle) & bit

    def _allow(self, bit: int, value: bool) -> None:
        before = flags.overrides(current(), self._handle)
        flags.set_overrides(current(), self._handle, before & ~bit if value else before | bit)

    def _check_model(self) -> None:
        if not self.is_model():
            raise ObjectIsNotModelError(
                f"Object {self.get_name()!r} is not a model. Use 'set_model(True)' to convert."
            )

    # ---- numbers ------------------------------------------------------------------------

    def get_bullet_friction(self) -> float:
        """Return the sliding friction of a shape."""
        return shapes.friction(current(), self._handle)

    def set_bullet_friction(self, friction: float) -> None:
        """Set the sliding friction of a shape."""
        shapes.set_friction(current(), self._handle, friction)

    def get_explicit_handling(self) -> int:
        """Return 1 where a sensor is to be handled by calls, else 0."""
        return int(self._settings().get("explicit_handling", 0))

    def set_explicit_handling(self, value: int) -> None:
        """Say whether a sensor is to be handled by calls (1) or by itself (0)."""
        self._settings()["explicit_handling"] = int(value)

    def _settings(self) -> dict[str, float]:
        """Return what callers have set of the object that is kept by name."""
        session = current()
        session.need(self._handle)
        return session.document.settings.setdefault(self._handle, {})


def to_type(handle: int) -> Object:
    """Return the object of a handle as what it is.

    Raises:
        ValueError: it is of a kind without a class.
    """
    kind = ObjectType(type_number(current().need(handle)))
    if kind not in object_type_to_class:
        raise ValueError(f"objects of type {kind.name} have no class")
    found: Object = object_type_to_class[kind](handle)
    return found


def _handle(obj: Object | None) -> int | None:
    return None if obj is None else obj.get_handle()


def _floats(values: Numbers, count: int) -> Floats:
    """Return numbers as an array.

    Raises:
        ValueError: they are not so many.
    """
    out = np.asarray(values, np.float64)
    if out.shape != (count,):
        raise ValueError(f"{count} numbers are needed, found {np.shape(values)}")
    return out


def _rotation(R: Floats) -> Floats:
    """Return the rotation that is nearest to a (3, 3) matrix.

    Raises:
        ValueError: the matrix mirrors or flattens things.
    """
    if not np.isfinite(R).all():
        return R  # refused with the pose
    U, sizes, V = np.linalg.svd(R)
    if sizes[2] < _ROUNDING or np.linalg.det(U @ V) < 0:
        raise ValueError(f"a matrix that mirrors or flattens is no pose: {R.tolist()}")
    return R if np.abs(sizes - 1).max() < _ROUNDING else U @ V


def _quaternion(values: Numbers) -> Floats:
    """Return (4,) of length 1.

    Raises:
        ValueError: it is zero, or not four numbers.
    """
    out = _floats(values, 4)
    length = float(np.linalg.norm(out))
    if not length > 0:
        raise ValueError(f"a quaternion cannot be {list(values)}")
    return out / length
