"""Shapes, joints, dummies and proximity sensors of a MuJoCo scene, by PyRep's names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.objects.detection import geom_triangles, parse_volume, surface_in_volume
from pyrep_mujoco.objects.joint import JointProperties, frame_force
from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.objects.shape import SOLID_GROUP, ObjectProperties, ShapeProperties
from pyrep_mujoco.scene.health import check_value
from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.simulation import MujocoEngine

NEAREST = 5e-4
"""Precision of a proximity sensor's distance [m]."""
STANDS_OUT = 1e-4
"""Solid geoms of a shape that reach further [m] than what is drawn of it are a thickened sheet's."""
JOINT_HANDLES = 1_000_000
"""Handles of joints begin here, beyond any body's id."""


class MujocoObject(ObjectProperties):
    """A body of the model, seen as an object of the scene graph."""

    def __init__(self, engine: "MujocoEngine", name: str, body: int) -> None:
        self._engine = engine
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

    def transform(self) -> Floats:
        """Return the (4, 4) transform object to world."""
        data = self._engine.data
        return tf.transform(data.xpos[self.body], data.xmat[self.body].reshape(3, 3))

    def get_matrix(self, relative_to: "MujocoObject | None" = None) -> Floats:
        """Return the (4, 4) transform to the world or to another object's frame."""
        T = self.transform()
        return T if relative_to is None else tf.invert(relative_to.transform()) @ T

    def set_matrix(self, matrix: Floats, relative_to: "MujocoObject | None" = None) -> None:
        """Place the object and its logical descendants; velocities become zero."""
        self._put(matrix, relative_to, reset_dynamics=True)

    def _put(
        self, matrix: Floats, relative_to: "MujocoObject | None", reset_dynamics: bool
    ) -> None:
        base = np.eye(4) if relative_to is None else relative_to.transform()
        self._engine.move(self.body, base @ matrix, keeps_velocity=not reset_dynamics)

    def get_position(self, relative_to: "MujocoObject | None" = None) -> Floats:
        """Return (3,) position [m]."""
        return self.get_matrix(relative_to)[:3, 3].copy()

    def set_position(
        self,
        position: Sequence[float],
        relative_to: "MujocoObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Move the object, keeping its rotation in the world.

        Args:
            position: (3,) [m].
            relative_to: whose frame the position is in; None: the world's.
            reset_dynamics: stop what moves in the object's tree; else it moves on as before.
        """
        goal = np.eye(4) if relative_to is None else relative_to.transform()
        T = self.transform()
        T[:3, 3] = goal[:3, :3] @ np.asarray(position, float) + goal[:3, 3]
        self._put(T, None, reset_dynamics)

    def get_quaternion(self, relative_to: "MujocoObject | None" = None) -> Floats:
        """Return (4,) quaternion xyzw."""
        return self.get_pose(relative_to)[3:]

    def set_quaternion(
        self,
        quaternion: Sequence[float],
        relative_to: "MujocoObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place, quaternion xyzw; `reset_dynamics` as of `set_position`."""
        R = tf.quat_wxyz_to_matrix(tf.xyzw_to_wxyz(np.asarray(quaternion, float)))
        self._set_rotation(R, relative_to, reset_dynamics)

    def get_orientation(self, relative_to: "MujocoObject | None" = None) -> Floats:
        """Return (3,) Euler angles [rad]."""
        return tf.matrix_to_euler(self.get_matrix(relative_to)[:3, :3])

    def set_orientation(
        self,
        orientation: Sequence[float],
        relative_to: "MujocoObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Turn the object in place to (3,) Euler angles [rad]; see `set_quaternion`."""
        R = tf.euler_to_matrix(np.asarray(orientation, float))
        self._set_rotation(R, relative_to, reset_dynamics)

    def _set_rotation(
        self, R: Floats, relative_to: "MujocoObject | None", reset_dynamics: bool
    ) -> None:
        T = self.transform()
        T[:3, :3] = R if relative_to is None else relative_to.transform()[:3, :3] @ R
        self._put(T, None, reset_dynamics)

    def rotate(self, rotation: Sequence[float]) -> None:
        """Turn the object in its own frame by (3,) Euler angles [rad]."""
        R = self.transform()[:3, :3] @ tf.euler_to_matrix(np.asarray(rotation))
        self._set_rotation(R, None, reset_dynamics=True)

    def get_pose(self, relative_to: "MujocoObject | None" = None) -> Floats:
        """Return (7,) position and quaternion xyzw."""
        return tf.transform_to_pose(self.get_matrix(relative_to))

    def set_pose(
        self,
        pose: Sequence[float],
        relative_to: "MujocoObject | None" = None,
        reset_dynamics: bool = True,
    ) -> None:
        """Place the object at (7,) position and quaternion xyzw; see `set_position`."""
        self._put(tf.pose_to_transform(np.asarray(pose, float)), relative_to, reset_dynamics)

    def get_parent(self) -> "MujocoObject | None":
        """Return the parent in the scene graph, None at the top."""
        joint = self._engine.joint_over(self.body)
        return self._engine.above(self.body) if joint in {None, self} else joint

    def set_parent(self, parent_object: "MujocoObject | None", keep_in_place: bool = True) -> None:
        """Change the parent in the scene graph; see `MujocoEngine.hang`."""
        local = None if keep_in_place else self.get_matrix(self.get_parent())
        self._engine.hang(self, parent_object)
        if local is not None:
            self.set_matrix(local, parent_object)

    def get_objects_in_tree(
        self,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> "list[MujocoObject]":
        """Return the logical descendants; see `base.SceneObject`."""
        found = self._engine.objects_below(self)
        if first_generation_only:
            found = [obj for obj in found if obj.get_parent() is self]
        if not exclude_base:
            found = [self, *found]
        if object_type.value == ObjectType.ALL.value:
            return found
        return [obj for obj in found if obj.get_type().value == object_type.value]

    def tree_bounding_box(self) -> Floats:
        """Return (6,) box of every shape in the object's tree, in the object's frame [m]."""
        T_inv = tf.invert(self.transform())
        corners = [
            obj.box_corners() @ T_inv[:3, :3].T + T_inv[:3, 3]
            for obj in self.get_objects_in_tree(exclude_base=False)
            if isinstance(obj, MujocoShape)
        ]
        points = np.concatenate(corners) if corners else np.zeros((1, 3))
        return np.stack([points.min(0), points.max(0)], axis=1).reshape(6)

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the object's frame [m]."""
        return self.tree_bounding_box()

    def placing_box(self) -> Floats:
        """Return (6,) the box that must fit where the object is placed [m]."""
        if self.is_model():
            return self.get_model_bounding_box()
        return np.zeros(6) if "point" in self.flags() else self.get_bounding_box()


def _box_of(triangles: Floats) -> Floats:
    """Return (6,) xmin xmax ymin ymax zmin zmax of (N, 3, 3) triangles."""
    return np.stack([triangles.min((0, 1)), triangles.max((0, 1))], axis=1).reshape(6)


class MujocoDummy(MujocoObject):
    """A named frame."""

    def get_extension_string(self) -> str:
        """Return the waypoint command."""
        return self._engine.notes.extensions.get(self._name, "")


class MujocoForceSensor(MujocoDummy):
    """A rigid joint that tells what it carries."""

    def read(self) -> tuple[list[float], list[float]]:
        """Return (3,) force [N] and (3,) torque [N m] on what it carries, in its frame."""
        return frame_force(self._engine, self.body)


class MujocoPath(MujocoDummy):
    """A Cartesian path."""

    def get_pose_on_path(self, relative_distance: float) -> tuple[list[float], list[float]]:
        """Return position [m] and Euler angles [rad] at a fraction of the length, world."""
        # Imported late: the arm's modules need this one.
        from pyrep_mujoco.robots.arm_motion import pose_along  # noqa: PLC0415

        T = pose_along(self._engine.path_points(self._name), relative_distance)
        return list(T[:3, 3]), list(tf.matrix_to_euler(T[:3, :3]))


class MujocoShape(ShapeProperties, MujocoObject):
    """A body with geoms.

    Attributes:
        is_crumb: one of many small things that do not touch each other.
    """

    is_crumb = False

    def __init__(self, engine: "MujocoEngine", name: str, body: int) -> None:
        super().__init__(engine, name, body)
        self._read_geometry()

    def _read_geometry(self) -> None:
        model = self._engine.model
        start = model.body_geomadr[self.body]
        self.geoms = np.arange(start, start + model.body_geomnum[self.body])
        parts = [geom_triangles(model, g) for g in self.geoms]
        self.triangles = np.concatenate(parts)
        self._box = _box_of(self.triangles)
        # A sheet collides as something up to 2 mm thick: then what is drawn is the shape.
        groups = self._engine.scene_value("geom_group")[self.geoms]
        drawn = [part for part, group in zip(parts, groups, strict=True) if group != SOLID_GROUP]
        if drawn and np.abs(_box_of(np.concatenate(drawn)) - self._box).max() > STANDS_OUT:
            self.triangles = np.concatenate(drawn)
            self._box = _box_of(self.triangles)
        self._box = self._engine.notes.boxes.get(self._name, self._box)

    @property
    def solid_geoms(self) -> np.ndarray:
        """Ids of the geoms that collide."""
        return self.geoms[self._engine.solid[self.geoms]]

    def get_extension_string(self) -> str:
        """Return the command string, empty when there is none."""
        return self._engine.notes.extensions.get(self._name, "")

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the shape's own frame [m]."""
        return self._box.copy()

    def box_corners(self, world: bool = True) -> Floats:
        """Return the (8, 3) corners of the bounding box [m]."""
        low, high = self._box[::2], self._box[1::2]
        bits = (np.arange(8)[:, None] >> np.arange(3)) & 1
        local = np.where(bits == 1, high, low)
        if not world:
            return local
        T = self.transform()
        return local @ T[:3, :3].T + T[:3, 3]

    def check_collision(self, obj: "MujocoObject | None" = None) -> bool:
        """Tell whether the shape touches `obj`'s tree, or any collidable shape.

        Flags do not matter between shapes that are named, as in CoppeliaSim.
        """
        others = (
            self._engine.shapes() if obj is None else obj.get_objects_in_tree(exclude_base=False)
        )
        mine = {o.body for o in self.get_objects_in_tree(exclude_base=False)}
        return any(
            self._engine.shapes_touch(self, other)
            for other in others
            if isinstance(other, MujocoShape)
            and other.body not in mine
            and (obj is not None or other.is_collidable())
        )


class MujocoJoint(JointProperties, MujocoObject):
    """A hinge or slide: a frame with z along the axis, which its own motion does not move.

    Attributes:
        body: id of its link, the body that it moves.
    """

    def __init__(self, engine: "MujocoEngine", name: str, joint: int) -> None:
        model = engine.model
        super().__init__(engine, name, int(model.jnt_bodyid[joint]))
        self.joint = joint
        self._qpos = int(model.jnt_qposadr[joint])
        self._dof = int(model.jnt_dofadr[joint])
        given = engine.notes.joint_frames.get(name)
        R = _axes(model.jnt_axis[joint]) if given is None else given
        self._T_rest_joint = tf.transform(model.jnt_pos[joint], R)

    def get_handle(self) -> int:
        """Return an id of the joint's own; its link's is the one in segmentation images."""
        return JOINT_HANDLES + self.joint

    def transform(self) -> Floats:
        """Return the (4, 4) transform joint frame to world."""
        return self._engine.rest_transform(self.body) @ self._T_rest_joint

    def _put(
        self, matrix: Floats, relative_to: "MujocoObject | None", reset_dynamics: bool
    ) -> None:
        """Place the joint with all it carries; its value stays."""
        base = np.eye(4) if relative_to is None else relative_to.transform()
        change = base @ matrix @ tf.invert(self.transform())
        goal = change @ self._engine.world_transform(self.body)
        self._engine.move(self.body, goal, keeps_velocity=not reset_dynamics)

    def get_joint_position(self) -> float:
        """Return the value [rad or m]."""
        return float(self._engine.data.qpos[self._qpos])

    def set_joint_position(self, position: float, disable_dynamics: bool = False) -> None:
        """Set the value [rad or m] at once, dynamic or not; the velocity becomes zero."""
        check_value(self.get_name(), position)
        data = self._engine.data
        data.qpos[self._qpos] = position
        data.qvel[self._dof] = 0.0
        self._engine.refresh()

    def get_joint_interval(self) -> tuple[bool, list[float]]:
        """Return (is cyclic, [lower, upper])."""
        model = self._engine.model
        limited = bool(model.jnt_limited[self.joint])
        limits = model.jnt_range[self.joint] if limited else (-np.pi, np.pi)
        return (not limited, [float(v) for v in limits])


def _axes(z: Floats) -> Floats:
    """Return a (3, 3) rotation with a given z axis; for joints of scenes that say no more."""
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


class MujocoProximitySensor(MujocoObject):
    """A sensing volume fixed to a body."""

    def __init__(self, engine: "MujocoEngine", name: str, body: int) -> None:
        super().__init__(engine, name, body)
        self._volume = parse_volume(name, engine.notes.sensors[name])

    def get_type(self) -> ObjectType:
        """Return `ObjectType.PROXIMITY_SENSOR`."""
        return ObjectType.PROXIMITY_SENSOR

    def is_detected(self, obj: MujocoObject) -> bool:
        """Tell whether a surface point of a shape, or a dummy's origin, is in the volume."""
        T = obj.get_matrix(self)
        if isinstance(obj, MujocoShape):
            return surface_in_volume(obj.triangles @ T[:3, :3].T + T[:3, 3], self._volume)
        return bool(self._volume(T[None, :3, 3])[0] <= 0)

    def read(self) -> float:
        """Return the distance of the nearest detectable surface in the volume [m], else -1."""
        found = [shape for shape in self._engine.shapes() if shape.is_detectable()]
        nearest = min((self._distance(shape) for shape in found), default=np.inf)
        return -1.0 if np.isinf(nearest) else float(nearest)

    def _distance(self, shape: MujocoShape) -> float:
        T = shape.get_matrix(self)
        triangles = shape.triangles @ T[:3, :3].T + T[:3, 3]
        if not surface_in_volume(triangles, self._volume):
            return float("inf")
        near, far = 0.0, float(np.linalg.norm(triangles, axis=2).max())
        while far - near > NEAREST:
            middle = (near + far) / 2

            def within(p: Floats, limit: float = middle) -> Floats:
                return np.maximum(self._volume(p), np.linalg.norm(p, axis=1) - limit)

            near, far = (near, middle) if surface_in_volume(triangles, within) else (middle, far)
        return far
