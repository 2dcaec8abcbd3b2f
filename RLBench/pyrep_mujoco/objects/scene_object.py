"""Any object of a MuJoCo scene, by PyRep's names: its pose, its place in the tree, its flags.

What is changed here is kept in the world's changes or in the model's fields, so that a reset brings
the scene back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import ObjectAlreadyRemovedError, SceneError
from pyrep_mujoco.objects.object_table import ObjectTable
from pyrep_mujoco.objects.object_types import KINDS, ObjectType
from pyrep_mujoco.scene.edits import Edits
from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.scene.tree import ObjectTree
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import World

Numbers = Sequence[float] | Floats
"""A list or an array of numbers."""


class Frame(Protocol):
    """What has a pose."""

    def get_matrix(self) -> Floats:
        """Return the (4, 4) transform to the world."""


@dataclass(frozen=True)
class SceneParts:
    """The components that objects of one scene take what they need from."""

    world: World
    graph: SceneGraph
    welds: Welds
    tree: ObjectTree
    edits: Edits
    table: "ObjectTable[MujocoObject]"


class MujocoObject:
    """A body of the model, seen as an object of the scene graph.

    Attributes:
        body: its id; of a joint its link's.
    """

    def __init__(self, parts: SceneParts, name: str, body: int) -> None:
        self._world, self._graph, self._tree = parts.world, parts.graph, parts.tree
        self._edits, self._table = parts.edits, parts.table
        self._name = name
        self.body = body

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def get_name(self) -> str:
        """Return the object's name."""
        return self._name

    def get_handle(self) -> int:
        """Return the body id, the value used in segmentation images."""
        return self.body

    def get_type(self) -> ObjectType:
        """Return the kind of object."""
        return KINDS.get(self._world.notes.kinds.get(self._name, ""), ObjectType.DUMMY)

    # ---- existence ----------------------------------------------------------------------

    def still_exists(self) -> bool:
        """Tell whether the object is still in the scene."""
        return self._name not in self._world.changes.removed

    def remove(self) -> None:
        """Take the object, and all below it where it is a model, out until the next reset.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
            SceneError: it is part of the robot.
        """
        if not self.still_exists():
            raise ObjectAlreadyRemovedError(
                f"{self._world.label}: {self._name} was removed already"
            )
        if self.body in self._world.robot_bodies:
            raise SceneError(f"{self._name} is part of the robot and cannot be removed")
        bodies = self._graph.tree(self.body) if self.is_model() else [self.body]
        names = {body: self._object_at(body).get_name() for body in bodies}
        self._edits.take_out(names)

    def _object_at(self, body: int) -> "MujocoObject":
        return self._table.of_handle(self._tree.handle_at(body))

    # ---- pose ---------------------------------------------------------------------------

    def transform(self) -> Floats:
        """Return the (4, 4) transform object to world."""
        return self._world.transform(self.body)

    def get_matrix(self, relative_to: Frame | None = None) -> Floats:
        """Return the (4, 4) transform to the world or to another object's frame."""
        T = self.transform()
        return T if relative_to is None else tf.invert(relative_to.get_matrix()) @ T

    def set_matrix(self, matrix: Floats, relative_to: Frame | None = None) -> None:
        """Place the object and its logical descendants; velocities become zero."""
        self._put(matrix, relative_to, reset_dynamics=True)

    def _put(self, matrix: Floats, relative_to: Frame | None, reset_dynamics: bool) -> None:
        base = np.eye(4) if relative_to is None else relative_to.get_matrix()
        self._graph.move(self.body, base @ matrix, keeps_velocity=not reset_dynamics)

    def get_position(self, relative_to: Frame | None = None) -> Floats:
        """Return (3,) position [m]."""
        return self.get_matrix(relative_to)[:3, 3].copy()

    def set_position(
        self,
        position: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Move the object, keeping its rotation in the world.

        Args:
            position: (3,) [m].
            relative_to: whose frame the position is in; None: the world's.
            reset_dynamics: stop what moves in the object's tree; else it moves on as before.
        """
        goal = np.eye(4) if relative_to is None else relative_to.get_matrix()
        T = self.transform()
        T[:3, 3] = goal[:3, :3] @ np.asarray(position, float) + goal[:3, 3]
        self._put(T, None, reset_dynamics)

    def get_quaternion(self, relative_to: Frame | None = None) -> Floats:
        """Return (4,) quaternion xyzw."""
        return self.get_pose(relative_to)[3:]

    def set_quaternion(
        self,
        quaternion: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place, quaternion xyzw; `reset_dynamics` as of `set_position`."""
        R = tf.quat_wxyz_to_matrix(tf.xyzw_to_wxyz(np.asarray(quaternion, float)))
        self._set_rotation(R, relative_to, reset_dynamics)

    def get_orientation(self, relative_to: Frame | None = None) -> Floats:
        """Return (3,) Euler angles [rad]."""
        return tf.matrix_to_euler(self.get_matrix(relative_to)[:3, :3])

    def set_orientation(
        self,
        orientation: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place to (3,) Euler angles [rad]; see `set_quaternion`."""
        R = tf.euler_to_matrix(np.asarray(orientation, float))
        self._set_rotation(R, relative_to, reset_dynamics)

    def _set_rotation(self, R: Floats, relative_to: Frame | None, reset_dynamics: bool) -> None:
        T = self.transform()
        T[:3, :3] = R if relative_to is None else relative_to.get_matrix()[:3, :3] @ R
        self._put(T, None, reset_dynamics)

    def rotate(self, rotation: Numbers) -> None:
        """Turn the object in its own frame by (3,) Euler angles [rad]."""
        R = self.transform()[:3, :3] @ tf.euler_to_matrix(np.asarray(rotation))
        self._set_rotation(R, None, reset_dynamics=True)

    def get_pose(self, relative_to: Frame | None = None) -> Floats:
        """Return (7,) position and quaternion xyzw."""
        return tf.transform_to_pose(self.get_matrix(relative_to))

    def set_pose(
        self,
        pose: Numbers,
        relative_to: Frame | None = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Place the object at (7,) position and quaternion xyzw; see `set_position`."""
        self._put(tf.pose_to_transform(np.asarray(pose, float)), relative_to, reset_dynamics)

    # ---- motion -------------------------------------------------------------------------

    def reset_dynamic_object(self) -> None:
        """Bring the object to rest."""
        model, data = self._world.model, self._world.data
        start = model.body_dofadr[self.body]
        data.qvel[start : start + model.body_dofnum[self.body]] = 0.0

    def get_velocity(self) -> tuple[Floats, Floats]:
        """Return (3,) velocity [m/s] and (3,) angular velocity [rad/s], world axes."""
        model, data, out = self._world.model, self._world.data, np.zeros(6)
        # What was placed or stopped since the last step has velocities of then in `cvel`.
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(model, data, kind, self.body, out, 0)
        return out[3:], out[:3]

    # ---- tree ---------------------------------------------------------------------------

    def get_parent(self) -> "MujocoObject | None":
        """Return the parent in the scene graph, None at the top."""
        parent = self._tree.parent(self.get_handle())
        return None if parent is None else self._table.of_handle(parent)

    def set_parent(self, parent_object: "MujocoObject | None", keep_in_place: bool = True) -> None:
        """Change the parent in the scene graph.

        Raises:
            SceneError: as `SceneGraph.reparent`.
        """
        local = None if keep_in_place else self.get_matrix(self.get_parent())
        handle = self.get_handle()
        self._tree.hang(handle, None if parent_object is None else parent_object.get_handle())
        if local is not None:
            self.set_matrix(local, parent_object)

    def get_objects_in_tree(
        self,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> "list[MujocoObject]":
        """Return the logical descendants, joints too.

        Args:
            object_type: the kind wanted.
            exclude_base: leave the object itself out.
            first_generation_only: leave out what hangs on one of those that are returned.
        """
        found = [self._table.of_handle(h) for h in self._tree.below(self.get_handle())]
        if first_generation_only:
            found = [obj for obj in found if obj.get_parent() is self]
        if not exclude_base:
            found = [self, *found]
        if object_type.value == ObjectType.ALL.value:
            return found
        return [obj for obj in found if obj.get_type().value == object_type.value]

    # ---- boxes --------------------------------------------------------------------------

    def own_corners(self) -> Floats:
        """Return the (8, 3) corners of the object's own box, world [m]; (0, 3) without one."""
        return np.zeros((0, 3))

    def get_model_bounding_box(self) -> Floats:
        """Return (6,) box of every shape in the object's tree, in the object's frame [m]."""
        T_inv = tf.invert(self.transform())
        tree = self.get_objects_in_tree(exclude_base=False)
        corners = [c for c in (obj.own_corners() for obj in tree) if len(c)]
        local = [c @ T_inv[:3, :3].T + T_inv[:3, 3] for c in corners]
        points = np.concatenate(local) if local else np.zeros((1, 3))
        return np.stack([points.min(0), points.max(0)], axis=1).reshape(6)

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the object's frame [m]."""
        return self.get_model_bounding_box()

    def placing_box(self) -> Floats:
        """Return (6,) the box that must fit where the object is placed [m]."""
        if self.is_model():
            return self.get_model_bounding_box()
        return np.zeros(6) if "point" in self.flags() else self.get_bounding_box()

    # ---- flags --------------------------------------------------------------------------

    def flags(self) -> frozenset[str]:
        """Return the words that hold of the object."""
        given = self._world.notes.flags.get(self._name, self._default_flags())
        return self._world.changes.flags.get(self._name, given)

    def _default_flags(self) -> frozenset[str]:
        return frozenset()

    def _set_flag(self, word: str, value: bool) -> None:
        now = self.flags()
        self._world.changes.flags[self._name] = now | {word} if value else now - {word}

    def is_model(self) -> bool:
        """Tell whether the object is marked as the root of a model."""
        return "model" in self.flags()

    def set_model(self, value: bool) -> None:
        """Mark the object as the root of a model, or not."""
        self._set_flag("model", value)

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the object."""
        return "collidable" in self.flags()

    def set_collidable(self, value: bool) -> None:
        """Say whether motion planning must avoid the object."""
        self._set_flag("collidable", value)

    def is_measurable(self) -> bool:
        """Tell the flag of that name; it has no effect."""
        return "measurable" in self.flags()

    def set_measurable(self, value: bool) -> None:
        """Set the flag of that name; it has no effect."""
        self._set_flag("measurable", value)

    def is_detectable(self) -> bool:
        """Tell whether proximity sensors react to the object."""
        return "detectable" in self.flags()

    def set_detectable(self, value: bool) -> None:
        """Say whether proximity sensors react to the object when they look at everything."""
        self._set_flag("detectable", value)

    def is_renderable(self) -> bool:
        """Tell whether cameras show the object."""
        return "renderable" in self.flags()

    def set_renderable(self, value: bool) -> None:
        """Say whether cameras show the object."""
        self._set_flag("renderable", value)

    # ---- flags of a whole tree ----------------------------------------------------------

    def _any_in_tree(self, what: str) -> bool:
        """Tell whether `is_<what>` holds of anything in the tree; not all objects have it."""
        tree = [self._object_at(b) for b in self._graph.tree(self.body)]
        return any(getattr(obj, f"is_{what}")() for obj in tree if hasattr(obj, f"is_{what}"))

    def _set_in_tree(self, what: str, value: bool) -> None:
        """Call `set_<what>` of everything in the tree that has it."""
        for body in self._graph.tree(self.body):
            setter = getattr(self._object_at(body), f"set_{what}", None)
            if setter is not None:
                setter(value)

    def is_model_collidable(self) -> bool:
        """Tell whether anything in the tree is collidable."""
        return self._any_in_tree("collidable")

    def set_model_collidable(self, value: bool) -> None:
        """Say it of everything in the tree."""
        self._set_in_tree("collidable", value)

    def is_model_detectable(self) -> bool:
        """Tell whether anything in the tree is detectable."""
        return self._any_in_tree("detectable")

    def set_model_detectable(self, value: bool) -> None:
        """Say it of everything in the tree."""
        self._set_in_tree("detectable", value)

    def is_model_measurable(self) -> bool:
        """Tell whether anything in the tree is measurable."""
        return self._any_in_tree("measurable")

    def set_model_measurable(self, value: bool) -> None:
        """Say it of everything in the tree."""
        self._set_in_tree("measurable", value)

    def is_model_renderable(self) -> bool:
        """Tell whether cameras show anything of the tree."""
        return self._any_in_tree("renderable")

    def set_model_renderable(self, value: bool) -> None:
        """Show or hide the whole tree."""
        self._set_in_tree("renderable", value)

    def is_model_dynamic(self) -> bool:
        """Tell whether physics moves anything of the tree."""
        return self._any_in_tree("dynamic")

    def set_model_dynamic(self, value: bool) -> None:
        """Let physics move the tree's shapes, or hold them."""
        self._set_in_tree("dynamic", value)

    def is_model_respondable(self) -> bool:
        """Tell whether anything in the tree collides."""
        return self._any_in_tree("respondable")

    def set_model_respondable(self, value: bool) -> None:
        """Let all shapes of the tree collide with things, or none."""
        self._set_in_tree("respondable", value)
