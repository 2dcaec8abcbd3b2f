"""PyRep's objects on a kinematic world; every public call is recorded.

Methods, arguments, defaults and results are PyRep 4.1's, as far as the engine uses them.
"""

import enum
import functools
import inspect

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.vision.mesh_rays import Mesh
from tests.contract.fake_world import (
    DUMMY,
    FORCE,
    JOINT,
    LIGHT,
    PATH,
    SENSOR,
    SHAPE,
    TOP,
    VISION,
    world,
)


class PyRepError(Exception): ...


class ConfigurationError(Exception): ...


class ConfigurationPathError(Exception): ...


class IKError(Exception): ...


class ObjectType(enum.Enum):
    ALL = -2
    SHAPE = SHAPE
    JOINT = JOINT
    DUMMY = DUMMY
    PROXIMITY_SENSOR = SENSOR
    PATH = PATH
    VISION_SENSOR = VISION
    FORCE_SENSOR = FORCE
    LIGHT = LIGHT


class RenderMode(enum.Enum):
    OPENGL = 0
    OPENGL_COLOR_CODED = 2
    OPENGL3 = 7


class ConfigurationPathAlgorithms(enum.Enum):
    SBL = "SBL"
    RRTConnect = "RRTConnect"


def recorded(cls):
    """Write each call of a public method into the world's list."""
    for name, function in list(vars(cls).items()):
        if name.startswith("_") or not inspect.isfunction(function):
            continue

        def wrapper(self, *args, _function=function, _name=f"{cls.__name__}.{name}", **kwargs):
            world().calls.append((_name, args, kwargs))
            return _function(self, *args, **kwargs)

        setattr(cls, name, functools.wraps(function)(wrapper))
    return cls


def _handle(obj) -> int:
    return TOP if obj is None else obj.get_handle()


def _frame(obj) -> np.ndarray:
    return np.eye(4) if obj is None else world().pose(obj.get_handle())


@recorded
class Object:
    KIND: ObjectType | None = None

    def __init__(self, name_or_handle):
        is_handle = isinstance(name_or_handle, int)
        self._handle = name_or_handle if is_handle else world().named(name_or_handle).handle
        if self.KIND is not None and world().nodes[self._handle].kind != self.KIND.value:
            raise TypeError(f"{name_or_handle} is no {self.KIND}")

    def __eq__(self, other):
        return self.get_handle() == other.get_handle()

    __hash__ = None  # as PyRep's

    @property
    def _node(self):
        return world().nodes[self._handle]

    @staticmethod
    def exists(name):
        return any(node.name == name for node in world().nodes.values())

    @staticmethod
    def get_object_type(name):
        return ObjectType(world().named(name).kind)

    @staticmethod
    def get_object(name_or_handle):
        is_handle = isinstance(name_or_handle, int)
        node = world().nodes[name_or_handle] if is_handle else world().named(name_or_handle)
        return CLASSES[ObjectType(node.kind)](node.name)  # KeyError for lights, as PyRep

    def get_type(self):
        return ObjectType(self._node.kind)

    def get_handle(self):
        return self._handle

    def still_exists(self):
        return self._handle in world().nodes

    def get_name(self):
        return self._node.name if self.still_exists() else ""

    def get_position(self, relative_to=None):
        return self.get_matrix(relative_to)[:3, 3].copy()

    def set_position(self, position, relative_to=None, reset_dynamics=True):
        goal, T = _frame(relative_to), world().pose(self._handle)
        T[:3, 3] = goal[:3, :3] @ np.asarray(position, float) + goal[:3, 3]
        world().place(self._handle, T)

    def get_orientation(self, relative_to=None):
        return tf.matrix_to_euler(self.get_matrix(relative_to)[:3, :3])

    def set_orientation(self, orientation, relative_to=None, reset_dynamics=True):
        self._turn(tf.euler_to_matrix(np.asarray(orientation, float)), relative_to)

    def get_quaternion(self, relative_to=None):
        return tf.transform_to_pose(self.get_matrix(relative_to))[3:]

    def set_quaternion(self, quaternion, relative_to=None, reset_dynamics=True):
        assert len(quaternion) == 4
        self._turn(tf.pose_to_transform(np.r_[0, 0, 0, quaternion])[:3, :3], relative_to)

    def _turn(self, R, relative_to):
        T = world().pose(self._handle)
        T[:3, :3] = _frame(relative_to)[:3, :3] @ R
        world().place(self._handle, T)

    def get_pose(self, relative_to=None):
        return np.r_[self.get_position(relative_to), self.get_quaternion(relative_to)]

    def set_pose(self, pose, relative_to=None, reset_dynamics=True):
        assert len(pose) == 7
        self.set_position(pose[:3], relative_to, reset_dynamics)
        self.set_quaternion(pose[3:], relative_to, reset_dynamics)

    def get_matrix(self, relative_to=None):
        return tf.invert(_frame(relative_to)) @ world().pose(self._handle)

    def set_matrix(self, matrix, relative_to=None):
        if not isinstance(matrix, np.ndarray):
            raise ValueError("Expected Numpy 4x4 array.")
        world().place(self._handle, _frame(relative_to) @ matrix)

    def reset_dynamic_object(self):
        pass

    def get_parent(self):
        parent = self._node.parent
        if parent == TOP:
            return None
        return CLASSES.get(ObjectType(world().nodes[parent].kind), Object)(parent)

    def set_parent(self, parent_object, keep_in_place=True):
        world().reparent(self._handle, _handle(parent_object), keep_in_place)

    def get_objects_in_tree(
        self, object_type=ObjectType.ALL, exclude_base=True, first_generation_only=False
    ):
        return in_tree(self._handle, object_type, exclude_base, first_generation_only)

    def is_model(self):
        return False

    def get_bounding_box(self):
        return self._node.box.tolist()

    def get_extension_string(self):
        return self._node.extension

    def get_configuration_tree(self):
        return world().configuration(self._handle)

    def set_explicit_handling(self, value):
        self._node.camera["explicit"] = value

    def remove(self):
        for handle in world().tree(self._handle):
            del world().nodes[handle]

    def is_collidable(self):
        return int(self._node.flags["collidable"])

    def set_collidable(self, value):
        self._node.flags["collidable"] = bool(value)

    def is_detectable(self):
        return int(self._node.flags["detectable"])

    def is_renderable(self):
        return int(self._node.flags["renderable"])

    def set_renderable(self, value):
        self._node.flags["renderable"] = bool(value)

    def check_collision(self, obj=None):
        others = world().nodes if obj is None else [obj.get_handle()]
        return any(collide(self._handle, other) for other in others)


def collide(a: int, b: int) -> bool:
    nodes = world().nodes[a], world().nodes[b]
    solid = all(n.kind == SHAPE and n.flags["collidable"] for n in nodes)
    return a != b and solid and world().touch(a, b)


def in_tree(root, object_type, exclude_base, first_generation_only=False):
    handles = world().tree(root)
    if first_generation_only:
        top = TOP if root is None else root
        handles = [h for h in handles if h == root or world().nodes[h].parent == top]
    handles = handles[1:] if root is not None and exclude_base else handles
    kinds = [ObjectType(world().nodes[h].kind) for h in handles]
    return [
        CLASSES[k](h)
        for h, k in zip(handles, kinds, strict=True)
        if k in CLASSES and object_type in (ObjectType.ALL, k)
    ]


@recorded
class Shape(Object):
    KIND = ObjectType.SHAPE

    def get_color(self):
        return list(self._node.color)

    def set_color(self, color):
        self._node.color = list(color)

    def get_transparency(self):
        return self._node.transparency

    def set_transparency(self, value):
        self._node.transparency = value

    def is_respondable(self):
        return int(self._node.flags["respondable"])

    def is_dynamic(self):
        return bool(self._node.flags["dynamic"])

    def set_dynamic(self, value):
        self._node.flags["dynamic"] = bool(value)

    def get_mesh_data(self):
        vertices = self._node.triangles.reshape(-1, 3)
        return vertices, np.arange(len(vertices)).reshape(-1, 3), np.zeros((0, 3))


@recorded
class Joint(Object):
    KIND = ObjectType.JOINT

    def get_joint_position(self):
        return self._node.value

    def set_joint_position(self, position, disable_dynamics=False):
        self._node.value = position
        if disable_dynamics:
            self._node.target = None
            world().step()
            world().step()

    def get_joint_interval(self):
        return False, list(self._node.interval)


class Dummy(Object):
    KIND = ObjectType.DUMMY


class ForceSensor(Object):
    KIND = ObjectType.FORCE_SENSOR

    def read(self):
        return [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]


@recorded
class ProximitySensor(Object):
    KIND = ObjectType.PROXIMITY_SENSOR

    def is_detected(self, obj):
        return world().detects(self._handle, obj.get_handle())


@recorded
class CartesianPath(Object):
    KIND = ObjectType.PATH

    def get_pose_on_path(self, relative_distance):
        path = self._node.path
        T = world().pose(self._handle) @ path[round(relative_distance * (len(path) - 1))]
        return T[:3, 3].tolist(), tf.matrix_to_euler(T[:3, :3]).tolist()


@recorded
class VisionSensor(Object):
    KIND = ObjectType.VISION_SENSOR

    @staticmethod
    def create(resolution, explicit_handling=False, **kwargs):
        node = world().add(f"Vision_sensor{len(world().nodes)}", VISION, None, np.eye(4))
        sensor = VisionSensor(node.handle)
        sensor.set_resolution(resolution)
        return sensor

    def get_resolution(self):
        return list(self._node.camera.get("resolution", (128, 128)))

    def set_resolution(self, resolution):
        self._node.camera["resolution"] = tuple(resolution)

    def set_render_mode(self, render_mode):
        self._node.camera["mode"] = render_mode

    def set_perspective_angle(self, angle):
        self._node.camera["angle"] = angle

    def set_near_clipping_plane(self, near_clipping):
        self._node.camera["near"] = near_clipping

    def set_far_clipping_plane(self, far_clipping):
        self._node.camera["far"] = far_clipping

    def handle_explicitly(self):
        if not self._node.camera.get("explicit"):
            raise RuntimeError("The explicit_handling is disabled.")
        self._node.camera["image"] = self._trace()

    def capture_rgb(self):
        _, handles = self._node.camera["image"]
        if self._node.camera["mode"] == RenderMode.OPENGL_COLOR_CODED:
            parts = [handles & 255, handles >> 8 & 255, handles >> 16 & 255]
            return np.stack(parts, axis=-1).astype(np.float32) / 255
        colors = {h: world().nodes[h].color for h in np.unique(handles) if h in world().nodes}
        flat = [colors.get(int(h), (0, 0, 0)) for h in handles.ravel()]
        return np.array(flat, np.float32).reshape(*handles.shape, 3)

    def capture_depth(self, in_meters=False):
        assert in_meters
        return self._node.camera["image"][0].astype(np.float32)

    def _trace(self):
        """Depth (H, W) [m] and handles (H, W); the sensor looks along z, x to the left, y up."""
        camera = self._node.camera
        width, height = self.get_resolution()
        focal = 0.5 * max(width, height) / np.tan(np.deg2rad(camera["angle"]) / 2)
        x = -(np.arange(width) + 0.5 - width / 2) / focal
        y = -(np.arange(height) + 0.5 - height / 2) / focal
        rays = np.stack([*np.meshgrid(x, y), np.ones((height, width))], -1).reshape(-1, 3)
        T = world().pose(self._handle)
        starts = np.tile(T[:3, 3], (len(rays), 1))
        ends = starts + camera["far"] * rays @ T[:3, :3].T
        nearest, handles = np.ones(len(rays)), np.zeros(len(rays), np.int64)
        for node in list(world().nodes.values()):
            if node.kind != SHAPE or not node.flags["renderable"] or not node.layer & 255:
                continue
            mesh = Mesh(node.triangles)
            hits = mesh.first_hits(starts, ends, world().pose(node.handle), nearest)
            closer = hits < nearest
            nearest[closer], handles[closer] = hits[closer], node.handle
        return (camera["far"] * nearest).reshape(height, width), handles.reshape(height, width)


CLASSES = {
    ObjectType.SHAPE: Shape,
    ObjectType.JOINT: Joint,
    ObjectType.DUMMY: Dummy,
    ObjectType.PROXIMITY_SENSOR: ProximitySensor,
    ObjectType.FORCE_SENSOR: ForceSensor,
    ObjectType.VISION_SENSOR: VisionSensor,
    ObjectType.PATH: CartesianPath,
}
