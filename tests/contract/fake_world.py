"""A kinematic world without physics: a tree of objects with poses, joints and meshes.

It stands for CoppeliaSim where that is not installed. Its scenes are this package's own, laid
out as CoppeliaSim would: joints are objects of the tree, and move what hangs on them.
"""

from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.motion.kinematics import Kinematics, solve_ik
from pyrep_mujoco.motion.planning import straight_line
from pyrep_mujoco.objects.detection import geom_triangles, surface_in_volume
from pyrep_mujoco.objects.joint import MujocoJoint
from pyrep_mujoco.objects.proximity_sensor import MujocoProximitySensor
from pyrep_mujoco.objects.shape import MujocoShape
from rlbench.const import DEMO_DT
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene

SHAPE, JOINT, DUMMY, SENSOR, PATH, VISION, FORCE, LIGHT = 0, 1, 4, 5, 8, 9, 12, 13
TOP = -1
SEEN_LAYER, UNSEEN_LAYER, VISIBLE_LAYERS = 1, 256, 255
FIRST_HANDLE = 11
# Names of RLBench's base scene that differ from ours.
RENAMED = {f"Panda_{side}finger": f"Panda_{side}finger_respondable" for side in ("left", "right")}
CAMERAS = ("over_shoulder_left", "over_shoulder_right", "overhead", "wrist", "front")


@dataclass
class Node:
    """One object. `local` is its pose in its parent's frame, behind the parent's motion."""

    handle: int
    name: str
    kind: int
    parent: int
    local: np.ndarray
    source: str = ""
    triangles: np.ndarray = field(default_factory=lambda: np.zeros((0, 3, 3)))
    box: np.ndarray = field(default_factory=lambda: np.zeros(6))
    color: list[float] = field(default_factory=lambda: [0.5, 0.5, 0.5])
    flags: dict[str, bool] = field(default_factory=dict)
    layer: int = SEEN_LAYER
    transparency: float = 1.0
    extension: str = ""
    is_slide: bool = False
    value: float = 0.0
    target: float | None = None
    velocity: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    camera: dict[str, float] = field(default_factory=dict)
    path: list[np.ndarray] = field(default_factory=list)

    def motion(self) -> np.ndarray:
        """Pose of what hangs on the object, in its frame."""
        T = np.eye(4)
        if self.kind == JOINT and self.is_slide:
            T[2, 3] = self.value
        elif self.kind == JOINT:
            T[:3, :3] = tf.euler_to_matrix(np.array([0, 0, self.value]))
        return T


class World:
    """All objects, and the clock."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.calls: list[tuple[str, tuple, dict]] = []
        self.steps = 0
        self.is_running = False
        self._next = FIRST_HANDLE
        self._kinematics: Kinematics | None = None
        self.mj = MujocoEngine(builtin_scene("reach_target"))
        task = set(self._bodies_of("reach_target"))
        self._add_bodies([n for n in self.mj.object_names() if n not in task])
        self._add_fixtures()

    # ---- building -----------------------------------------------------------------------

    def add(self, name: str, kind: int, parent: str | None, T_world: np.ndarray, **more) -> Node:
        above = TOP if parent is None else self.named(parent).handle
        local = T_world if parent is None else tf.invert(self.child_frame(above)) @ T_world
        node = Node(self._next, name, kind, above, local, **more)
        self.nodes[node.handle] = node
        self._next += 1
        return node

    def load_task(self, file: str) -> Node:
        task = Path(file).stem
        self.mj = MujocoEngine(builtin_scene(task))
        self._add_bodies(self._bodies_of(task))
        return self.named(task)

    def _bodies_of(self, task: str) -> list[str]:
        tree = self.mj.dummy(task).get_objects_in_tree(exclude_base=False)
        return [o.get_name() for o in tree if not isinstance(o, MujocoJoint)]

    def _add_bodies(self, names: list[str]) -> None:
        for name in names:
            obj = self.mj.object(name)
            joints = [j for j in self.mj.joints() if j.body == obj.body]
            assert len(joints) <= 1, f"{name} has {len(joints)} joints"
            parent = (joints or [obj])[0].get_parent()
            above = None if parent is None else RENAMED.get(parent.get_name(), parent.get_name())
            for joint in joints:
                above = self._add_joint(joint, above).name
            self.add(
                RENAMED.get(name, name),
                self._kind(obj),
                above,
                obj.transform(),
                source=name,
                **self._details(obj),
            )

    def _add_joint(self, joint, parent: str | None) -> Node:
        model = self.mj.model
        lower, upper = joint.get_joint_interval()[1]
        is_slide = model.jnt_type[joint.joint] == mujoco.mjtJoint.mjJNT_SLIDE
        value = joint.get_joint_position()
        return self.add(
            joint.get_name(),
            JOINT,
            parent,
            joint.transform(),
            is_slide=bool(is_slide),
            value=value,
            interval=(lower, upper - lower),
        )

    def _kind(self, obj) -> int:
        if isinstance(obj, MujocoProximitySensor):
            return SENSOR
        return SHAPE if isinstance(obj, MujocoShape) else DUMMY

    def _details(self, obj) -> dict:
        out = {"extension": self.mj.world.notes.extensions.get(obj.get_name(), "")}
        if isinstance(obj, MujocoShape):
            model = self.mj.model
            drawn = [g for g in obj.geoms if model.geom_group[g] <= 2]
            parts = [geom_triangles(model, g) for g in drawn or obj.geoms]
            out |= {
                "triangles": np.concatenate(parts),
                "box": obj.get_bounding_box(),
                "color": obj.get_color().tolist(),
                "layer": SEEN_LAYER if drawn else UNSEEN_LAYER,
                "flags": {
                    "collidable": obj.is_collidable(),
                    "detectable": obj.is_detectable(),
                    "renderable": True,
                    "respondable": obj.is_respondable(),
                    "dynamic": obj.is_dynamic(),
                },
            }
        return out

    def _add_fixtures(self) -> None:
        hand = self.pose(self.named("Panda_gripper").handle)
        self.add("Panda_gripper_attachPoint", FORCE, "Panda_gripper", hand)
        self.add("Panda_target", DUMMY, "Panda", self.pose(self.named("Panda_tip").handle))
        self.add("DefaultLightA", LIGHT, None, np.eye(4))
        for i, side in enumerate(("right", "left")):
            finger = f"Panda_{side}finger_respondable"
            turned = self.pose(self.named(finger).handle)
            self.add(f"Panda_gripper_touchSensor{i}", FORCE, finger, turned)
        for name in CAMERAS:
            for suffix in ("", "_mask"):
                self.add(f"cam_{name}{suffix}", VISION, None, np.eye(4))

    # ---- tree ---------------------------------------------------------------------------

    def named(self, name: str) -> Node:
        for node in self.nodes.values():
            if node.name == name:
                return node
        raise RuntimeError(f"Handle {name} does not exist.")

    def pose(self, handle: int) -> np.ndarray:
        node = self.nodes[handle]
        return self.child_frame(node.parent) @ node.local

    def child_frame(self, handle: int) -> np.ndarray:
        return np.eye(4) if handle == TOP else self.pose(handle) @ self.nodes[handle].motion()

    def place(self, handle: int, T_world: np.ndarray) -> None:
        node = self.nodes[handle]
        node.local = tf.invert(self.child_frame(node.parent)) @ T_world

    def tree(self, handle: int | None) -> list[int]:
        out = [n.handle for n in self.nodes.values() if n.parent == TOP]
        out = out if handle is None else [handle]
        for current in out:
            out.extend(n.handle for n in self.nodes.values() if n.parent == current)
        return out

    def reparent(self, handle: int, parent: int, keep_in_place: bool) -> None:
        T = self.pose(handle)
        self.nodes[handle].parent = parent
        if keep_in_place:
            self.place(handle, T)

    def configuration(self, handle: int) -> dict[int, tuple[np.ndarray, float]]:
        return {h: (self.nodes[h].local.copy(), self.nodes[h].value) for h in self.tree(handle)}

    def configure(self, saved: dict[int, tuple[np.ndarray, float]]) -> None:
        for handle, (local, value) in saved.items():
            if handle in self.nodes:
                self.nodes[handle].local, self.nodes[handle].value = local.copy(), value

    # ---- what happens -------------------------------------------------------------------

    def step(self) -> None:
        """Joints go to their targets; nothing else moves."""
        self.steps += 1
        for node in self.nodes.values():
            if node.target is not None:
                node.value = node.target
            elif node.velocity and self.is_running:
                low, extent = node.interval
                value = node.value + node.velocity * DEMO_DT
                node.value = float(np.clip(value, low, low + extent))

    def touch(self, a: int, b: int) -> bool:
        """Two shapes intersect: MuJoCo's geometry at this world's poses."""
        if not self.nodes[a].source or not self.nodes[b].source:
            return False
        shapes = [self.mj.shape(self.nodes[h].source) for h in (a, b)]
        model, data = self.mj.model, self.mj.data
        for handle, shape in zip((a, b), shapes, strict=True):
            T = self.pose(handle)
            for g in shape.geoms:
                R = tf.quat_wxyz_to_matrix(model.geom_quat[g])
                data.geom_xpos[g] = T[:3, :3] @ model.geom_pos[g] + T[:3, 3]
                data.geom_xmat[g] = (T[:3, :3] @ R).reshape(9)
        first, second = shapes
        return first.touches(second)

    def detects(self, sensor: int, handle: int) -> bool:
        volume = self.mj.sensor(self.nodes[sensor].source).volume
        T = tf.invert(self.pose(sensor)) @ self.pose(handle)
        if self.nodes[handle].kind != SHAPE:
            return bool(volume(T[None, :3, 3])[0] <= 0)
        triangles = self.nodes[handle].triangles
        return surface_in_volume(triangles @ T[:3, :3].T + T[:3, 3], volume)

    def arm_line(self, q: np.ndarray, T: np.ndarray) -> np.ndarray | None:
        return straight_line(self._arm(), q, T[:3, 3], tf.matrix_to_quat_wxyz(T[:3, :3]))

    def arm_poses(self, q: np.ndarray, T: np.ndarray) -> list[np.ndarray]:
        quat = tf.matrix_to_quat_wxyz(T[:3, :3])
        rng = np.random.default_rng(0)
        return list(solve_ik(self._arm(), T[:3, 3], quat, q, rng, max_solutions=1))

    def _arm(self) -> Kinematics:
        if self._kinematics is None:
            robot = self.mj.robot
            self._kinematics = Kinematics(self.mj.model, list(robot.joints), robot.tip)
        return self._kinematics


ACTIVE: list[World] = []


def world() -> World:
    """Return the world that PyRep's classes stand on."""
    return ACTIVE[-1]
